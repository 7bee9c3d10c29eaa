// Package wal is the write-ahead log: checksummed records in numbered segments, written in
// batches and read back in order after a crash.
//
// It carries what the head is told (definitions of groups and series, rows, loose samples,
// exemplars, metadata, deletions) and knows nothing of what the head makes of it. It decides
// nothing about what may be dropped: the owner says so with a checkpoint.
//
// # Writing
//
// A [Writer] appends [Batch]es. Begin pins the current segment, the methods of the batch
// encode records into its buffer, and Commit writes them: all of them or none, one write for
// all goroutines that commit at the same time. When Commit returned, the records belong to
// the operating system and survive the death of the process; [SyncPolicy] says when they
// survive a power loss. After a failed write the segment is cut back to its last good
// record, so that no torn record is ever buried under later ones; if even that fails, the
// log goes on in a new segment. While the disk is full, or has less free than
// Options.ReservedBytes, Commit fails with [ErrDiskFull] and nothing is written; it works
// again by itself when there is room.
//
// # Reading
//
// A [Reader] streams the records of the newest checkpoint and of the segments after it.
// Damage costs the damaged records only: it is reported with file, offset and reason, and
// reading goes on at the next record that is whole. A [RowDecoder] turns row records into
// rows; a row whose base was lost is refused with [ErrNoBase], never decoded wrongly.
//
// # Files
//
//	<dir>/00000042.wal                       a segment
//	<dir>/checkpoint.00000042/00000001.wal   a checkpoint: what the segments below 42 said
//	<dir>/checkpoint.00000043.tmp            a checkpoint that is not finished
//
// Numbers are little-endian. "uvarint" is the unsigned variable-length integer of
// encoding/binary, "svarint" is a uvarint of the zigzag form (n<<1 ^ n>>63), "string" is a
// uvarint length and the bytes. Checksums are CRC-32C (Castagnoli).
//
// # Segment
//
//	 0   4  magic "GWAL"
//	 4   1  version, 1
//	 5   1  kind: 0 log, 1 checkpoint
//	 6   2  0
//	 8   8  number of the segment
//	16  16  origin: the node that writes
//	32   4  checksum of bytes 0 to 31
//	36      records, one after the other
//
// # Record
//
//	0   1  0xd5
//	1   1  type, 1 to 31; plus 128 if the payload is compressed: a block of S2, whose own
//	       length is up to 2^24−1
//	2   3  length of the payload, up to 2^24−1
//	5   3  number of the record in the segment, counted from 0
//	8   4  checksum of the payload followed by bytes 0 to 7
//	12     payload
//
// The sequence number of a record is segment<<24 | number. The records of an origin are in the
// order of their sequence numbers, and no number is used twice, also over restarts: a Reader
// can begin behind any of them (ReaderOptions.After). Records of a checkpoint have the number
// 0, since they do not tell when something came. Types that a program does not
// know are passed on by the Reader; their consumer counts and skips them.
//
// # Payloads
//
// Type 1, group: uvarint id; string origin.
//
// Type 2, group close: uvarint group.
//
// Type 3, columns: uvarint group, 0 for series without one; strings (uvarint count, then
// string each); uvarint count of columns, then each: svarint column minus the one before
// (the first: minus 0), svarint series minus the one before, labels. Labels are a uvarint
// count and pairs of uvarints, name and value, counted into the strings of the record.
//
// Type 4, column release: uvarint group; uvarint count; svarint column minus the one before,
// each.
//
// Type 5, row:
//
//	uvarint  group
//	1 byte   flags: 1 full, 2 presence, 4 columns, 8 histograms, 16 start times
//	full:    svarint time
//	else:    4 bytes checksum of the payload of the group's row before, the base;
//	         svarint time minus the base's, minus the same difference of the base (0 after a full row)
//	full or columns:  uvarint number of columns, at most 2^21
//	presence:         column set: the columns that are present and were not, or the reverse
//	column set:       the columns whose value differs from the base's
//	a value for each of them
//	histograms:       uvarint count, then each: uvarint column minus one more than the column
//	                  before (the first: the column), single histogram (package encoding)
//	start times:      column set: the columns whose start timestamp differs from the base's;
//	                  svarint difference each
//
// A full row has as its base: no column present, all values 0 at decimal exponent 0, all start
// timestamps 0. So have columns that come with "columns". A segment holds a full row of a
// group before others of it, so that it can be read without the segment before. Columns
// keep value and start timestamp while they are absent, and their value while they have a
// histogram; a full row has the values that are kept, and all columns that the group ever had.
//
// A value is a uvarint u. In a column whose last value was coded as a decimal with exponent e,
// u > 0 is m = m(last) + unzigzag(u), and the value is float64(m)/10^e. In one whose last value
// was coded as bits, u > 0 is the difference of the ordered bits (package encoding), zigzag. u =
// 0 is followed by a byte:
//
//	0 to 14  the column is decimal with this exponent from now on: svarint m
//	15       the column is bits from now on: 8 bytes
//	16       the staleness marker; the column is bits from now on
//
// A column set of n columns is a byte and:
//
//	0 none
//	1 all
//	2 gaps       uvarint count, then uvarint gap each: column minus one more than the column before
//	3 bitmap     ceil(n/8) bytes, column c at bit c%8 of byte c/8
//	4 two-level  ceil(ceil(n/8)/8) bytes: a bitmap of the bytes of the bitmap that are not 0; those bytes
//
// Type 6, samples: a byte of flags (1 histograms, 2 start times), then until the end: svarint
// series minus the one before, svarint time minus the one before; with start times a uvarint,
// 0 for none or 1 plus zigzag of time minus start; with histograms a byte, 0 float or 1 single
// histogram, which follows; a float is a uvarint, 1 plus zigzag of an integer of at most 2^53, or
// 0 followed by 8 bytes.
//
// Type 7, exemplars: strings; uvarint count, then each: uvarint series; a byte, 1 if it has a
// time; svarint time; 8 bytes value; labels.
//
// Type 8, metadata: strings; uvarint count, then each: uvarints series, type, unit, help, the
// latter counted into the strings.
//
// Type 9, tombstone: svarint min time, svarint max time, inclusive; uvarint count of series,
// svarint difference each; uvarint count of matchers, then each: a byte (0 =, 1 !=, 2 =~, 3 !~),
// string name, string value.
//
// Type 12, floors: uvarint count, then each: svarint series minus the one before, svarint time
// minus the one before.
//
// Types 10 and 11, begin and end of a checkpoint: uvarint number of the segment that replay
// goes on with.
//
// # Versions
//
//	version  introduced           golden file
//	1        everything above     testdata/golden_v1.txt, golden_packed_v1.txt
//
// # Concurrency
//
// A Writer may be used from any number of goroutines; a Batch, a RowEncoder, a Reader and a
// RowDecoder each from one at a time.
package wal
