package head

import (
	"sync"
	"sync/atomic"

	"github.com/gnomonhq/gnomon/storage"
)

const slotPageSize = 1024

// slots gives series their numbers. A reference is a generation and a slot: a
// slot is used again for another series, with a greater generation, so that an
// old reference is unknown and never another series. The postings know series
// by the slot alone, so a slot rests for a while before it is used again.
type slots struct {
	pages atomic.Pointer[[]*slotPage] // replaced when it grows

	mu struct {
		sync.Mutex
		next       uint32 // first slot that has never been used
		generation uint32 // greatest one given out
		free       []uint32
		resting    []uint32 // freed since the last call of reuse
	}
}

type slotPage [slotPageSize]atomic.Pointer[series]

func slotOf(ref storage.SeriesRef) uint32 { return uint32(ref) }

// get returns the series in a slot, nil if it is empty.
func (t *slots) get(slot uint32) *series {
	pages := t.pages.Load()
	if pages == nil || int(slot/slotPageSize) >= len(*pages) {
		return nil
	}
	return (*pages)[slot/slotPageSize][slot%slotPageSize].Load()
}

// take gives a new series its reference. Slot 0 is not used, so that no
// reference is 0.
func (t *slots) take(s *series) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.mu.free); n > 0 {
		slot := t.mu.free[n-1]
		t.mu.free = t.mu.free[:n-1]
		t.mu.generation++
		s.ref = storage.SeriesRef(t.mu.generation)<<32 | storage.SeriesRef(slot)
	} else {
		t.mu.next = max(t.mu.next, 1)
		s.ref = storage.SeriesRef(t.mu.generation)<<32 | storage.SeriesRef(t.mu.next)
		t.mu.next++
	}
	t.storeLocked(s)
}

// put enters a series that has a reference already. If its slot is taken, which
// a damaged log can bring about, it gets another reference.
func (t *slots) put(s *series) {
	slot := slotOf(s.ref)
	if slot == 0 || t.get(slot) != nil {
		t.take(s)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.generation = max(t.mu.generation, uint32(s.ref>>32))
	for t.mu.next = max(t.mu.next, 1); t.mu.next < slot; t.mu.next++ {
		t.mu.resting = append(t.mu.resting, t.mu.next)
	}
	t.mu.next = max(t.mu.next, slot+1)
	t.storeLocked(s)
}

func (t *slots) storeLocked(s *series) {
	slot := slotOf(s.ref)
	var pages []*slotPage
	if p := t.pages.Load(); p != nil {
		pages = *p
	}
	if int(slot/slotPageSize) >= len(pages) {
		pages = append([]*slotPage(nil), pages...)
		for int(slot/slotPageSize) >= len(pages) {
			pages = append(pages, &slotPage{})
		}
		t.pages.Store(&pages)
	}
	pages[slot/slotPageSize][slot%slotPageSize].Store(s)
}

// release empties the slot of a series.
func (t *slots) release(s *series) {
	slot := slotOf(s.ref)
	t.mu.Lock()
	defer t.mu.Unlock()
	(*t.pages.Load())[slot/slotPageSize][slot%slotPageSize].Store(nil)
	t.mu.resting = append(t.mu.resting, slot)
}

// reuse ends the rest of slots that are still empty.
func (t *slots) reuse() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, slot := range t.mu.resting {
		if t.get(slot) == nil {
			t.mu.free = append(t.mu.free, slot)
		}
	}
	t.mu.resting = nil
}

func (t *slots) each(f func(*series) bool) {
	pages := t.pages.Load()
	if pages == nil {
		return
	}
	for _, p := range *pages {
		for i := range p {
			if s := p[i].Load(); s != nil && !f(s) {
				return
			}
		}
	}
}
