package wal

import "encoding/binary"

// RowTimes works out the times of rows from what is at their front, without decoding their
// values. It knows the time of every row that a RowDecoder can read. It belongs to one
// goroutine.
type RowTimes struct{ groups map[uint64]*rowTime }

// rowTime is the last row of a group.
type rowTime struct {
	t, step int64
	check   uint32 // The crc32c of its payload.
}

// NewRowTimes returns one that knows no group yet.
func NewRowTimes() *RowTimes { return &RowTimes{groups: map[uint64]*rowTime{}} }

// Next returns the time of the row of a TypeRow record. The records of a group are given to
// it in order, all of them. The error wraps ErrNoBase or ErrCorrupt.
func (r *RowTimes) Next(rec *Record) (t int64, err error) {
	group, src, err := readUvarint(rec.Payload, "row group")
	if err != nil {
		return 0, err
	}
	if len(src) == 0 || src[0]&^rowFlags != 0 {
		return 0, corruptf("row of group %d: bad flags", group)
	}
	full, src := src[0]&rowFull != 0, src[1:]
	last := r.groups[group]
	if !full {
		if len(src) < 4 {
			return 0, corruptf("row of group %d: no checksum of the base left", group)
		}
		if last == nil || last.check != binary.LittleEndian.Uint32(src) {
			return 0, ErrNoBase
		}
		src = src[4:]
	}
	dt, _, err := readSvarint(src, "row time")
	if err != nil {
		return 0, err
	}
	switch {
	case last == nil:
		last = &rowTime{t: dt}
		r.groups[group] = last
	case full:
		last.t, last.step = dt, 0
	default:
		last.step += dt
		last.t += last.step
	}
	last.check = rec.payloadCRC
	return last.t, nil
}
