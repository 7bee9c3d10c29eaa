// Package scan reads the samples of a block: package block has the bytes, this
// one the answers.
//
//   - [Querier] is a block as a storage.Querier over a time range.
//   - [Chunks] decodes the chunks of one series into batches, without what was
//     deleted. Compaction uses it as well.
//   - [Find] and [Newest] look a series up, to judge late samples.
//
// A Querier holds its block open until it is closed. The timeline of a batch is
// that of the block, numbered so that the timelines of different blocks of one
// query differ: see [Block].
package scan
