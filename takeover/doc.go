// Package takeover reads the data folder of a Prometheus into blocks of ours,
// and writes blocks of ours back as blocks of Prometheus.
//
// [Import] takes a folder over, block by block; [Export] is the way back. It is
// the one room of the product that links upstream's database, to read and write
// its files; nothing of it runs while the server serves.
//
// # Import
//
// The parts of a folder are its blocks and, for what is not in a block yet, the
// ranges of two hours of its logs: the write-ahead log with its newest
// checkpoint, the log of out-of-order samples, and the chunks of the head. Each
// part becomes one block. It is written into <target>/import, read back, held
// against what was read from Prometheus by a [Digest], and only then moved into
// the target, in one step. So a server that has the target open never sees a
// part that was not proven, and takes each as it comes.
//
// The source is never written to. A Prometheus that has it open is refused, by
// its lock file. If there is such a file it is held while the logs and blocks are
// read, so that no Prometheus starts meanwhile; none is made.
//
// # Resuming
//
// meta.json of the new block has as its sources the blocks of Prometheus whose
// samples are in it, as Prometheus's own has: compaction keeps them. A part
// whose sources are all there already is passed over. A range of the logs has a
// source that is derived from the bytes of the logs.
//
// # Damage
//
// A part that cannot be read costs itself: it is named and the others are
// imported. In a log it costs the damaged record, and the rest of a page of 32
// KiB if what is damaged says how long the record is. The import as a whole then
// fails at its end.
//
// # Memory
//
// A block is streamed, a series at a time. Of the logs the series are in memory
// with their labels, and at most [ImportOptions.MaxLogSamples] samples: logs
// with more are read several times.
//
// # Concurrency
//
// Import and Export are each used by one goroutine; two imports into one folder
// exclude each other by a lock.
package takeover
