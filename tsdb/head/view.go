package head

import (
	"slices"

	"github.com/gnomonhq/gnomon/storage"
)

// groupView is a group as it was at one moment: what a querier sees of it. The
// segments are immutable and the first rows of the window do not change, since
// the view pins it.
type groupView struct {
	group    *group
	timeline storage.TimelineID
	segments []*segment
	window   windowView
	number   int // in the order of a querier's views
	// spans has timestamps of segments that were read, made by made; nil if the view
	// is not a querier's.
	spans []timeSpan
	made  *timeSpans
}

// pin takes a view of the group. It must be given back with unpin.
func (g *group) pin() *groupView {
	v := &groupView{}
	g.pinInto(v)
	return v
}

// pinInto is pin with the memory of the caller.
func (g *group) pinInto(v *groupView) {
	g.rmu.Lock()
	defer g.rmu.Unlock()
	g.rmu.window.pins.Add(1)
	*v = groupView{group: g, timeline: g.timeline(), segments: g.rmu.segments, window: g.rmu.window.view()}
}

// times returns the timestamps of the rows lo <= row < hi of a segment: mostly the
// same memory each time, since all columns that are read have them, and selects want
// the same rows.
func (v *groupView) times(segment, lo, hi int) []int64 {
	t := &v.segments[segment].times
	if t.uneven != nil {
		return t.uneven[lo:hi:hi]
	}
	if v.made == nil {
		return t.appendTo(make([]int64, 0, hi-lo), lo, hi)
	}
	return v.made.of(&v.spans[segment], t, lo, hi)
}

func (v *groupView) unpin() { v.window.pins.Add(-1) }

// timeline returns the identity of the group's timeline: never 0, and never one
// of a block's (those lack the highest bit).
func (g *group) timeline() storage.TimelineID { return storage.TimelineID(g.id | 1<<63) }

// overlaps reports whether a series has a sample with mint <= t <= maxt in a
// column, without decoding anything.
func (v *groupView) overlaps(s *series, col uint32, mint, maxt int64) bool {
	lo, hi := spanOf(v.window.times, mint, maxt)
	for r := lo; r < hi; r++ {
		if v.window.has(r, s, col) {
			return true
		}
	}
	for i := len(v.segments) - 1; i >= 0; i-- {
		seg := v.segments[i]
		if seg.maxt() < mint || seg.mint() > maxt {
			continue
		}
		place := seg.find(s, col)
		if place < 0 {
			continue
		}
		lo, hi := seg.span(mint, maxt)
		m := seg.present(place)
		m.remove(rangeMask(0, lo))
		m.remove(rangeMask(hi, seg.rows()))
		if !m.empty() {
			return true
		}
	}
	return false
}

// newest returns the time of the newest sample of a series in a column.
func (v *groupView) newest(s *series, col uint32) (t int64, ok bool) {
	for r := v.window.rows() - 1; r >= 0; r-- {
		if v.window.has(r, s, col) {
			return v.window.times[r], true
		}
	}
	for i := len(v.segments) - 1; i >= 0; i-- {
		seg := v.segments[i]
		place := seg.find(s, col)
		if place < 0 {
			continue
		}
		m := seg.present(place)
		if r := m.last(); r >= 0 {
			return seg.times.at(r), true
		}
	}
	return 0, false
}

// columnIterator yields the samples of a series in one column of a view.
type columnIterator struct {
	view       *groupView
	series     *series
	col        uint32
	mint, maxt int64
	page       int // next segment; len(segments) is the window
	err        error

	// The page being handed out: rows at to end of buf.
	buf     columnBuffer
	times   []int64 // of the rows from row timesFrom on
	first   uint64
	at, end int

	timesFrom int
	// known are timestamps of the segments of the view that were asked for: those of
	// the next column are mostly the same.
	known []timeSpan
	// newest says that only the newest sample is wanted, until it was looked for.
	newest bool
}

func (it *columnIterator) reset(v *groupView, s *series, col uint32, mint, maxt int64, newest bool) {
	it.newest = newest
	if v != it.view || len(it.known) != len(v.segments) {
		it.known = slices.Grow(it.known[:0], len(v.segments))[:len(v.segments)]
		clear(it.known)
	}
	it.view, it.series, it.col, it.mint, it.maxt = v, s, col, mint, maxt
	it.page, it.at, it.end, it.err = 0, 0, 0, nil
}

// Err returns what ended the iteration early.
func (it *columnIterator) Err() error { return it.err }

// Next yields a run of one kind of one page.
func (it *columnIterator) Next(b *storage.Batch) bool {
	if it.newest {
		it.newest = false
		if it.emitNewest(b) {
			it.page = len(it.view.segments) + 1 // the end
			return true
		}
	}
	for it.err == nil {
		for it.at < it.end && it.buf.kinds[it.at] == cellAbsent {
			it.at++
		}
		if it.at < it.end {
			it.emit(b)
			return true
		}
		if !it.load() {
			return false
		}
	}
	return false
}

