package promql

import (
	"container/list"
	"sync"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// resultCache keeps the results of range queries, so that a dashboard that looks
// again needs the steps only that are new. An entry is a stretch of steps; a query of
// the same expression with the same step that meets the entry's steps takes from it
// what still holds. What has not been used for longest goes when there is too much.
type resultCache struct {
	maxBytes int64

	mu      sync.Mutex
	entries map[cacheKey]*list.Element
	order   list.List // of *cachedResult, the last used first
	bytes   int64
}

// cacheKey is what queries have in common that can share steps. phase is the first
// step modulo the distance of steps; all times are milliseconds.
type cacheKey struct {
	expr                  string
	step, phase, lookback int64
	// subquery is the default step of subqueries, which a reload may change.
	subquery int64
}

// cachedResult is the series at the steps from first to last, which is not changed
// any more. No sample that they were made of had changed at mark.
type cachedResult struct {
	key         cacheKey
	first, last int64
	mark        storage.Mark
	series      []Series
	bytes       int64
}

// newResultCache returns nil if there is to be none.
func newResultCache(maxBytes int64) *resultCache {
	if maxBytes <= 0 {
		return nil
	}
	return &resultCache{maxBytes: maxBytes, entries: map[cacheKey]*list.Element{}}
}

// get returns the entry of a key, or nil.
func (c *resultCache) get(key cacheKey) *cachedResult {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cachedResult)
}

// fits reports whether an entry of the series may be kept: it takes a quarter of the
// room at most.
func (c *resultCache) fits(series []Series) bool { return sizeOf(series) <= c.maxBytes/4 }

// put adds an entry, in place of the one with the same key, unless it is too large.
func (c *resultCache) put(r *cachedResult) {
	r.bytes = 256 + int64(len(r.key.expr)) + sizeOf(r.series)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[r.key]; e != nil {
		c.removeLocked(e)
	}
	if r.bytes > c.maxBytes/4 {
		return
	}
	c.entries[r.key] = c.order.PushFront(r)
	c.bytes += r.bytes
	for c.bytes > c.maxBytes {
		c.removeLocked(c.order.Back())
	}
}

func (c *resultCache) removeLocked(e *list.Element) {
	r := c.order.Remove(e).(*cachedResult)
	delete(c.entries, r.key)
	c.bytes -= r.bytes
}

// held returns how much there is, bytes. c may be nil.
func (c *resultCache) held() int64 {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// sizeOf returns about how much memory series take, bytes.
func sizeOf(series []Series) (n int64) {
	for i := range series {
		s := &series[i]
		n += 96 + int64(s.Metric.ByteSize()) + 16*int64(len(s.Floats)+len(s.Histograms))
		for _, h := range s.Histograms {
			n += 200 + 8*int64(len(h.H.PositiveBuckets)+len(h.H.NegativeBuckets)+len(h.H.PositiveSpans)+len(h.H.NegativeSpans)+len(h.H.CustomValues))
		}
	}
	return n
}

// between returns the entry's points at its steps from first to last; they share
// memory with the entry.
func (r *cachedResult) between(first, last int64) []Series {
	last = min(last, r.last)
	out := make([]Series, 0, len(r.series))
	for _, s := range r.series {
		s.Floats = pointsBetween(s.Floats, first, last, func(p *FloatPoint) int64 { return p.T })
		s.Histograms = pointsBetween(s.Histograms, first, last, func(p *HistogramPoint) int64 { return p.T })
		if len(s.Floats)+len(s.Histograms) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// pointsBetween returns the points with first <= t <= last.
func pointsBetween[P any](points []P, first, last int64, at func(*P) int64) []P {
	lo, hi := 0, len(points)
	for lo < hi && at(&points[lo]) < first {
		lo++
	}
	for hi > lo && at(&points[hi-1]) > last {
		hi--
	}
	return points[lo:hi:hi]
}

// joinSeries returns the series of pieces that follow each other in time, each in
// the order of labels, in new memory.
func joinSeries(pieces [][]Series) []Series {
	var floats, histograms int
	for _, p := range pieces {
		for i := range p {
			floats += len(p[i].Floats)
			histograms += len(p[i].Histograms)
		}
	}
	memory := Series{Floats: make([]FloatPoint, 0, floats), Histograms: make([]HistogramPoint, 0, histograms)}
	out := []Series{}
	for {
		least, any := labels.Labels{}, false
		for _, p := range pieces {
			if len(p) > 0 && (!any || labels.Compare(p[0].Metric, least) < 0) {
				least, any = p[0].Metric, true
			}
		}
		if !any {
			return out
		}
		f, h := len(memory.Floats), len(memory.Histograms)
		for i, p := range pieces {
			if len(p) == 0 || !labels.Equal(p[0].Metric, least) {
				continue
			}
			memory.Floats = append(memory.Floats, p[0].Floats...)
			for _, point := range p[0].Histograms {
				memory.Histograms = append(memory.Histograms, HistogramPoint{T: point.T, H: point.H.Copy()})
			}
			pieces[i] = p[1:]
		}
		joined := Series{Metric: least}
		if end := len(memory.Floats); end > f {
			joined.Floats = memory.Floats[f:end:end]
		}
		if end := len(memory.Histograms); end > h {
			joined.Histograms = memory.Histograms[h:end:end]
		}
		out = append(out, joined)
	}
}
