// Package block reads and writes blocks: immutable files that hold the samples of a time
// range, metric-major, with each timeline stored once.
//
// A [Writer] takes timelines and then series in the order of [Compare], each with its
// chunks, and makes the block visible in one step. A [Reader] is an open block: it implements
// index.Postings, gives the directory entry of a series, the bytes of a chunk and the
// timestamps of a timeline, and keeps deletions beside the block as [Tombstones]. It decodes
// no values: package encoding does.
//
// The package does not decide what goes into a block, when, or what is deleted, and knows of
// no other block.
//
// # Damage
//
// Whatever is read is checked first: meta.json, the tables of the index and the tombstones
// when the block is opened, a page, a frame of the directory or the postings of a label name
// when it is first read. What is wrong is a [CorruptionError] with file and offset. It
// costs what it says: a page its chunks, a frame its series.
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
//	<ULID>/index        directory, postings, tables
//	<ULID>/data         pages: chunks, timelines, exemplars
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
// Pages, back to back. A page is bytes of chunks, timelines or exemplars; where they lie is in
// the index. Chunks come in the order of the series, in pages of their own.
//
//	chunk      presence, if it has one: ceil(rows/8) bytes, row i at bit i%8 of byte i/8
//	           start timestamps, if it has them: uvarint length, encoding.AppendTimes
//	           values: encoding.AppendFloats, AppendHistograms or AppendFloatHistograms,
//	           or buckets as package rollup has them; one per row that is present
//	timeline   encoding.AppendTimes, strictly ascending
//	exemplars  of a series: uvarint count, then each: a byte, 1 if it has a time; svarint
//	           time minus the one before; 8 bytes value; uvarint number of labels, a string name
//	           and a string value each
//
// # index
//
//	header
//	frames of the directory
//	postings, per label name
//	sections: symbols, pages, timelines, frames, names
//	table of contents: per section
//	  4 kind: 1 symbols, 2 pages, 3 timelines, 4 frames, 5 names
//	  8 offset   8 length   4 checksum
//	4 checksum of the table of contents
//	4 number of sections, 5
//	4 "GEND"
//
// Symbols: 4 bytes count; count+1 offsets of 4 bytes; the strings.
//
// Pages: 8 offset in data, 4 length, 4 checksum.
//
// Timelines: 4 page, 4 offset in the page, 4 length, 4 rows, 8 first and 8 last timestamp.
//
// Frames: 8 offset, 4 number of the first series, 4 series, 4 length, 4 length decompressed, 4
// checksum (of the compressed bytes). A frame is zstd of
//
//	4        base: the first page of the frame
//	4 each   offsets of the entries, one more than series
//	entries:
//	  uvarint number of labels, a uvarint symbol for name and value each
//	  byte    1 metadata, 2 exemplars
//	  metadata: uvarint symbols of type, unit, help
//	  exemplars: location
//	  uvarint number of chunks, each:
//	    byte     bits 0-1 kind: 0 floats, 1 histograms, 2 float histograms, 3 buckets;
//	             4 presence, 8 start timestamps
//	    uvarint  timeline, uvarint first row, uvarint rows
//	    location
//
// A location is a uvarint page minus base, a uvarint offset in the page and a uvarint length.
//
// Names: uvarint count, then each, ascending: string name; uvarint offset, uvarint length and 4
// bytes checksum of its postings, which are
//
//	4        number of values
//	4        length of the list of the series that have the name
//	4 each   offsets of the values, one more than values
//	the list of the series that have the name
//	values, ascending: string value, list
//
// A list is a uvarint count n and, up to 32, n uvarints, each the series minus one more than
// the series before (the first: the series); otherwise a uvarint length and a roaring bitmap
// in its portable format.
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
