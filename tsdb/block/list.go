package block

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"
)

// maxPlainList is up to how many series a posting list is plain numbers. It never changes.
const maxPlainList = 32

// listBuilder collects the series of a label, in ascending order.
type listBuilder struct {
	ids    []uint32
	bitmap *roaring.Bitmap
}

func (l *listBuilder) add(id uint32) {
	if l.bitmap == nil && len(l.ids) == maxPlainList {
		l.bitmap = roaring.BitmapOf(l.ids...)
		l.ids = nil
	}
	if l.bitmap != nil {
		l.bitmap.Add(id)
		return
	}
	l.ids = append(l.ids, id)
}

// append appends the list.
func (l *listBuilder) append(dst []byte) ([]byte, error) {
	if l.bitmap == nil {
		dst = binary.AppendUvarint(dst, uint64(len(l.ids)))
		next := uint32(0)
		for _, id := range l.ids {
			dst = binary.AppendUvarint(dst, uint64(id-next))
			next = id + 1
		}
		return dst, nil
	}
	l.bitmap.RunOptimize()
	b, err := l.bitmap.ToBytes()
	if err != nil {
		return dst, fmt.Errorf("posting list: %w", err)
	}
	dst = binary.AppendUvarint(dst, l.bitmap.GetCardinality())
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...), nil
}

var errList = errors.New("bad posting list")

// postingList is a list that was read from a file, in memory of its own.
type postingList struct {
	plain  []uint32
	bitmap *roaring.Bitmap
}

// readList reads a list and checks it, so that nothing that is done with it can fail. series is
// the number of series of the block.
func readList(r *byteReader, series uint32) (l postingList, err error) {
	n := r.uvarint()
	if n > uint64(series) || r.bad {
		return l, errList
	}
	if n <= maxPlainList {
		l.plain = make([]uint32, n)
		next := uint64(0)
		for i := range l.plain {
			next += r.uvarint()
			if next >= uint64(series) {
				return l, errList
			}
			l.plain[i] = uint32(next)
			next++
		}
		if r.bad {
			return l, errList
		}
		return l, nil
	}
	b := r.bytes(r.uvarint())
	if r.bad {
		return l, errList
	}
	l.bitmap = roaring.New()
	// ReadFrom copies, so that the bitmap outlives the mapping. Validate must come before
	// anything else that looks into containers.
	if _, err := l.bitmap.ReadFrom(bytes.NewReader(b)); err != nil {
		return l, fmt.Errorf("%w: %v", errList, err)
	}
	if err := l.bitmap.Validate(); err != nil {
		return l, fmt.Errorf("%w: %v", errList, err)
	}
	if l.bitmap.GetCardinality() != n || l.bitmap.Maximum() >= series {
		return l, errList
	}
	return l, nil
}

// set returns the list as a bitmap, which takes over its memory.
func (l *postingList) set() *roaring.Bitmap {
	if l.bitmap != nil {
		return l.bitmap
	}
	return roaring.BitmapOf(l.plain...)
}

func (l *postingList) addTo(dst *roaring.Bitmap) {
	if l.bitmap != nil {
		dst.Or(l.bitmap)
		return
	}
	dst.AddMany(l.plain)
}

func (l *postingList) intersects(set *roaring.Bitmap) bool {
	if l.bitmap != nil {
		return l.bitmap.Intersects(set)
	}
	for _, id := range l.plain {
		if set.Contains(id) {
			return true
		}
	}
	return false
}
