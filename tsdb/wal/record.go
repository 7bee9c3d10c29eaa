package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Type says what a record holds. The numbers never change.
type Type uint8

// The types of records; the package comment has their layouts.
const (
	TypeGroup           Type = 1  // A group is defined: DecodeGroup.
	TypeGroupClose      Type = 2  // A group ends: DecodeGroupClose.
	TypeColumns         Type = 3  // Columns of a group, or series without one, are defined: DecodeColumns.
	TypeColumnRelease   Type = 4  // Columns of a group are released: DecodeColumnRelease.
	TypeRow             Type = 5  // A row of a group: RowDecoder.
	TypeSamples         Type = 6  // Loose samples: DecodeSamples.
	TypeExemplars       Type = 7  // Exemplars: DecodeExemplars.
	TypeMetadata        Type = 8  // Metadata of series: DecodeMetadata.
	TypeTombstone       Type = 9  // A deletion: DecodeTombstone.
	TypeCheckpointBegin Type = 10 // The first record of a checkpoint.
	TypeCheckpointEnd   Type = 11 // The last record of a checkpoint.
	TypeFloors          Type = 12 // What is remembered of deleted samples: DecodeFloors.

	maxType = 31 // Types up to here may come from later versions; beyond is no record.

	// packed is joined to the type of a record whose payload is compressed.
	packed Type = 0x80
)

// String gives the type's name.
func (t Type) String() string {
	names := [...]string{"", "group", "group close", "columns", "column release", "row", "samples",
		"exemplars", "metadata", "tombstone", "checkpoint begin", "checkpoint end", "floors"}
	if int(t) < len(names) && t != 0 {
		return names[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Constants of the record frame; they never change.
const (
	frameSync     = 0xd5
	frameHeader   = 12
	maxPayload    = 1<<24 - 1
	maxSegRecords = 1 << 24
	sequenceShift = 24
)

// ErrCorrupt is wrapped by the errors of decoding a record's payload.
var ErrCorrupt = errors.New("corrupt log record")

// ErrRecordTooLarge is returned by Commit when a record's payload is 16 MiB or more.
var ErrRecordTooLarge = errors.New("log record is too large")

// ErrClosed is returned by Commit when the log is closed.
var ErrClosed = errors.New("log is closed")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

// Sequence is the place of a record in a log: greater for every later record. It is the
// number of the segment times 2^24 plus the number of the record in the segment, so that
// within a segment it has no gaps.
type Sequence uint64

// Segment is the number of the segment that holds the record.
func (s Sequence) Segment() uint64 { return uint64(s) >> sequenceShift }

// Record is a record as the Reader gives it.
type Record struct {
	Type Type
	// Sequence orders the records of the log. It is 0 in a checkpoint.
	Sequence Sequence
	// Payload is what the Decode functions read. It is valid until the next call of Next.
	Payload []byte
	// Origin is the node that wrote the record; all zeroes if the segment's header is damaged.
	Origin Origin
	// File and Offset say where the record begins, for messages.
	File   string
	Offset int64

	payloadCRC uint32 // Decompressed.
	stored     int    // Bytes in the file, without the header.
}

// putFrame fills in the header of a record. payloadCRC is the crc32c of the payload alone;
// the record's own goes on over the header, so that the leader of a group commit, who alone
// knows the number of the record, need not read the payload again.
func putFrame(header []byte, t Type, payloadLen, number int, payloadCRC uint32) {
	header[0] = frameSync
	header[1] = byte(t)
	putUint24(header[2:], payloadLen)
	putUint24(header[5:], number)
	binary.LittleEndian.PutUint32(header[8:], crc32.Update(payloadCRC, castagnoli, header[:8]))
}

func putUint24(b []byte, n int) {
	b[0], b[1], b[2] = byte(n), byte(n>>8), byte(n>>16)
}

func getUint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
