package head

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// What a column has in a row.
const (
	cellAbsent uint8 = iota
	cellFloat
	cellHistogram
	cellFloatHistogram
)

// columnBuffer is the decoded rows of a place of a segment, or of a column of a
// window: all slices in use are as long as there are rows. It is reused.
type columnBuffer struct {
	kinds  []uint8
	values []float64
	// hs and fhs are as long as kinds if there is a histogram of their kind,
	// else empty; starts if there is a start timestamp.
	hs     []*histogram.Histogram
	fhs    []*histogram.FloatHistogram
	starts []int64
	// allFloats says that each row has a float.
	allFloats bool
}

// reset makes room for rows absent cells.
func (c *columnBuffer) reset(rows int) {
	c.kinds = resized(c.kinds, rows)
	clear(c.kinds)
	c.values = resized(c.values, rows)
	c.hs, c.fhs, c.starts = c.hs[:0], c.fhs[:0], c.starts[:0]
	c.allFloats = false
}

func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, max(n, maxSegmentRows))
	}
	return s[:n]
}

func (c *columnBuffer) setHistogram(r int, h *histogram.Histogram, fh *histogram.FloatHistogram) {
	rows := len(c.kinds)
	if h != nil {
		if len(c.hs) != rows {
			c.hs = resized(c.hs, rows)
		}
		c.kinds[r], c.hs[r] = cellHistogram, h
		return
	}
	if len(c.fhs) != rows {
		c.fhs = resized(c.fhs, rows)
	}
	c.kinds[r], c.fhs[r] = cellFloatHistogram, fh
}

// hide makes the cells of a mask absent.
func (c *columnBuffer) hide(m rowMask) {
	if m.empty() {
		return
	}
	c.allFloats = false
	for r := range c.kinds {
		if m.has(r) {
			c.kinds[r] = cellAbsent
		}
	}
}

// readSegment decodes a place of a segment.
func (c *columnBuffer) readSegment(s *segment, place int) error {
	rows := s.rows()
	data, mask := s.floats(place)
	if !c.readConstant(data, mask, rows) {
		c.reset(rows)
		if err := c.readFloats(data, mask); err != nil {
			return err
		}
	}
	for _, h := range s.histogramsOf(place) {
		if err := c.readHistograms(&h); err != nil {
			return err
		}
	}
	if data := s.startsOf(place); data != nil {
		var err error
		if c.starts, _, err = encoding.DecodeTimes(c.starts[:0], data); err != nil || len(c.starts) != rows {
			return fmt.Errorf("start timestamps of %d rows, want %d: %w", len(c.starts), rows, err)
		}
	}
	c.hide(s.hidden(place))
	return nil
}

// readConstant is the short way for a column with one value in every row.
func (c *columnBuffer) readConstant(data []byte, mask rowMask, rows int) bool {
	if mask.count() != rows {
		return false
	}
	v, n, ok := encoding.Constant(data)
	if !ok || n != rows {
		return false
	}
	c.reset(rows)
	fill(c.values, v)
	c.fillFloats()
	return true
}

func (c *columnBuffer) fillFloats() {
	c.allFloats = true
	for kinds := c.kinds; len(kinds) > 0; {
		kinds = kinds[copy(kinds, floatCells[:]):]
	}
}

// floatCells is what a column of floats has in each row of a segment.
var floatCells = [maxSegmentRows]uint8(slices.Repeat([]uint8{cellFloat}, maxSegmentRows))

func (c *columnBuffer) readFloats(data []byte, mask rowMask) error {
	if len(data) == 0 {
		return nil
	}
	rows, present := len(c.kinds), mask.count()
	values, _, err := encoding.DecodeFloats(c.values[:0], data)
	if err != nil {
		return err
	}
	if len(values) != present {
		return fmt.Errorf("%w: %d floats in %d rows", encoding.ErrCorrupt, len(values), present)
	}
	if len(values) == rows {
		c.values = values
		c.fillFloats()
		return nil
	}
	// Spread the values over their rows, from the back so that none is lost.
	c.values = resized(values, rows)
	next := len(values) - 1
	for r := rows - 1; r >= 0; r-- {
		if mask.has(r) {
			c.values[r], c.kinds[r] = values[next], cellFloat
			next--
		}
	}
	return nil
}

func (c *columnBuffer) readHistograms(h *histogramColumn) error {
	var hs []*histogram.Histogram
	var fhs []*histogram.FloatHistogram
	var err error
	if h.kind == storage.KindHistogram {
		hs, _, err = encoding.DecodeHistograms(nil, h.data)
	} else {
		fhs, _, err = encoding.DecodeFloatHistograms(nil, h.data)
	}
	if err != nil {
		return err
	}
	if len(hs)+len(fhs) != h.rows.count() {
		return fmt.Errorf("%w: %d histograms in %d rows", encoding.ErrCorrupt, len(hs)+len(fhs), h.rows.count())
	}
	next := 0
	for r := range c.kinds {
		if !h.rows.has(r) {
			continue
		}
		if h.kind == storage.KindHistogram {
			c.setHistogram(r, hs[next], nil)
		} else {
			c.setHistogram(r, nil, fhs[next])
		}
		next++
	}
	return nil
}

// readWindow takes the cells of a series in a column from a window. The
// histograms stay the window's.
func (c *columnBuffer) readWindow(w *windowView, s *series, col uint32) {
	rows := w.rows()
	c.reset(rows)
	if int(col) >= len(w.strips)*64 {
		return
	}
	w.floats(c.values, col)
	if len(w.layouts) == 1 && w.onlyFloats(col) {
		if w.layouts[0].layout.series(col) == s {
			c.fillFloats()
		}
		return
	}
	floats, uneven := 0, w.uneven
	for r := range rows {
		var u *unevenRow
		if len(uneven) > 0 && uneven[0].row == r {
			u, uneven = &uneven[0], uneven[1:]
		}
		if w.layout(r).series(col) != s {
			continue
		}
		if u.hasFloat(col) {
			c.kinds[r] = cellFloat
			floats++
		} else if cell := u.cell(col); cell != nil {
			c.setHistogram(r, cell.h, cell.fh)
		}
		if st := u.start(col); st != 0 {
			if len(c.starts) != rows {
				c.starts = resized(c.starts, rows)
				clear(c.starts)
			}
			c.starts[r] = st
		}
	}
	c.allFloats = floats == rows
}
