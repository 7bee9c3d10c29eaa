package head

import (
	"cmp"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/gnomonhq/gnomon/storage"
)

const (
	// windowRows is the greatest number of recent rows that a group keeps as
	// they came.
	windowRows = 120
	// windowValues bounds the memory of a window in which much changes: it is
	// sealed once it holds so many values a column, but has minWindowRows.
	windowValues  = 20
	minWindowRows = 16
)

// layout says which series a column had when a row was appended. It is
// immutable once a row refers to it; a column without a series is nil.
type layout struct {
	cols []*series
}

func (l *layout) series(col uint32) *series {
	if int(col) < len(l.cols) {
		return l.cols[col]
	}
	return nil
}

// window is the recent rows of a group. Most values are those of the row before,
// so a window has its first row whole and of the others what changed: by strips
// of 64 columns, since a column is what is read and sealed.
//
// The appending goroutine fills row n, then publishes it under group.rmu by
// making times, layouts and uneven longer. Readers take those slices under
// group.rmu (see windowView) and look at the rows in them only, so a window is
// read and written at once without a lock. A window that a reader has pinned is
// not reused when it is sealed.
type window struct {
	pins   atomic.Int32
	first  uint64 // ordinal of row 0 in the group's timeline
	strips []strip
	base   []float64 // the values of row 0; columns that came later had 0
	stored int       // values in the strips and the uneven rows, about

	// The following are replaced under group.rmu.
	times   []int64
	layouts []layoutRun
	uneven  []unevenRow
}

// strip is what changed in 64 columns.
type strip struct {
	// changed has, by row, the columns whose float differs from the last one.
	changed [windowRows]uint64
	// values has the new floats, by row, then column.
	values *valueRun

	// The writer's: where the next value goes.
	last *valueRun
	used int
}

// valueRun is a piece of a list of values. next is set before a row is
// published that has values in the next piece.
type valueRun struct {
	next   *valueRun
	values [63]float64
}

const runValues = len(valueRun{}.values)

var valueRuns = sync.Pool{New: func() any { return new(valueRun) }}

// layoutRun is the layout of the rows from one on.
type layoutRun struct {
	from   int
	layout *layout
}

// unevenRow is what a row has that is not just a float in every column.
type unevenRow struct {
	row int
	// floats has the columns with a float; nil is all.
	floats storage.Bitmap
	starts []int64
	// cells are the histograms, ascending in the column.
	cells []histogramCell
}

// histogramCell is a native histogram of a row. The histogram is the row's own.
type histogramCell struct {
	col uint32
	h   *histogram.Histogram
	fh  *histogram.FloatHistogram
}

// fits reports whether the window has room for a row of so many columns.
func (w *window) fits(columns int) bool { return columns <= len(w.strips)*64 }

// begin makes room for rows of so many columns in an empty window.
func (w *window) begin(columns int) {
	if w.fits(columns) {
		return
	}
	n := (columns + 63) / 64
	if len(w.strips) > 0 {
		n += n / 8 // it will not be the last time
	}
	w.strips = make([]strip, n)
}

// put adds the floats of a row that is about to be published: the last float of
// each column, and which of them it changed.
func (w *window) put(latest []float64, changed storage.Bitmap) {
	n := len(w.times)
	if n == 0 {
		w.base = append(w.base[:0], latest...)
	}
	for i := range w.strips {
		s := &w.strips[i]
		var word uint64
		if n > 0 && i < len(changed) {
			word = changed[i]
		}
		s.changed[n] = word
		if word != 0 {
			w.stored += bits.OnesCount64(word)
			s.add(word, latest[i*64:])
		}
	}
}

// add adds the changed values of a row.
func (s *strip) add(changed uint64, latest []float64) {
	if s.last == nil {
		s.last = valueRuns.Get().(*valueRun)
		s.values, s.used = s.last, 0
	}
	run, used := s.last, s.used
	for ; changed != 0; changed &= changed - 1 {
		if used == runValues {
			run.next = valueRuns.Get().(*valueRun)
			run, used = run.next, 0
		}
		run.values[used] = latest[bits.TrailingZeros64(changed)]
		used++
	}
	s.last, s.used = run, used
}

// unevenOf returns what is uneven about a row; floats is nil if it has one in
// every column. What is like in the uneven row before is shared with it.
func (w *window) unevenOf(r *storage.Row, floats storage.Bitmap) *unevenRow {
	var before unevenRow
	if n := len(w.uneven); n > 0 {
		before = w.uneven[n-1]
	}
	u := &unevenRow{floats: before.floats, starts: before.starts}
	if !slices.Equal(before.floats, floats) || floats == nil {
		u.floats = slices.Clone(floats)
		w.stored += len(floats)
	}
	if !slices.Equal(before.starts, r.StartTimes) {
		u.starts = slices.Clone(r.StartTimes)
		w.stored += len(r.StartTimes)
	}
	if len(r.Histograms) > 0 {
		u.cells = make([]histogramCell, len(r.Histograms))
	}
	for i, h := range r.Histograms {
		u.cells[i] = histogramCell{uint32(h.Column), h.Histogram, h.FloatHistogram}
		w.stored += u.cells[i].size()
	}
	return u
}

// size returns how much memory a histogram takes, about, in values of 8 bytes.
func (c *histogramCell) size() int {
	if c.h != nil {
		return 24 + len(c.h.PositiveSpans) + len(c.h.NegativeSpans) + len(c.h.PositiveBuckets) + len(c.h.NegativeBuckets)
	}
	return 24 + len(c.fh.PositiveSpans) + len(c.fh.NegativeSpans) + len(c.fh.PositiveBuckets) + len(c.fh.NegativeBuckets)
}