// emitNewest yields the float of the newest row, if it is in the range and can be had
// without decoding the rows before it.
func (it *columnIterator) emitNewest(b *storage.Batch) bool {
	w := &it.view.window
	r := w.rows() - 1
	if r < 0 || w.times[r] > it.maxt || w.times[r] < it.mint || w.layout(r).series(it.col) != it.series {
		return false
	}
	if u := w.unevenRow(r); !u.hasFloat(it.col) || u.start(it.col) != 0 {
		return false
	}
	v, ok := it.view.group.latestFloat(w, it.col)
	if !ok {
		return false
	}
	b.Kind, b.StartTimes = storage.KindFloat, nil
	b.Timeline, b.Offset, b.Times = it.view.timeline, int(w.first)+r, w.times[r:r+1:r+1]
	b.Values, b.Histograms, b.FloatHistograms = append(b.Values[:0], v), b.Histograms[:0], b.FloatHistograms[:0]
	return true
}

// load decodes the next page that has the column.
func (it *columnIterator) load() bool {
	for ; it.page < len(it.view.segments); it.page++ {
		seg := it.view.segments[it.page]
		if seg.maxt() < it.mint || seg.mint() > it.maxt {
			continue
		}
		place := seg.find(it.series, it.col)
		if place < 0 {
			continue
		}
		it.page++
		if it.err = it.buf.readSegment(seg, place); it.err != nil {
			return false
		}
		it.first = seg.first
		it.at, it.end = seg.span(it.mint, it.maxt)
		it.timesFrom = it.at
		known := &it.known[it.page-1]
		if known.lo != it.at || len(known.times) != it.end-it.at {
			*known = timeSpan{it.at, it.view.times(it.page-1, it.at, it.end)}
		}
		it.times = known.times
		return true
	}
	if it.page > len(it.view.segments) || it.view.window.rows() == 0 {
		return false
	}
	it.page++
	w := &it.view.window
	it.times, it.timesFrom, it.first = w.times, 0, w.first
	it.at, it.end = spanOf(it.times, it.mint, it.maxt)
	if it.at < it.end {
		it.buf.readWindow(w, it.series, it.col)
	}
	return true
}

// emit hands out the run of rows from at on that have one kind. Absent rows do
// not end a run, but then it has timestamps of its own.
func (it *columnIterator) emit(b *storage.Batch) {
	kind := it.buf.kinds[it.at]
	from, end, n := it.at, it.at, 0
	if it.buf.allFloats {
		end, n = it.end, it.end-from
	} else {
		for r := from; r < it.end; r++ {
			if k := it.buf.kinds[r]; k == kind {
				end, n = r+1, n+1
			} else if k != cellAbsent {
				break
			}
		}
	}
	it.at = end
	b.Kind, b.StartTimes = kindOf(kind), nil
	b.Values, b.Histograms, b.FloatHistograms = b.Values[:0], b.Histograms[:0], b.FloatHistograms[:0]
	if n == end-from {
		b.Timeline, b.Offset, b.Times = it.view.timeline, int(it.first)+from, it.times[from-it.timesFrom:end-it.timesFrom:end-it.timesFrom]
		it.emitRows(b, from, end)
		return
	}
	b.Timeline, b.Offset, b.Times = 0, 0, make([]int64, 0, n)
	if it.hasStarts(from, end) {
		b.StartTimes = make([]int64, 0, n)
	}
	for r := from; r < end; r++ {
		if it.buf.kinds[r] == cellAbsent {
			continue
		}
		b.Times = append(b.Times, it.times[r-it.timesFrom])
		if b.StartTimes != nil {
			b.StartTimes = append(b.StartTimes, it.buf.starts[r])
		}
		it.emitRow(b, r)
	}
}

func (it *columnIterator) hasStarts(from, end int) bool {
	if len(it.buf.starts) == 0 {
		return false
	}
	for r := from; r < end; r++ {
		if it.buf.starts[r] != 0 && it.buf.kinds[r] != cellAbsent {
			return true
		}
	}
	return false
}

// emitRows adds the values of rows that all have one.
func (it *columnIterator) emitRows(b *storage.Batch, from, end int) {
	if it.hasStarts(from, end) {
		b.StartTimes = append([]int64(nil), it.buf.starts[from:end]...)
	}
	switch b.Kind {
	case storage.KindHistogram:
		b.Histograms = append(b.Histograms, it.buf.hs[from:end]...)
	case storage.KindFloatHistogram:
		b.FloatHistograms = append(b.FloatHistograms, it.buf.fhs[from:end]...)
	default:
		b.Values = append(b.Values, it.buf.values[from:end]...)
	}
}

// emitRow adds the value of one row.
func (it *columnIterator) emitRow(b *storage.Batch, r int) {
	switch b.Kind {
	case storage.KindHistogram:
		b.Histograms = append(b.Histograms, it.buf.hs[r])
	case storage.KindFloatHistogram:
		b.FloatHistograms = append(b.FloatHistograms, it.buf.fhs[r])
	default:
		b.Values = append(b.Values, it.buf.values[r])
	}
}
