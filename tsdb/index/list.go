package index

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// maxInline is up to how many series a list is a slice. Most values have few series, and a
// bitmap takes hundreds of bytes.
const maxInline = 32

// list is the series that have a label. It is guarded by the lock of its labelIndex.
type list struct {
	ids    []uint32 // Ascending, if bitmap is nil.
	bitmap *roaring.Bitmap
}

func (l *list) add(id uint32) {
	if l.bitmap != nil {
		l.bitmap.Add(id)
		return
	}
	i, found := slices.BinarySearch(l.ids, id)
	if found {
		return
	}
	if len(l.ids) < maxInline {
		l.ids = slices.Insert(l.ids, i, id)
		return
	}
	l.bitmap = roaring.BitmapOf(l.ids...)
	l.bitmap.Add(id)
	l.ids = nil
}

// remove takes a series out, and says whether the list is empty then.
func (l *list) remove(id uint32) (empty bool) {
	if l.bitmap != nil {
		l.bitmap.Remove(id)
		return l.bitmap.IsEmpty()
	}
	if i, found := slices.BinarySearch(l.ids, id); found {
		l.ids = slices.Delete(l.ids, i, i+1)
	}
	return len(l.ids) == 0
}

// clone returns the list as a bitmap of its own.
func (l *list) clone() *roaring.Bitmap {
	if l.bitmap != nil {
		return l.bitmap.Clone()
	}
	return roaring.BitmapOf(l.ids...)
}

func (l *list) intersects(set *roaring.Bitmap) bool {
	if l.bitmap != nil {
		return l.bitmap.Intersects(set)
	}
	return slices.ContainsFunc(l.ids, set.Contains)
}

func (l *list) len() int {
	if l.bitmap != nil {
		return int(l.bitmap.GetCardinality())
	}
	return len(l.ids)
}

// union collects lists into a bitmap. Single series are sorted before they are added, since
// adding in random order is slow.
type union struct {
	dst     *roaring.Bitmap
	pending []uint32
}

// maxPending bounds union.pending.
const maxPending = 1 << 16

func (u *union) add(l *list) {
	if l.bitmap != nil {
		u.dst.Or(l.bitmap)
		return
	}
	u.pending = append(u.pending, l.ids...)
	if len(u.pending) >= maxPending {
		u.flush()
	}
}

func (u *union) flush() {
	slices.Sort(u.pending)
	u.dst.AddMany(u.pending)
	u.pending = u.pending[:0]
}
