package head

import (
	"slices"

	"github.com/gnomonhq/gnomon/storage"
)

// sealWindow turns the rows of a window into a segment: column by column, and
// without a look at the values of those that did not change.
func sealWindow(w *windowView) *segment {
	main := w.layout(w.rows() - 1)
	scratch := builders.Get().(*builder)
	defer builders.Put(scratch)
	even := evenColumns(scratch.even, w, main)
	scratch.even = even
	extras := windowExtras(w, main)
	s, _ := build(w.first, w.times, main, extras, func(b *builder, from, to int) error {
		for c := from; c < min(to, main.columns); c += 64 {
			b.addStrip(w, c, main, even)
		}
		for place := max(from, main.columns); place < to; place++ {
			e := extras[place-main.columns]
			b.column.readWindow(w, e.series, e.col)
			b.addColumn(&b.column)
		}
		return nil
	})
	return s
}

// addStrip adds up to 64 columns of a window; even is what evenColumns says.
func (b *builder) addStrip(w *windowView, from int, main *layout, even storage.Bitmap) {
	rows := w.rows()
	changing := w.strips[from>>6].decode(&b.strip, rows)
	clear(b.alike[:])
	for i := range min(64, main.columns-from) {
		c := from + i
		switch s := main.series(uint32(c)); {
		case s == nil:
			b.addFloats(nil, rowMask{})
		case !even.Has(storage.Column(c)):
			b.column.readWindow(w, s, uint32(c))
			b.addColumn(&b.column)
		case changing>>i&1 != 0:
			b.addStripColumn(i, rows)
		default:
			b.addConstant(b.strip.first[i])
		}
	}
}

func fill(dst []float64, v float64) {
	for i := range dst {
		dst[i] = v
	}
}

// evenColumns returns the columns of main that have the same series and a float
// in every row, and no start timestamps: nearly always all of them.
func evenColumns(even storage.Bitmap, w *windowView, main *layout) storage.Bitmap {
	n := main.columns
	even = even[:0].Grow(n)
	for i := range even {
		even[i] = ^uint64(0)
	}
	for _, run := range w.layouts {
		if run.layout == main {
			continue
		}
		main.differences(run.layout, func(c uint32, _ *series) { even.Unset(storage.Column(c)) })
	}
	for i := range w.uneven {
		u := &w.uneven[i]
		for c, st := range u.starts {
			if st != 0 && c < n {
				even.Unset(storage.Column(c))
			}
		}
		if u.floats == nil {
			continue
		}
		for i := range even {
			if i < len(u.floats) {
				even[i] &= u.floats[i]
			} else {
				even[i] = 0
			}
		}
	}
	return even
}

// windowExtras returns the places of rows that the last row's layout does not
// have.
func windowExtras(w *windowView, main *layout) []extra {
	var extras []extra
	for _, run := range w.layouts {
		if run.layout != main {
			extras = appendExtras(extras, run.layout, main)
		}
	}
	return sortedExtras(extras)
}

// appendExtras adds the columns of before in which main has another series.
func appendExtras(extras []extra, before, main *layout) []extra {
	before.differences(main, func(c uint32, s *series) {
		if s != nil {
			extras = append(extras, extra{c, s})
		}
	})
	return extras
}

func sortedExtras(extras []extra) []extra {
	slices.SortFunc(extras, compareExtra)
	return slices.Clone(slices.Compact(extras)) // it stays with the segment
}

// mergeSegments makes one segment of consecutive ones of a group. Deleted rows
// are left out of the columns for good.
func mergeSegments(segs []*segment) (*segment, error) {
	last := segs[len(segs)-1]
	rows := 0
	for _, s := range segs {
		rows += s.rows()
	}
	times := make([]int64, 0, rows)
	var extras []extra
	for i, s := range segs {
		times = s.times.appendTo(times, 0, s.times.rows)
		if i == 0 || s.layout != segs[i-1].layout {
			extras = appendExtras(extras, s.layout, last.layout)
		}
		for j, e := range s.extras {
			if m := s.present(s.layout.columns + j); !m.empty() && last.layout.series(e.col) != e.series {
				extras = append(extras, e)
			}
		}
	}
	extras = sortedExtras(extras)
	return build(segs[0].first, times, last.layout, extras, func(b *builder, from, to int) error {
		for place := from; place < to; place++ {
			s, col := b.seg.at(place)
			if s == nil {
				b.addFloats(nil, rowMask{})
			} else if err := b.mergeColumn(segs, s, col); err != nil {
				return err
			}
		}
		return nil
	})
}

// mergeColumn joins the rows of a series in a column and adds them.
func (b *builder) mergeColumn(segs []*segment, s *series, col uint32) error {
	joined := &b.joined
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
