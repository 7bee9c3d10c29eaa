// Package head is the part of the database that is not in a block yet: it takes
// rows and single samples, keeps them in memory and in the log, and answers
// queries about them.
//
// It is not the database: it knows nothing of blocks but for [Older], and
// decides neither when it is cut nor what is kept.
//
// # Groups
//
// A group has a timeline and columns. Its rows are, oldest first:
//
//	segments   columns, encoded; usually of 120 rows
//	window     up to 120 rows: the first as it came, of the others what changed
//
// A full window is sealed: turned into columns and encoded, column by column,
// into a segment. Windows with many changes are sealed earlier; short segments
// are merged when they have 120 rows together. A segment is one piece of memory
// for all of its columns, and an offset each; what few columns have (absent
// rows, histograms, start timestamps, deletions) is kept aside. A row says which
// series each column had (its layout, shared by all rows until a column changes
// hands), so a column can be given to another series at any time.
//
// # Series
//
// A series lies in a slab, by the number that the postings know it by, and has
// two numbers for its labels: index.LabelSets holds label sets in two parts, each
// once. A series without samples and writers leaves at the next cut, or earlier,
// once a block has what it got: see [StaleSeries].
//
// # Loose samples
//
// Samples that did not come in a row, or came late, belong to their series: a
// group of one, with a timeline of its own, sealed into chunks like a column; floats
// that are in order are packed until there are enough for a chunk. A late row becomes
// loose samples as a whole.
//
// # Order
//
// A sample must be newer than all samples of its series. For a column whose
// series has no other writer that follows from the row being newer than the
// last one: nothing is looked up. See the type series for how a second writer
// is noticed.
//
// # What readers see
//
// A select looks up its series, pins the groups in which they have columns, and
// hands out one series after the other. What is pinned of a group is its list of
// segments, which is replaced and never changed, and the published rows of its
// window. Appending goes on behind those; a pinned window is not reused when it
// is sealed. Loose samples carry the number of their transaction and are seen
// from the publishing of that number on, all at once. Readers therefore hold no
// lock while they decode, and writers never wait for them.
//
// # Log
//
// A row or transaction is in the log before it is visible. [Open] reads what
// the log defines; then samples are taken, while the log's are read by several
// goroutines, a group by one of them, in order: see the type replay. A record
// that is damaged, or refers to something whose definition was damaged, costs
// itself, and is counted and reported with file and offset. Reading a sample
// twice changes nothing, which is what makes a checkpoint ([Head.Checkpoint])
// simple: it is the head written as records, taken while appending goes on.
package head
