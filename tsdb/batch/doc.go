// Package batch joins what several parts of the database know of one series: a
// series may have samples in several groups of the head, samples that came one
// by one, and samples in several blocks.
//
//   - [Merge] is the union of batch iterators: ascending, one sample per
//     timestamp. Where two sources have the same timestamp the first one counts.
//   - [MergeSets] is the union of series sets in one order.
//   - [Sample] and [Collect] are for code that looks at samples one by one.
//
// Batches of sources that do not interleave pass through whole, with their
// timeline; that is the common case, and costs a comparison and a copy of the
// values. Nothing here knows where the batches come from.
//
// An iterator and a set are used by one goroutine, as the storage contract has
// it.
package batch
