package index

import (
	"slices"
	"sort"

	"github.com/RoaringBitmap/roaring/v2"
)

// maxRuns is up to how many runs a list is a slice; beyond it is a bitmap, which takes hundreds
// of bytes at least.
const maxRuns = 32

// list is the series that have a label. The series of a target come one after the other, so
// that what they share, and often a metric or a label of one, is a run or a few. It is guarded
// by the lock of its owner.
type list struct {
	runs   []run // Ascending, with gaps between, if bitmap is nil.
	bitmap *roaring.Bitmap
}

// run is the series from first to last.
type run struct{ first, last uint32 }

// find returns the first run that does not end before id.
func (l *list) find(id uint32) int {
	return sort.Search(len(l.runs), func(i int) bool { return l.runs[i].last >= id })
}

func (l *list) add(id uint32) {
	if l.bitmap != nil {
		l.bitmap.Add(id)
		return
	}
	i := len(l.runs)
	if i > 0 && l.runs[i-1].last >= id {
		if i = l.find(id); l.runs[i].first <= id {
			return
		}
	}
	joins := i > 0 && l.runs[i-1].last == id-1
	if i < len(l.runs) && l.runs[i].first == id+1 {
		if l.runs[i].first = id; joins {
			l.runs[i-1].last = l.runs[i].last
			l.runs = slices.Delete(l.runs, i, i+1)
		}
		return
	}
	if joins {
		l.runs[i-1].last = id
		return
	}
	if len(l.runs) < maxRuns {
		l.runs = slices.Insert(l.runs, i, run{id, id})
		return
	}
	l.spill()
	l.bitmap.Add(id)
}

const spilledAtOnce = 512

// spill makes a bitmap of the runs. It is not one of runs, which takes more once there are many.
func (l *list) spill() {
	b, ids := roaring.New(), make([]uint32, 0, spilledAtOnce)
	for _, r := range l.runs {
		for id := r.first; ; id++ {
			if ids = append(ids, id); len(ids) == spilledAtOnce {
				b.AddMany(ids)
				ids = ids[:0]
			}
			if id == r.last {
				break
			}
		}
	}
	b.AddMany(ids)
	l.bitmap, l.runs = b, nil
}

// addMany adds series that are not there.
func (l *list) addMany(ids []uint32) {
	for i, id := range ids {
		if l.bitmap != nil {
			l.bitmap.AddMany(ids[i:])
			return
		}
		l.add(id)
	}
}

// remove takes series out, and says whether the list is empty then.
func (l *list) remove(ids *roaring.Bitmap) (empty bool) {
	if l.bitmap != nil {
		l.bitmap.AndNot(ids)
		return l.bitmap.IsEmpty()
	}
	var kept []run
	gone := ids.Iterator()
	for _, r := range l.runs {
		from := uint64(r.first)
		for gone.AdvanceIfNeeded(r.first); gone.HasNext() && gone.PeekNext() <= r.last; from = uint64(gone.Next()) + 1 {
			if id := gone.PeekNext(); uint64(id) > from {
				kept = append(kept, run{uint32(from), id - 1})
			}
		}
		if from <= uint64(r.last) {
			kept = append(kept, run{uint32(from), r.last})
		}
	}
	l.runs = kept
	if len(kept) > maxRuns {
		l.spill()
	}
	return len(kept) == 0
}

// clone returns the list as a bitmap of its own.
func (l *list) clone() *roaring.Bitmap {
	if l.bitmap != nil {
		return l.bitmap.Clone()
	}
	b := roaring.New()
	for _, r := range l.runs {
		r.addTo(b)
	}
	return b
}

func (r run) addTo(b *roaring.Bitmap) {
	if r.first == r.last {
		b.Add(r.first)
		return
	}
	b.AddRange(uint64(r.first), uint64(r.last)+1)
}

// retain removes from a set what is not in the list.
func (l *list) retain(set *roaring.Bitmap) {
	if l.bitmap != nil {
		set.And(l.bitmap)
		return
	}
	set.And(l.clone())
}

func (l *list) intersects(set *roaring.Bitmap) bool {
	if l.bitmap != nil {
		return l.bitmap.Intersects(set)
	}
	return slices.ContainsFunc(l.runs, func(r run) bool {
		if r.first == r.last {
			return set.Contains(r.first)
		}
		return set.IntersectsWithInterval(uint64(r.first), uint64(r.last)+1)
	})
}

func (l *list) len() int {
	if l.bitmap != nil {
		return int(l.bitmap.GetCardinality())
	}
	n := 0
	for _, r := range l.runs {
		n += int(r.last-r.first) + 1
	}
	return n
}

// union collects lists into a bitmap. Short runs are sorted before they are added, since adding
// in random order is slow.
type union struct {
	dst     *roaring.Bitmap
	pending []uint32
}

const (
	// maxPending bounds union.pending, about.
	maxPending = 1 << 16
	// shortRun is up to how many series a run is added one by one.
	shortRun = 8
)

func (u *union) add(l *list) {
	if l.bitmap != nil {
		u.dst.Or(l.bitmap)
		return
	}
	for _, r := range l.runs {
		if r.last-r.first >= shortRun {
			r.addTo(u.dst)
			continue
		}
		u.addEach(r)
	}
}

// addEach adds the series of a run one by one.
func (u *union) addEach(r run) {
	for id := r.first; ; id++ {
		if u.pending = append(u.pending, id); len(u.pending) >= maxPending {
			u.flush()
		}
		if id == r.last {
			return
		}
	}
}

func (u *union) flush() {
	slices.Sort(u.pending)
	u.dst.AddMany(u.pending)
	u.pending = u.pending[:0]
}
