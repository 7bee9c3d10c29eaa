// Package tsdb is the database: a head in memory with its log, and blocks on
// disk, seen as one store.
//
// [Open] opens the folder of a tenant; the [DB] implements storage.Store. What
// it owns lies in rooms of their own:
//
//	encoding   values and timestamps as bytes
//	wal        the log
//	index      label strings and postings
//	head       what is not in a block yet
//	block      immutable files over a time range
//	compact    which blocks to join, and joining them
//	rollup     buckets of five minutes and an hour: which to make, making and reading
//	batch      the union of what several parts know of a series
//
// # Files
//
//	<dir>/lock         held while the database is open
//	<dir>/wal/         the log
//	<dir>/<ULID>/      blocks
//	<dir>/<ULID>.tmp/  a block that is being written or deleted
//	<dir>/snapshots/   what Snapshot made
//
// # The life of a sample
//
// It is logged, then visible in the head. Every two hours, and an hour late so
// that slow writers fit, a range of two hours is cut: written as a block, made
// visible, then removed from the head and, by a checkpoint, from the log. Blocks
// are joined by threes into longer ones, overlapping ones first, and deleted
// when retention by time or size says so.
//
// Where rollups are configured, buckets are made of the samples of a day, or of
// four, once they are in blocks, into blocks of their own. They have retention
// of their own, and queries read them where they tell what is asked for.
//
// Exemplars are in the head, the newest max_exemplars of them, and go to the block
// of their own timestamp if their series has samples there. Metadata goes to each
// block that its series is in. Blocks are read for both.
//
// A deletion is a tombstone beside a block, or in the log, and takes effect at
// once; so do the rules of retention. Blocks of which enough is deleted are
// written anew in the background.
//
// Every step leaves a state that opening understands. A block that was written
// while the log still has its samples does no harm: the parts of a series are
// merged on reading, one sample per timestamp, so nothing is seen twice.
//
// # Concurrency
//
// A DB may be used from any number of goroutines. One goroutine of its own does
// the maintenance; Close waits for it.
package tsdb
