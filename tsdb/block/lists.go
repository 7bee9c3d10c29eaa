package block

import (
	"encoding/binary"
	"errors"

	"github.com/RoaringBitmap/roaring/v2"
)

// appendList appends series, which ascend, as the gaps between them: runs of two and more are
// one item.
func appendList(dst []byte, ids []uint32) []byte {
	next := uint32(0)
	for i := 0; i < len(ids); {
		n := 1
		for i+n < len(ids) && ids[i+n] == ids[i]+uint32(n) {
			n++
		}
		gap := uint64(ids[i]-next) << 1
		if n == 1 {
			dst = binary.AppendUvarint(dst, gap)
		} else {
			dst = binary.AppendUvarint(dst, gap|1)
			dst = binary.AppendUvarint(dst, uint64(n-2))
		}
		next = ids[i] + uint32(n)
		i += n
	}
	return dst
}

var errList = errors.New("bad posting list")

// postingList is a list as it lies in a file.
type postingList struct {
	coded  []byte
	series uint32 // Of the block.
	n      uint32 // Series in the list.
}

// listRuns goes through the runs of a list.
type listRuns struct {
	r    byteReader
	list *postingList
	// The run at hand: from <= series < to.
	from, to uint64
	n        uint64
	err      error
}

func (l *postingList) runs() listRuns { return listRuns{r: byteReader{b: l.coded}, list: l} }

// next goes to the next run and reports whether there is one.
func (it *listRuns) next() bool {
	if len(it.r.b) == 0 {
		if it.n != uint64(it.list.n) {
			it.err = errList
		}
		return false
	}
	gap := it.r.uvarint()
	it.from = it.to + gap>>1
	it.to = it.from + 1
	if gap&1 != 0 {
		it.to += 1 + uint64(it.r.uint32())
	}
	if it.r.bad || gap>>1 >= uint64(it.list.series) || it.to > uint64(it.list.series) {
		it.err = errList
		return false
	}
	it.n += it.to - it.from
	return true
}

// check goes through the list.
func (l *postingList) check() error {
	it := l.runs()
	for it.next() {
	}
	return it.err
}

// listUnion collects lists into a bitmap.
type listUnion struct {
	dst *roaring.Bitmap
	// pending are series that are not in dst yet. Adding them in any order is slow: when they get
	// many they go to dense, which has a bit for each series of the block.
	pending []uint32
	dense   []uint64
}

// Constants of listUnion.
const (
	// maxPending is about from how many series on it uses a bit for each series of the block.
	maxPending = 1024
	// longRun is how long a run is added as such.
	longRun = 64
)

func (u *listUnion) add(l *postingList) error {
	if u.dense == nil && len(u.pending)+len(l.coded) > maxPending {
		u.dense = make([]uint64, (uint64(l.series)+63)/64)
	}
	it := l.runs()
	if u.dense == nil {
		for it.next() {
			if it.to-it.from >= longRun {
				u.dst.AddRange(it.from, it.to)
				continue
			}
			for id := it.from; id < it.to; id++ {
				u.pending = append(u.pending, uint32(id))
			}
		}
		return it.err
	}
	for it.next() {
		if it.to-it.from == 1 {
			u.dense[it.from>>6] |= 1 << (it.from & 63)
		} else {
			setBits(u.dense, it.from, it.to)
		}
	}
	return it.err
}

// setBits sets the bits from <= i < to.
func setBits(words []uint64, from, to uint64) {
	first, last := from>>6, (to-1)>>6
	head, tail := ^uint64(0)<<(from&63), ^uint64(0)>>(63-(to-1)&63)
	if first == last {
		words[first] |= head & tail
		return
	}
	words[first] |= head
	for i := first + 1; i < last; i++ {
		words[i] = ^uint64(0)
	}
	words[last] |= tail
}

// flush brings what was added into dst.
func (u *listUnion) flush() {
	u.dst.AddMany(u.pending)
	u.pending = u.pending[:0]
	if u.dense != nil {
		u.dst.Or(roaring.FromDense(u.dense, false))
		u.dense = nil
	}
}

// set returns the list as a bitmap.
func (l *postingList) set() (*roaring.Bitmap, error) {
	u := listUnion{dst: roaring.New()}
	if err := u.add(l); err != nil {
		return nil, err
	}
	u.flush()
	return u.dst, nil
}

func (l *postingList) intersects(set *roaring.Bitmap) (bool, error) {
	it := l.runs()
	for it.next() {
		if it.to-it.from == 1 && set.Contains(uint32(it.from)) || it.to-it.from > 1 && set.IntersectsWithInterval(it.from, it.to) {
			return true, nil
		}
	}
	return false, it.err
}
