package block

import (
	"hash/crc32"
	"sync"
	"sync/atomic"
)

// frameCache keeps decompressed frames of the directory. A hit takes no lock. When the budget
// is exceeded, a hand goes round and drops frames that were not used since its last visit.
type frameCache struct {
	slots []frameSlot

	mu struct {
		sync.Mutex
		budget, bytes int
		hand          int
	}
}

type frameSlot struct {
	frame atomic.Pointer[frame]
	used  atomic.Bool
}

func (c *frameCache) init(n, budget int) {
	c.slots = make([]frameSlot, n)
	c.mu.budget = budget
}

func (c *frameCache) get(i int) *frame {
	s := &c.slots[i]
	f := s.frame.Load()
	if f != nil && !s.used.Load() {
		s.used.Store(true)
	}
	return f
}

// put stores a frame and drops others for it.
func (c *frameCache) put(i int, f *frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots[i].frame.Swap(f) != nil {
		return // Another goroutine read it at the same time.
	}
	c.slots[i].used.Store(true)
	c.mu.bytes += f.size
	// Twice around: the first round may only take away marks.
	for range 2 * len(c.slots) {
		if c.mu.bytes <= c.mu.budget {
			return
		}
		at := c.mu.hand
		c.mu.hand = (at + 1) % len(c.slots)
		s := &c.slots[at]
		old := s.frame.Load()
		if old == nil || at == i || s.used.Swap(false) {
			continue
		}
		s.frame.Store(nil)
		c.mu.bytes -= old.size
	}
}

// frame returns a frame of the directory, checked.
func (r *Reader) frame(i int) (*frame, error) {
	if f := r.frames.get(i); f != nil {
		return f, nil
	}
	e := &r.index.frames[i]
	at := part{r.index.file, int64(e.offset)}
	stored := r.index.data[e.offset:][:e.stored]
	if got := crc32.Checksum(stored, castagnoli); got != e.crc {
		return nil, at.checksum("directory frame", e.crc, got)
	}
	f, ok := decodeFrame(stored, e)
	if !ok {
		return nil, at.corrupt("directory frame of %d bytes", e.stored)
	}
	r.frames.put(i, f)
	return f, nil
}
