package head

import (
	"cmp"
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/gnomonhq/gnomon/storage"
)

const (
	// windowRows is the greatest number of recent rows that a group keeps as
	// they came.
	windowRows = 120
	// windowBytes bounds the memory of a window in which much changes: it is
	// sealed once it holds so many bytes a column, but has minWindowRows.
	windowBytes   = 240
	minWindowRows = 16
)

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
	stored int // bytes in the strips and the uneven rows, about

	// The following are replaced under group.rmu.
	times   []int64
	layouts []layoutRun
	uneven  []unevenRow
}

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
// each column, which of them it changed, and what these were before, ascending in
// the column. There may be more columns than there is room for.
func (w *window) put(latest []float64, changed storage.Bitmap, before []float64) {
	row := len(w.times)
	if row == 0 {
		for i := range w.strips {
			w.stored += w.strips[i].begin(latest[min(i*64, len(latest)):min(i*64+64, len(latest))])
		}
		return
	}
	for i, word := range changed[:min(len(changed), len(w.strips))] {
		if word != 0 {
			w.stored += w.strips[i].add(row, word, before, latest[i*64:])
			before = before[bits.OnesCount64(word):]
		}
	}
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
		w.stored += 8 * len(floats)
	}
	if !slices.Equal(before.starts, r.StartTimes) {
		u.starts = slices.Clone(r.StartTimes)
		w.stored += 8 * len(r.StartTimes)
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

// size returns how many bytes of memory a histogram takes, about.
func (c *histogramCell) size() int {
	if c.h != nil {
		return 8 * (24 + len(c.h.PositiveSpans) + len(c.h.NegativeSpans) + len(c.h.PositiveBuckets) + len(c.h.NegativeBuckets))
	}
	return 8 * (24 + len(c.fh.PositiveSpans) + len(c.fh.NegativeSpans) + len(c.fh.PositiveBuckets) + len(c.fh.NegativeBuckets))
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
		w.strips[i].reset()
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
func (w *windowView) floats(dst []float64, col uint32) { w.strips[col>>6].column(dst, col&63) }
