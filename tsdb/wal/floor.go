package wal

import (
	"encoding/binary"

	"github.com/gnomonhq/gnomon/storage"
)

// Floor says that samples of a series were deleted and how new the newest of them was: a
// deletion forgets samples, not the order.
type Floor struct {
	Series storage.SeriesRef
	T      int64
}

func appendFloors(dst []byte, floors []Floor) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(floors)))
	prev := Floor{}
	for _, f := range floors {
		dst = appendSvarint(dst, int64(f.Series-prev.Series))
		dst = appendSvarint(dst, f.T-prev.T)
		prev = f
	}
	return dst
}

// DecodeFloors decodes the payload of a TypeFloors record.
func DecodeFloors(payload []byte) (floors []Floor, err error) {
	n, src, err := readCount(payload, 2, "floors")
	if err != nil {
		return nil, err
	}
	floors = make([]Floor, n)
	prev := Floor{}
	for i := range floors {
		var delta int64
		if delta, src, err = readSvarint(src, "floor series"); err != nil {
			return nil, err
		}
		prev.Series += storage.SeriesRef(delta)
		if delta, src, err = readSvarint(src, "floor time"); err != nil {
			return nil, err
		}
		prev.T += delta
		floors[i] = prev
	}
	return floors, checkEnd(src, "floors")
}
