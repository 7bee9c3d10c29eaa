package exec

import (
	"slices"
	"sync"

	"github.com/gnomonhq/gnomon/storage"
)

// A look is what a selector sees at the steps of a timeline: at step s the
// samples lo[s] up to hi[s], which does not belong to it.
type look struct {
	times  []int64
	lo, hi []int32
	// total is the number of samples of all steps together, fresh without those
	// that the step before saw too; widest is the most at one step.
	total, fresh int64
	widest       int
}

// last is the number of samples at the last step.
func (l *look) last() int {
	n := len(l.hi)
	if n == 0 {
		return 0
	}
	return int(l.hi[n-1] - l.lo[n-1])
}

// reach says which samples a selector sees at step s: those after begin(s) up to
// end(s), inclusive.
type reach struct {
	// firstEnd is the end of the first step, and step from one to the next: 0 if
	// it is fixed.
	firstEnd, step int64
	// length is from begin to end.
	length int64
	n      int
}

func (w *reach) end(s int) int64 { return w.firstEnd + int64(s)*w.step }

// apply finds the samples of each step. The slices of l are used.
func (w *reach) apply(l *look, times []int64) {
	l.times = times
	l.lo, l.hi = slices.Grow(l.lo[:0], w.n)[:w.n], slices.Grow(l.hi[:0], w.n)[:w.n]
	l.total, l.fresh, l.widest = 0, 0, 0
	var first, after boundary
	end := w.firstEnd
	for s := range w.n {
		before := after.at
		lo, hi := first.advance(times, end-w.length), after.advance(times, end)
		l.lo[s], l.hi[s] = int32(min(lo, hi)), int32(hi)
		width := hi - min(lo, hi)
		l.total += int64(width)
		l.widest = max(l.widest, width)
		if s == 0 || w.step != 0 {
			l.fresh += int64(hi - max(before, min(lo, hi)))
		}
		end += w.step
	}
}

// boundary is the first of times that is after one that moves forward.
type boundary struct {
	at int
	// stride is by how much it went last.
	stride int
}

// advance goes on to the first of times that is after t, which is mostly as far again
// as it was the last time.
func (b *boundary) advance(times []int64, t int64) int {
	at := b.at + b.stride
	if at > b.at && at <= len(times) && times[at-1] <= t {
		if at == len(times) || times[at] > t {
			b.at = at
			return at
		}
	} else {
		at = b.at
	}
	for at < len(times) && times[at] <= t {
		at++
	}
	b.at, b.stride = at, at-b.at
	return at
}

// freshAt returns how many samples step s sees that step s-1 did not.
func (w *reach) freshAt(l *look, s int) int64 {
	switch {
	case s == 0:
		return int64(l.hi[0] - l.lo[0])
	case w.step == 0:
		return 0
	}
	return int64(l.hi[s] - max(l.hi[s-1], l.lo[s]))
}

// looks keeps what was found for timelines, since series of a target share
// theirs. It is bounded in bytes, and begins anew when it is full. A timeline is
// kept when its second series comes: most selectors find one of each target.
type looks struct {
	reach reach
	// byKey has the looks by hash of the pieces; the list is empty after the first
	// series.
	byKey map[uint64][]*kept
	bytes int
	// own is the look of a series alone.
	own look
}

// kept is the look of a sequence of pieces.
type kept struct {
	pieces []piece
	look   look
	// joined has the timestamps if there are several pieces.
	joined []int64
}

// keptLooks has the memory of looks that are not used any more.
var keptLooks = sync.Pool{New: func() any { return &kept{} }}

// release gives the memory of all looks back.
func (c *looks) release() {
	for _, list := range c.byKey {
		for _, k := range list {
			clear(k.pieces)
			k.look.times = nil
			keptLooks.Put(k)
		}
	}
	c.byKey = nil
}

// maxLookBytes bounds what a selector keeps.
const maxLookBytes = 8 << 20

// of returns the look of the series that a reader read. Without a timeline that
// others share it is in memory of the reader.
func (c *looks) of(r *reader) *look {
	if key, shared := hashPieces(r.pieces); shared {
		list, again := c.byKey[key]
		for _, k := range list {
			if samePieces(k.pieces, r.pieces) {
				return &k.look
			}
		}
		if again {
			if l := c.keep(key, r); l != nil {
				return l
			}
		} else if c.room(seenBytes) {
			c.byKey[key] = nil
		}
	}
	times := r.joinTimes(r.times)
	if len(r.pieces) > 1 {
		r.times = times
	}
	c.own.lo, c.own.hi = r.lo, r.hi
	c.reach.apply(&c.own, times)
	r.lo, r.hi = c.own.lo, c.own.hi
	return &c.own
}

// seenBytes is about what it takes to remember that a timeline was seen.
const seenBytes = 48

// room makes room for something of a size, and reports whether there is.
func (c *looks) room(size int) bool {
	if size > maxLookBytes/8 {
		return false
	}
	if c.bytes += size; c.bytes > maxLookBytes || c.byKey == nil {
		c.bytes, c.byKey = size, map[uint64][]*kept{}
	}
	return true
}

// keep adds the look of a timeline, unless it takes too much memory.
func (c *looks) keep(key uint64, r *reader) *look {
	size := 8*c.reach.n + 128
	if len(r.pieces) > 1 {
		size += 8*len(r.values) + 48*len(r.pieces)
	}
	if !c.room(size) {
		return nil
	}
	k := keptLooks.Get().(*kept)
	k.pieces = append(k.pieces[:0], r.pieces...)
	times := r.joinTimes(k.joined)
	if len(r.pieces) > 1 {
		k.joined = times
	}
	c.reach.apply(&k.look, times)
	c.byKey[key] = append(c.byKey[key], k)
	return &k.look
}

// hashPieces returns a hash, and whether all pieces are of timelines that others
// may share.
func hashPieces(pieces []piece) (uint64, bool) {
	const prime = 0x9E3779B97F4A7C15
	h := uint64(len(pieces))
	for i := range pieces {
		p := &pieces[i]
		if p.timeline == storage.TimelineID(0) {
			return 0, false
		}
		h = (h^uint64(p.timeline))*prime ^ uint64(p.offset)<<24 ^ uint64(len(p.times))
		h ^= h >> 29
	}
	return h, len(pieces) > 0
}

func samePieces(a, b []piece) bool {
	return slices.EqualFunc(a, b, func(x, y piece) bool {
		return x.timeline == y.timeline && x.offset == y.offset && len(x.times) == len(y.times)
	})
}
