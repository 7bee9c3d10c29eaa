// Package plan turns a parsed expression into what the executor runs: a tree of
// nodes in which everything that the time range of the query decides is
// resolved.
//
// [Build] converts the syntax tree, which stays as it was, and runs the passes,
// each in a file of its own:
//
//   - durations.go: duration expressions become durations, while converting;
//   - context.go: start(), end(), range() and step() become numbers, while
//     converting, and so do @ start() and @ end();
//   - matching.go: each side of an operator between vectors reads only what can
//     match the other;
//   - statistics.go: selectors of which only the count and sum of native
//     histograms are used say so;
//   - projection.go: selectors say which labels of their series are used;
//   - invariant.go: what has one value at all steps is evaluated once;
//   - sharing.go: so are aggregations that stand in several places.
//
// [Plan.Piecewise] says whether steps may be evaluated apart from others. [Bounds] says which samples a plan needs. A plan is not changed once it is
// built, and may be run any number of times, by one query at a time.
package plan
