package head

import (
	"sync/atomic"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/gnomonhq/gnomon/storage"
)

// windowRows is the number of recent rows that a group keeps as they came. It
// costs 8 bytes a series and row; writing shorter column chunks costs bytes and
// time, which merging gets back.
const windowRows = 16

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

// histogramCell is a native histogram of a row. The histogram is the row's own.
type histogramCell struct {
	col uint32
	h   *histogram.Histogram
	fh  *histogram.FloatHistogram
}

// row is one instant of a group, as it was appended. Its slices are reused when
// the window is.
type row struct {
	layout *layout
	values []float64
	// present says which columns have a float; nil means all of values.
	present storage.Bitmap
	allSet  bool // present is not to be looked at
	starts  []int64
	// cells are the histograms, ascending in the column.
	cells []histogramCell
}

func (r *row) hasFloat(col uint32) bool {
	if r.allSet {
		return int(col) < len(r.values)
	}
	return r.present.Has(storage.Column(col))
}

// cell returns the histogram of a column, nil if it has none.
func (r *row) cell(col uint32) *histogramCell {
	for i := range r.cells {
		if r.cells[i].col == col {
			return &r.cells[i]
		}
	}
	return nil
}

func (r *row) start(col uint32) int64 {
	if int(col) < len(r.starts) {
		return r.starts[col]
	}
	return 0
}

// window is the recent rows of a group, row by row.
//
// The appending goroutine fills row n, then publishes n+1 under group.rmu.
// Readers take n under group.rmu and look at the rows before it only, so a
// window is read and written at once without a lock. A window that a reader has
// pinned is not reused when it is sealed.
type window struct {
	pins  atomic.Int32
	first uint64 // ordinal of row 0 in the group's timeline
	times [windowRows]int64
	rows  [windowRows]row
}

// reset empties the window for reuse, keeping its room.
func (w *window) reset(first uint64) {
	w.first = first
	for i := range w.rows {
		r := &w.rows[i]
		r.layout = nil
		r.values, r.present, r.starts = r.values[:0], r.present[:0], r.starts[:0]
		clear(r.cells)
		r.cells = r.cells[:0]
	}
}
