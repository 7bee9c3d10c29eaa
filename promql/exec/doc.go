// Package exec runs plans.
//
// # Operators
//
// Each node of a plan that has a vector becomes an operator: something that
// yields series, one after the other, each with its values at all steps as one
// flat array. Selectors, functions of one series, scalars against vectors and
// the like pass series on as they come; aggregations fold them into
// accumulators, one for each group; what needs to see all series at once
// (matching two vectors, choosing, sorting) collects them. A query of an instant
// is one with a single step.
//
// A selector decodes a series into one array and finds the windows of all steps
// in it at once; the windows of a timeline are kept for its next series. What
// is computed of the windows is in package functions.
//
// # Order
//
// Series come in the order of the storage, and everything that depends on an
// order keeps it, so that sums are those of Prometheus to the bit.
//
// # Names
//
// A function takes the metric name away at once, or at the end of the query
// (Options.DelayedNames); until then series.dropName says so.
//
// # Samples
//
// Limits and statistics count samples the way Prometheus does, which keeps
// every intermediate result as a whole: see usage. What is in memory is less.
//
// # Concurrency and ownership
//
// A query is run by one goroutine. When there is much to do, others compute series
// for it, each by itself, which it takes in the order of the storage: see spread.
// The memory of a series belongs to whoever
// asks for it: see operator.
package exec
