package block

import (
	"sync"
	"sync/atomic"
)

// frameCache keeps decoded parts of frames of the directory. A hit takes no lock. When the
// budget is exceeded, a hand goes round and drops parts that were not used since its last
// visit.
type frameCache[F any] struct {
	slots []frameSlot[F]

	mu struct {
		sync.Mutex
		budget, bytes int
		hand          int
	}
}

type frameSlot[F any] struct {
	frame atomic.Pointer[F]
	size  int // Guarded by mu.
	used  atomic.Bool
}

func (c *frameCache[F]) init(n, budget int) {
	c.slots = make([]frameSlot[F], n)
	c.mu.budget = budget
}

func (c *frameCache[F]) get(i int) *F {
	s := &c.slots[i]
	f := s.frame.Load()
	if f != nil && !s.used.Load() {
		s.used.Store(true)
	}
	return f
}

// put stores a frame of a size and drops others for it.
func (c *frameCache[F]) put(i int, f *F, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots[i].frame.Swap(f) != nil {
		return // Another goroutine read it at the same time.
	}
	c.slots[i].used.Store(true)
	c.slots[i].size = size
	c.mu.bytes += size
	// Twice around: the first round may only take away marks.
	for range 2 * len(c.slots) {
		if c.mu.bytes <= c.mu.budget {
			return
		}
		at := c.mu.hand
		c.mu.hand = (at + 1) % len(c.slots)
		s := &c.slots[at]
		if s.frame.Load() == nil || at == i || s.used.Swap(false) {
			continue
		}
		s.frame.Store(nil)
		c.mu.bytes -= s.size
	}
}
