package head

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/gnomonhq/gnomon/storage"
)

// sealWindow turns the first rows of a window into a segment: it transposes
// them and encodes each column.
func sealWindow(w *window, rows int) *segment {
	b := builders.Get().(*builder)
	defer builders.Put(b)
	main := w.rows[rows-1].layout
	extras := windowExtras(w, rows, main)
	b.begin(w.first, slices.Clone(w.times[:rows]), main, extras)
	b.seg.short = true
	plain := plainColumns(w, rows, main)
	b.values = resized(b.values, rows)
	for c := range plain {
		if main.cols[c] == nil {
			b.addFloats(nil, rowMask{})
			continue
		}
		for r := range rows {
			b.values[r] = w.rows[r].values[c]
		}
		b.addFloats(b.values[:rows], rowMask{})
	}
	for c := plain; c < len(main.cols); c++ {
		if main.cols[c] == nil {
			b.addFloats(nil, rowMask{})
			continue
		}
		b.column.readWindow(w, rows, main.cols[c], uint32(c))
		b.addColumn(&b.column)
	}
	for _, e := range extras {
		b.column.readWindow(w, rows, e.series, e.col)
		b.addColumn(&b.column)
	}
	return b.end()
}

// plainColumns returns how many columns from 0 on have the same series and a
// float in every row, and no start timestamps: the usual window as a whole.
func plainColumns(w *window, rows int, main *layout) int {
	n := len(main.cols)
	for r := range rows {
		row := &w.rows[r]
		if row.layout != main || !row.allSet || len(row.starts) > 0 {
			return 0
		}
		n = min(n, len(row.values))
	}
	return n
}

// windowExtras returns the places of rows that the last row's layout does not
// have.
func windowExtras(w *window, rows int, main *layout) []extra {
	var extras []extra
	var done *layout
	for r := range rows {
		l := w.rows[r].layout
		if l == main || l == done {
			continue
		}
		done = l
		extras = appendExtras(extras, l.cols, main)
	}
	return sortedExtras(extras)
}

// appendExtras adds the columns of cols in which main has another series.
func appendExtras(extras []extra, cols []*series, main *layout) []extra {
	for c, s := range cols {
		if s != nil && main.series(uint32(c)) != s {
			extras = append(extras, extra{uint32(c), s})
		}
	}
	return extras
}

func sortedExtras(extras []extra) []extra {
	slices.SortFunc(extras, compareExtra)
	return slices.Clip(slices.Compact(extras))
}

// mergeSegments makes one segment of consecutive ones of a group. Deleted rows
// are left out of the columns for good.
func mergeSegments(segs []*segment) (*segment, error) {
	b := builders.Get().(*builder)
	defer builders.Put(b)
	last := segs[len(segs)-1]
	var times []int64
	var extras []extra
	for i, s := range segs {
		times = append(times, s.times...)
		if i == 0 || s.layout != segs[i-1].layout {
			extras = appendExtras(extras, s.layout.cols, last.layout)
		}
		for _, e := range s.extras {
			if last.layout.series(e.col) != e.series {
				extras = append(extras, e)
			}
		}
	}
	extras = sortedExtras(extras)
	b.begin(segs[0].first, slices.Clip(times), last.layout, extras)
	var joined columnBuffer
	for place := range len(last.layout.cols) + len(extras) {
		s, col := b.seg.at(place)
		if s == nil {
			b.addFloats(nil, rowMask{})
			continue
		}
		if err := b.mergeColumn(segs, s, col, &joined); err != nil {
			return nil, err
		}
	}
	return b.end(), nil
}

// mergeConstant adds a column that is one value in every row of short segments,
// without decoding it: most columns are. It reports whether it is such.
func (b *builder) mergeConstant(segs []*segment, s *series, col uint32) bool {
	var value []byte
	for _, seg := range segs {
		place := seg.find(s, col)
		if place < 0 || !seg.short || len(seg.starts)+len(seg.histograms)+len(seg.deleted)+len(seg.partial) > 0 {
			return false
		}
		data := seg.data[seg.offsets[place]:seg.offsets[place+1]]
		if len(data) == 0 || data[0] != shortConstant || (value != nil && !bytes.Equal(data, value)) {
			return false
		}
		value = data
	}
	b.values = resized(b.values, b.seg.rows())
	v := math.Float64frombits(binary.LittleEndian.Uint64(value[1:]))
	for i := range b.values {
		b.values[i] = v
	}
	b.addFloats(b.values, rowMask{})
	return true
}

// mergeColumn joins the rows of a series in a column and adds them.
func (b *builder) mergeColumn(segs []*segment, s *series, col uint32, joined *columnBuffer) error {
	if b.mergeConstant(segs, s, col) {
		return nil
	}
	joined.reset(b.seg.rows())
	at := 0
	all := true
	for _, seg := range segs {
		place := seg.find(s, col)
		if place < 0 {
			at += seg.rows()
			all = false
			continue
		}
		if err := b.column.readSegment(seg, place); err != nil {
			return err
		}
		joined.place(at, &b.column)
		all = all && b.column.allFloats
		at += seg.rows()
	}
	if all && len(joined.starts) == 0 {
		b.addFloats(joined.values, rowMask{})
		return nil
	}
	b.addColumn(joined)
	return nil
}

// place copies the cells of part to the rows from at on.
func (c *columnBuffer) place(at int, part *columnBuffer) {
	copy(c.values[at:], part.values)
	copy(c.kinds[at:], part.kinds)
	if len(part.starts) > 0 {
		if len(c.starts) != len(c.kinds) {
			c.starts = resized(c.starts, len(c.kinds))
			clear(c.starts)
		}
		copy(c.starts[at:], part.starts)
	}
	if len(part.hs) == 0 && len(part.fhs) == 0 {
		return
	}
	for r, kind := range part.kinds {
		switch kind {
		case cellHistogram:
			c.setHistogram(at+r, part.hs[r], nil)
		case cellFloatHistogram:
			c.setHistogram(at+r, nil, part.fhs[r])
		}
	}
}

// kindOf returns the kind of the samples of a cell.
func kindOf(cell uint8) storage.Kind {
	switch cell {
	case cellHistogram:
		return storage.KindHistogram
	case cellFloatHistogram:
		return storage.KindFloatHistogram
	default:
		return storage.KindFloat
	}
}
