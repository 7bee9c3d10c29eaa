package head

import "sync"

// timeSpan is the timestamps of rows of a segment, from row lo on.
type timeSpan struct {
	lo    int
	times []int64
}

// timeSpans makes the timestamps that a querier hands out, in memory that is used
// again by others when the querier is closed. It is used by any number of
// goroutines.
type timeSpans struct {
	mu sync.Mutex
	// The following are guarded by mu, as are the spans of the views.
	free   []int64
	pieces []*[timesPiece]int64
}

// timesPiece is how many timestamps have their memory together. Longer spans have
// memory of their own.
const timesPiece = 4096

var timesPool = sync.Pool{New: func() any { return new([timesPiece]int64) }}

// of returns the timestamps of the rows lo <= row < hi, which kept may have. They
// are not changed until release.
func (t *timeSpans) of(kept *timeSpan, times *rowTimes, lo, hi int) []int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if kept.times == nil || lo < kept.lo || hi > kept.lo+len(kept.times) {
		*kept = timeSpan{lo, times.appendTo(t.takeLocked(hi-lo), lo, hi)}
	}
	return kept.times[lo-kept.lo : hi-kept.lo : hi-kept.lo]
}

// takeLocked returns empty room for n timestamps.
func (t *timeSpans) takeLocked(n int) []int64 {
	if n > timesPiece/4 && n > len(t.free) {
		return make([]int64, 0, n)
	}
	if n > len(t.free) {
		piece := timesPool.Get().(*[timesPiece]int64)
		t.pieces, t.free = append(t.pieces, piece), piece[:]
	}
	room := t.free[:0:n]
	t.free = t.free[n:]
	return room
}

// release lets others use the memory.
func (t *timeSpans) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, piece := range t.pieces {
		timesPool.Put(piece)
	}
	t.pieces, t.free = nil, nil
}