// publish shows a row to readers. The caller holds rmu.
func (w *window) publish(t int64, l *layout, uneven *unevenRow) {
	n := len(w.times)
	if n == 0 || w.layouts[len(w.layouts)-1].layout != l {
		w.layouts = append(w.layouts, layoutRun{n, l})
	}
	if uneven != nil {
		uneven.row = n
		w.uneven = append(w.uneven, *uneven)
	}
	w.times = append(w.times, t)
}

// reset empties the window for reuse, keeping its room. No reader has it.
func (w *window) reset(first uint64) {
	w.first, w.stored = first, 0
	for i := range w.strips {
		s := &w.strips[i]
		for run := s.values; run != nil; {
			next := run.next
			run.next = nil
			valueRuns.Put(run)
			run = next
		}
		s.values, s.last = nil, nil
	}
	w.times = w.times[:0]
	clear(w.layouts)
	clear(w.uneven)
	w.layouts, w.uneven = w.layouts[:0], nil
}

// windowView is the rows of a window that were published at one moment.
type windowView struct {
	*window
	times   []int64
	layouts []layoutRun
	uneven  []unevenRow
}

// view returns the rows that are published. The caller holds rmu.
func (w *window) view() windowView {
	n, l, u := len(w.times), len(w.layouts), len(w.uneven)
	return windowView{window: w, times: w.times[:n:n], layouts: w.layouts[:l:l], uneven: w.uneven[:u:u]}
}

func (w *windowView) rows() int { return len(w.times) }

// layout returns the layout of a row.
func (w *windowView) layout(r int) *layout {
	i := len(w.layouts) - 1
	for w.layouts[i].from > r {
		i--
	}
	return w.layouts[i].layout
}

// unevenRow returns what is uneven about a row, nil if nothing is.
func (w *windowView) unevenRow(r int) *unevenRow {
	if len(w.uneven) == 0 {
		return nil
	}
	i, ok := slices.BinarySearchFunc(w.uneven, r, func(u unevenRow, r int) int { return u.row - r })
	if !ok {
		return nil
	}
	return &w.uneven[i]
}

// onlyFloats reports whether a column has a float in every row, and no start
// timestamp.
func (w *windowView) onlyFloats(col uint32) bool {
	for i := range w.uneven {
		if u := &w.uneven[i]; !u.hasFloat(col) || u.start(col) != 0 {
			return false
		}
	}
	return true
}

func (u *unevenRow) hasFloat(col uint32) bool {
	return u == nil || u.floats == nil || u.floats.Has(storage.Column(col))
}

// cell returns the histogram of a column, nil if it has none.
func (u *unevenRow) cell(col uint32) *histogramCell {
	if u == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(u.cells, col, func(c histogramCell, col uint32) int { return cmp.Compare(c.col, col) })
	if !ok {
		return nil
	}
	return &u.cells[i]
}

func (u *unevenRow) start(col uint32) int64 {
	if u != nil && int(col) < len(u.starts) {
		return u.starts[col]
	}
	return 0
}

// has reports whether the series has a sample in the column in row r.
func (w *windowView) has(r int, s *series, col uint32) bool {
	if w.layout(r).series(col) != s {
		return false
	}
	u := w.unevenRow(r)
	return u.hasFloat(col) || u.cell(col) != nil
}

// floats fills dst with the last float of a column at each row, whether it is
// the row's own or not.
func (w *windowView) floats(dst []float64, col uint32) {
	v := 0.0
	if int(col) < len(w.base) {
		v = w.base[col]
	}
	s := &w.strips[col>>6]
	bit := uint64(1) << (col & 63)
	// at is where the row's values begin, counted from those of run. The first run
	// may be on its way still, but not if a published row has a value there.
	var run *valueRun
	at := 0
	for r := range dst {
		word := s.changed[r]
		if word&bit != 0 {
			if run == nil {
				run = s.values
			}
			i := at + bits.OnesCount64(word&(bit-1))
			for ; i >= runValues; i -= runValues {
				run = run.next
				at -= runValues
			}
			v = run.values[i]
		}
		dst[r] = v
		at += bits.OnesCount64(word)
	}
}

// stripBuffer is the decoded floats of a strip, by column.
type stripBuffer [64][windowRows]float64

// decode fills dst with the floats of the columns of a strip that change, and
// returns which they are.
func (w *windowView) decode(dst *stripBuffer, i int) (changing uint64) {
	s := &w.strips[i]
	rows := len(w.times)
	for _, word := range s.changed[:rows] {
		changing |= word
	}
	if changing == 0 {
		return 0
	}
	var current [64]float64
	var filled [64]uint8 // rows that are there
	copy(current[:], w.base[min(i*64, len(w.base)):])
	run, at := s.values, 0
	for r, word := range s.changed[:rows] {
		for ; word != 0; word &= word - 1 {
			c := bits.TrailingZeros64(word)
			if at == runValues {
				run, at = run.next, 0
			}
			column := &dst[c]
			for v, k := current[c], int(filled[c]); k < r; k++ {
				column[k] = v
			}
			current[c], filled[c] = run.values[at], uint8(r)
			at++
		}
	}
	for word := changing; word != 0; word &= word - 1 {
		c := bits.TrailingZeros64(word)
		column := dst[c][:rows]
		for v, k := current[c], int(filled[c]); k < rows; k++ {
			column[k] = v
		}
	}
	return changing
}
