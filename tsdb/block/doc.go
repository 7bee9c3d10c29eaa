// Package block reads and writes blocks: immutable files that hold the samples of a time
// range, metric-major, with each timeline stored once.
//
// A [Writer] takes timelines and then series in the order of [Compare], each with its
// chunks, and makes the block visible in one step. A [Reader] is an open block: it implements
// index.Postings, gives the directory entry of a series, the values of a chunk and the
// timestamps of a timeline, and keeps deletions beside the block as [Tombstones].
//
// The package does not decide what goes into a block, when, or what is deleted, and knows of
// no other block.
//
// # Damage
//
// Whatever is read is checked first: meta.json, the tables of the index and the tombstones
// when the block is opened, a page, a part of a frame or a block of label values when it is
// first read, a posting list whenever it is. What is wrong is a [CorruptionError] with file
// and offset. It costs what it says: a page its chunks, a frame its series, a block of values
// the series that have them.
//
// # Concurrency
//
// A Writer belongs to one goroutine. A Reader may be used from any number, each of which
// holds it with Acquire and Release while it uses bytes that lie in the files. Close lets
// the holders finish.
//
// # Files
//
//	<ULID>/meta.json    what the block is; the JSON of Meta
//	<ULID>/index        labels and columns of the series, postings, tables
//	<ULID>/data         pages: values, timelines, exemplars
//	<ULID>/tombstones   deletions; absent if there is none
//	<ULID>.tmp          a block that is being written or deleted
//
// Numbers are little-endian. "uvarint" is the unsigned variable-length integer of
// encoding/binary, "svarint" is a uvarint of the zigzag form (n<<1 ^ n>>63), "string" is a
// uvarint length and the bytes. Checksums are CRC-32C (Castagnoli). Files can be read in
// ranges: first the end of the index, then the tables, then whatever they point to.
//
// meta.json ends with the member "checksum", whose 8 hexadecimal digits are the checksum of
// all bytes before its key.
//
// index, data and tombstones begin with
//
//	0   4  magic: "GIDX", "GDAT", "GTMB"
//	4   1  version, 1
//	5  11  0
//
// # data
//
// Pages, back to back; where they lie is in the index. A page is timelines, or it is columns:
//
//	payload of the float columns, as encoding.PageWriter has it
//	bytes of the columns, one after the other, of those that have some:
//	  exemplars, or of a chunk
//	  presence, if it has one: ceil(rows/8) bytes, row i at bit i%8 of byte i/8
//	  start timestamps, if it has them: uvarint length, encoding.AppendTimes
//	  values, if they are no floats: encoding.AppendHistograms or AppendFloatHistograms, or
//	    buckets as package rollup has them; one per row that is present
//	timeline   encoding.AppendTimes, strictly ascending
//	exemplars  of a series: uvarint count, then each: a byte, 1 if it has a time; svarint
//	           time minus the one before; 8 bytes value; uvarint number of labels, a string name
//	           and a string value each
//
// The columns of the series of a frame have pages of their own. They come in the order of
// time, and those of the same time in the order of the series, so that a query of a short
// time reads few pages and that the buckets of a histogram are neighbours, one coded against
// the other.
//
// # index
//
//	header
//	columns of the frames
//	lists, and per label name its values
//	labels of the frames
//	sections: pages, timelines, frames, names, metadata
//	table of contents: per section
//	  4 kind: 1 pages, 2 timelines, 3 frames, 4 names, 5 metadata
//	  8 offset   8 length   4 checksum
//	4 checksum of the table of contents
//	4 number of sections, 5
//	4 "GEND"
//
// Pages: 8 offset in data, 4 length, 4 checksum.
//
// Timelines: 4 page, 4 offset in the page, 4 length, 4 rows, 8 first and 8 last timestamp.
//
// Frames, each of consecutive series: 4 number of the first series, 4 series, 4 first page;
// then of its labels and of its columns: 8 offset, 4 length, 4 length decompressed, 4 checksum
// (of the compressed bytes). Both are zstd.
//
// Metadata: 4 length decompressed; zstd of: uvarint count, then strings type, unit and help
// each.
//
// Names: uvarint count, then each, ascending: string name; uvarint number of values, uvarint
// number of the series that have it; place of the list of those; uvarint offset and uvarint
// length of the values, 4 bytes checksum of their directory.
//
// # Labels of a frame
//
//	uvarint number of names that occur, then each: uvarint number in the table of names, minus
//	  one more than the name before (the first: the number)
//	uvarint number of shapes, then each: uvarint number of labels, then the uvarint place of each
//	  name among those that occur
//	per series: uvarint shape
//	  svarint metadata minus that of the series before: 0 is none, n+1 is number n of the table
//	  per label: svarint number of its value minus the number that the name had last in the frame
//	    (at first 0)
//
// # Columns of a frame
//
//	uvarint number of pages
//	per page: uvarint number of columns, uvarint length of its payload
//	per column, in the order of the pages: a byte
//	  bits 0-2 kind: 0 floats, 1 histograms, 2 float histograms, 3 buckets; 7 exemplars
//	  8 presence, 16 start timestamps, 32 the rows are those of the column before
//	per column: svarint series minus one more than that of the column before (the first: the
//	  series), counted from the first of the frame
//	per column that has rows of its own: svarint timeline minus the one before, uvarint first
//	  row, uvarint rows
//	per column that has bytes: uvarint their number
//	per page: uvarint length and the heads of its float columns, as encoding.PageWriter has them
//
// # Values of a name
//
//	directory, per block of 16 values: 4 offset behind the directory, 4 checksum of the block
//	blocks: uvarint length of the strings
//	  strings, ascending, each: uvarint number of bytes that it has in common with the one before
//	    (the first of a block: 0), string of the others
//	  per value: uvarint number of series, then their list: uvarint length and the list, or 0 and
//	    its place
//
// A list is series, ascending, as items: a uvarint whose bits from 1 upwards are the series
// minus one more than the last (the first: the series). If bit 0 is set, it is a run, and a
// uvarint follows, the length of the run minus 2.
//
// The place of a list is a uvarint offset, a uvarint length, a uvarint length decompressed (0
// if it is not compressed, else it is zstd), 4 bytes checksum.
//
// # tombstones
//
//	header
//	uvarint count, then each: svarint min and max time, inclusive; uvarint length, roaring bitmap
//	4 checksum of all bytes before
//
// # Versions
//
//	version  introduced           golden file
//	1        everything above     testdata/golden_v1
package block
