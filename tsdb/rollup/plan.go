package rollup

import (
	"cmp"
	"slices"
	"sort"

	"github.com/gnomonhq/gnomon/storage"
)

const (
	// raggedBuckets is how many buckets a step has at least if the edges of
	// windows may lie inside of buckets. The edges are then read from samples,
	// each at the cost of a chunk, which pays only if they are far apart.
	raggedBuckets = 96
	// rawGap is how far apart stretches of samples are at least to be read one by
	// one: about the length of a chunk.
	rawGap = 2 * 3600 * 1000
	// maxSegments bounds a plan. One that has more is not worth it.
	maxSegments = 400
)

// Segment is a stretch of time that is read from one place.
type Segment struct {
	// Lo and Hi are its begin, exclusive, and end, inclusive.
	Lo, Hi int64
	// Resolution is 0 for samples, otherwise that of the rollup Block, an index
	// among those that were surveyed.
	Resolution int64
	Block      int
}

// Plan says where windows are read from. It is immutable.
type Plan struct {
	// Segments ascend in time and do not overlap.
	Segments []Segment
	// windows are what the windows became where only rollups are left, and cells
	// are the stretches between their edges that lie in a window.
	windows, cells []interval
}

// Plan decides where to read windows from: from the coarsest rollups that tell
// them exactly, and where the samples are gone from whatever rollup there is.
// Rollups of times at recent or later do not count, since samples may come in
// there. nil means that samples alone will do.
func (s *State) Plan(w storage.Windows, recent int64) *Plan {
	begin, end := w.First-w.Range, w.End(w.Len()-1)
	if !s.touches(begin, end, recent) {
		return nil
	}
	free := []interval{{begin, end}}
	var segments []Segment
	take := func(from []interval, spans []Span, resolution int64, edges []interval, whole interval) []interval {
		for _, span := range spans {
			if span.Resolution == resolution {
				segments, from = span.take(segments, from, edges, whole)
			}
		}
		return from
	}
	resolutions := s.resolutions()
	for _, r := range slices.Backward(resolutions) {
		if edges, ok := edgesOn(w, r); ok {
			free = take(free, s.before(recent), r, edges, interval{noTime, noTime})
			free = take(free, s.last, r, edges, interval{noTime, noTime})
		}
	}
	var old []interval
	old, free = splitAt(free, s.gone)
	for _, r := range resolutions {
		old = take(old, s.last, r, nil, interval{begin, end})
		old = take(old, s.spans, r, nil, interval{begin, end})
	}
	if len(segments) == 0 {
		return nil
	}
	p := &Plan{Segments: segments}
	slices.SortFunc(p.Segments, func(a, b Segment) int { return cmp.Compare(a.Lo, b.Lo) })
	p.snap(w)
	p.divide()
	p.addSamples(append(old, free...))
	if len(p.Segments) > maxSegments {
		return nil
	}
	return p
}

// touches says early that there is nothing to plan.
func (s *State) touches(begin, end, recent int64) bool {
	if s == nil {
		return false
	}
	for _, list := range [][]Span{s.spans, s.last} {
		for _, span := range list {
			if span.Lo < end && span.Hi > begin && (span.Lo < recent || span.Hi <= s.gone) {
				return true
			}
		}
	}
	return false
}

// resolutions returns those there are, ascending.
func (s *State) resolutions() []int64 {
	var out []int64
	for _, list := range [][]Span{s.spans, s.last} {
		for _, span := range list {
			if !slices.Contains(out, span.Resolution) {
				out = append(out, span.Resolution)
			}
		}
	}
	slices.Sort(out)
	return out
}

// before returns the spans as far as they end before t.
func (s *State) before(t int64) []Span {
	if t == noTime {
		return nil
	}
	out := make([]Span, 0, len(s.spans))
	for _, span := range s.spans {
		if span.Hi >= t {
			span.Hi = floor(t-1, span.Resolution)
		}
		if span.Lo < span.Hi {
			out = append(out, span)
		}
	}
	return out
}

// edgesOn returns the buckets of a resolution in which windows begin or end. It
// reports whether the resolution serves the windows: there are none, or they are
// few and the windows long.
func edgesOn(w storage.Windows, resolution int64) ([]interval, bool) {
	n := w.Len()
	if w.First%resolution == 0 && w.Range%resolution == 0 && (n == 1 || w.Step%resolution == 0) {
		return nil, w.Range >= resolution
	}
	if w.Range < raggedBuckets*resolution || n > 1 && w.Step < raggedBuckets*resolution || n > maxSegments/2 {
		return nil, false
	}
	var out []interval
	for i := range n {
		for _, t := range []int64{w.End(i) - w.Range, w.End(i)} {
			if t%resolution != 0 {
				out = append(out, interval{floor(t, resolution), ceil(t, resolution)})
			}
		}
	}
	return out, true
}

