package head

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

// slotPageSize makes pages of whole pages of the allocator, which takes small ones in sizes of its own.
const slotPageSize = 1024

// slots holds the series and gives them their numbers. A reference is a
// generation and a slot: a slot is used again for another series, with a greater
// generation, so that an old reference is unknown and never another series. The
// postings know series by the slot alone, so a slot rests for a while before it
// is used again. Nobody has a dead series for longer than that.
type slots struct {
	pages atomic.Pointer[[]*slotPage] // replaced when a page comes or goes

	mu struct {
		sync.Mutex
		next       uint32 // first slot that has never been used
		generation uint32 // greatest one given out
		free       []uint32
		resting    []uint32 // freed since the last call of reuse
	}
}

// slotPage has slots whose series are in the head, dead, or not there: see
// series.users. A page without a series is nil.
type slotPage [slotPageSize]series

func slotOf(ref storage.SeriesRef) uint32 { return uint32(ref) }

// at returns what is in a slot that is not free.
func (t *slots) at(slot uint32) *series {
	return &(*t.pages.Load())[slot/slotPageSize][slot%slotPageSize]
}

// get returns the series in a slot, nil if there is none in the head.
func (t *slots) get(slot uint32) *series {
	pages := t.pages.Load()
	if pages == nil || int(slot/slotPageSize) >= len(*pages) {
		return nil
	}
	p := (*pages)[slot/slotPageSize]
	if p == nil || !p[slot%slotPageSize].alive() {
		return nil
	}
	return &p[slot%slotPageSize]
}

// take makes a series with a new reference. Slot 0 is not used, so that no
// reference is 0.
func (t *slots) take(ls index.LabelSet, users int32) *series {
	t.mu.Lock()
	defer t.mu.Unlock()
	var slot uint32
	if n := len(t.mu.free); n > 0 {
		slot = t.mu.free[n-1]
		t.mu.free = t.mu.free[:n-1]
		t.mu.generation++
	} else {
		slot = max(t.mu.next, 1)
		t.mu.next = slot + 1
	}
	return t.fillLocked(storage.SeriesRef(t.mu.generation)<<32|storage.SeriesRef(slot), ls, users)
}

// put makes a series that has a reference already. If its slot is taken, which a
// damaged log can bring about, it gets another reference.
func (t *slots) put(ref storage.SeriesRef, ls index.LabelSet) *series {
	slot := slotOf(ref)
	t.mu.Lock()
	if slot == 0 || t.get(slot) != nil {
		t.mu.Unlock()
		return t.take(ls, noUsers)
	}
	defer t.mu.Unlock()
	t.mu.generation = max(t.mu.generation, uint32(ref>>32))
	for t.mu.next = max(t.mu.next, 1); t.mu.next < slot; t.mu.next++ {
		t.mu.resting = append(t.mu.resting, t.mu.next)
	}
	t.mu.next = max(t.mu.next, slot+1)
	return t.fillLocked(ref, ls, noUsers)
}

// beginRun begins a new generation.
func (t *slots) beginRun() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.generation++
}

// fillLocked puts a series into its slot.
func (t *slots) fillLocked(ref storage.SeriesRef, ls index.LabelSet, users int32) *series {
	s := &t.pageLocked(slotOf(ref) / slotPageSize)[slotOf(ref)%slotPageSize]
	s.ref, s.labels = ref, ls
	s.logged.Store(false)
	s.users.Store(users)
	return s
}

// pageLocked returns a page, made if it is not there.
func (t *slots) pageLocked(page uint32) *slotPage {
	var pages []*slotPage
	if p := t.pages.Load(); p != nil {
		pages = *p
	}
	if int(page) < len(pages) && pages[page] != nil {
		return pages[page]
	}
	grown := pages
	if int(page) < len(pages) {
		grown = slices.Clone(pages) // readers may be looking at the place of the page
	}
	// Growing at the end is in place: readers do not look behind the end that they know.
	for int(page) >= len(grown) {
		grown = append(grown, nil)
	}
	grown[page] = new(slotPage)
	t.pages.Store(&grown)
	return grown[page]
}

// release empties the slot of a dead series, whose lock the caller holds.
func (t *slots) release(s *series) {
	s.home, s.metadata, s.more = [1]place{}, nil, nil
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.resting = append(t.mu.resting, slotOf(s.ref))
}

// reuse ends the rest of slots that are still empty, and lets pages go in which
// all are. Low slots are used first, so that the others get empty.
func (t *slots) reuse() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.mu.resting) == 0 {
		return
	}
	for _, slot := range t.mu.resting {
		if t.get(slot) == nil {
			t.mu.free = append(t.mu.free, slot)
		}
	}
	t.mu.resting = nil
	slices.SortFunc(t.mu.free, func(a, b uint32) int { return cmp.Compare(b, a) })
	pages := slices.Clone(*t.pages.Load())
	for i := 0; i < len(t.mu.free); {
		page, n := t.mu.free[i]/slotPageSize, 0
		for ; i < len(t.mu.free) && t.mu.free[i]/slotPageSize == page; i++ {
			n++
		}
		if n == slotPageSize && int(page) < len(pages) {
			pages[page] = nil
		}
	}
	t.pages.Store(&pages)
}

func (t *slots) each(f func(*series) bool) {
	pages := t.pages.Load()
	if pages == nil {
		return
	}
	for _, p := range *pages {
		if p == nil {
			continue
		}
		for i := range p {
			if s := &p[i]; s.alive() && !f(s) {
				return
			}
		}
	}
}
