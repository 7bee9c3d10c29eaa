// Package promql evaluates PromQL over a storage.Queryable.
//
// [Engine] is what the rest of Gnomon sees: instant and range queries in,
// results, annotations and statistics out. It is safe for concurrent use.
//
// A query takes this way: it waits for a place (tracker.go), is parsed by
// Prometheus's parser, becomes a plan (package plan), calls that rollups answer
// are replaced (rollups.go), and operators evaluate it (package exec) with the
// mathematics of package functions. Results, annotations and errors are those of
// Prometheus; its engine is the oracle of the tests.
package promql