// take gives to a span what it has of the free intervals, without the edges.
// At the ends of whole, it takes the bucket that whole ends in, as a whole.
func (s Span) take(segments []Segment, free, edges []interval, whole interval) ([]Segment, []interval) {
	var left []interval
	for _, f := range free {
		lo, hi := max(f.lo, s.Lo), min(f.hi, s.Hi)
		if lo >= hi {
			left = append(left, f)
			continue
		}
		if lo == whole.lo {
			lo = floor(lo, s.Resolution)
		}
		if hi == whole.hi {
			hi = ceil(hi, s.Resolution)
		}
		got := interval{ceil(lo, s.Resolution), floor(hi, s.Resolution)}
		if got.lo >= got.hi {
			left = append(left, f)
			continue
		}
		parts := []interval{got}
		for _, e := range edges {
			parts = without(parts, e)
		}
		rest := []interval{f}
		for _, p := range parts {
			segments = append(segments, Segment{p.lo, p.hi, s.Resolution, s.Block})
			rest = without(rest, p)
		}
		left = append(left, rest...)
	}
	return segments, left
}

// splitAt divides intervals into those up to t and those after it.
func splitAt(list []interval, t int64) (before, after []interval) {
	for _, i := range list {
		if i.lo < t {
			before = append(before, interval{i.lo, min(i.hi, t)})
		}
		if i.hi > t {
			after = append(after, interval{max(i.lo, t), i.hi})
		}
	}
	return before, after
}

// snap works out what becomes of windows whose edges lie inside of buckets: both
// edges move down, and a window within a bucket becomes the bucket.
func (p *Plan) snap(w storage.Windows) {
	p.windows = make([]interval, w.Len())
	for i := range p.windows {
		end := w.End(i)
		x := interval{p.floor(end - w.Range), p.floor(end)}
		if x.lo >= x.hi {
			x.hi = p.ceil(end)
		}
		p.windows[i] = x
	}
}

// segment returns the segment with Lo < t <= Hi.
func (p *Plan) segment(t int64) (Segment, bool) {
	i := sort.Search(len(p.Segments), func(i int) bool { return p.Segments[i].Hi >= t })
	if i == len(p.Segments) || p.Segments[i].Lo >= t || p.Segments[i].Resolution == 0 {
		return Segment{}, false
	}
	return p.Segments[i], true
}

func (p *Plan) floor(t int64) int64 {
	if s, ok := p.segment(t); ok {
		return floor(t, s.Resolution)
	}
	return t
}

func (p *Plan) ceil(t int64) int64 {
	if s, ok := p.segment(t); ok {
		return ceil(t, s.Resolution)
	}
	return t
}

// divide makes the cells.
func (p *Plan) divide() {
	edges := make([]int64, 0, 2*len(p.windows))
	for _, w := range p.windows {
		edges = append(edges, w.lo, w.hi)
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	next := 0 // the first window that does not end before the cell does
	for i := 1; i < len(edges); i++ {
		for next < len(p.windows) && p.windows[next].hi < edges[i] {
			next++
		}
		if next < len(p.windows) && p.windows[next].lo <= edges[i-1] {
			p.cells = append(p.cells, interval{edges[i-1], edges[i]})
		}
	}
}

// addSamples adds what no rollup serves, as far as it is in a cell.
func (p *Plan) addSamples(free []interval) {
	slices.SortFunc(free, func(a, b interval) int { return cmp.Compare(a.lo, b.lo) })
	for _, f := range free {
		first := true
		at := sort.Search(len(p.cells), func(i int) bool { return p.cells[i].hi > f.lo })
		for ; at < len(p.cells) && p.cells[at].lo < f.hi; at++ {
			lo, hi := max(f.lo, p.cells[at].lo), min(f.hi, p.cells[at].hi)
			if last := len(p.Segments) - 1; !first && lo-p.Segments[last].Hi < rawGap {
				p.Segments[last].Hi = hi
				continue
			}
			p.Segments = append(p.Segments, Segment{Lo: lo, Hi: hi})
			first = false
		}
	}
	slices.SortFunc(p.Segments, func(a, b Segment) int { return cmp.Compare(a.Lo, b.Lo) })
}

// Window returns where window i begins, exclusive, and ends.
func (p *Plan) Window(i int) (begin, end int64) { return p.windows[i].lo, p.windows[i].hi }
