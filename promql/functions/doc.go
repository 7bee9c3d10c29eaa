// Package functions is the mathematics of PromQL: what a function or an
// aggregation makes of numbers and native histograms, to the bit as Prometheus
// does, with the same annotations. It knows neither plans nor storage, starts
// no goroutine and keeps no state between calls but in the values that say so.
//
// # Who does what
//
// The engine (promql/exec) decides which samples a function sees, groups
// series, builds label sets and drops names. This package computes.
//
//   - A function over a range vector is a [Range] of [Function]: [BatchFunc] for
//     the steps of a series that saw floats only, [WindowFunc] for a step that
//     saw native histograms. A series may use both, step by step. The engine
//     finds the windows, removes stale markers and adds PossibleNonCounterInfo
//     for a series of rate and increase that had a float result
//     ([NonCounterInfo] makes it).
//   - A function of each float is an [ElementFunc], a function of each native
//     histogram a [HistogramFunc]; samples of the other kind are dropped. The
//     date functions without an argument are those of vector(time()).
//   - max_of and min_of are [ScalarFunc].
//   - histogram_quantile, histogram_quantiles and histogram_fraction are methods
//     of [HistogramGroup]: the engine puts the classic buckets that differ in le
//     only, and the native histogram with the same labels, into one group.
//   - label_replace and label_join are a [LabelTransform]. The engine merges
//     series that became equal.
//   - absent and absent_over_time: [AbsentLabels]; the engine fills in the ones.
//   - sort and sort_desc: [SortOrder]; sort_by_label and sort_by_label_desc:
//     [CompareLabels]. In a range query the engine adds the warning only.
//   - Aggregations that fold a group are an [Accumulator]; topk, bottomk, limitk
//     and limit_ratio choose with a [Selection]; count_values formats its label
//     with [CountValue].
//   - A smoothed instant selector is [Smooth]; a range selector with anchored or
//     smoothed that is the result itself is [ExtendFloats].
//   - The engine does alone: time, pi, vector, scalar, timestamp,
//     start_timestamp, start, end, range, step, info (it selects series),
//     binary and unary operators.
//
// # Ownership
//
// Slices and histograms passed in are read only unless a comment says
// otherwise; histograms handed out belong to the caller. Everything may be used
// by any number of goroutines, an [Args], [Annotations], [Accumulator] or
// [Selection] by one at a time.
package functions
