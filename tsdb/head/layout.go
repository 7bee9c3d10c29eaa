package head

import (
	"slices"

	"github.com/gnomonhq/gnomon/storage"
)

// layout says which series a column had when a row was appended. It is immutable once a
// row refers to it; a column without a series is nil. Series come and go a few at a time,
// so a layout shares the pages of the one before that did not change.
type layout struct {
	pages   []*layoutPage
	columns int
	// own has the pages that no other layout has.
	own storage.Bitmap
}

const layoutPageColumns = 16

type layoutPage [layoutPageColumns]*series

// series returns the series of a column, nil if it has none.
func (l *layout) series(col uint32) *series {
	if int(col) < l.columns {
		return l.pages[col/layoutPageColumns][col%layoutPageColumns]
	}
	return nil
}

// next returns a layout that is like this one and can be changed. This one cannot be
// changed any more.
func (l *layout) next() *layout {
	l.own = nil
	return &layout{pages: slices.Clone(l.pages), columns: l.columns}
}

// set gives a column to a series.
func (l *layout) set(col uint32, s *series) {
	page := int(col / layoutPageColumns)
	if !l.own.Has(storage.Column(page)) {
		p := *l.pages[page]
		l.pages[page] = &p
		l.own = l.own.Grow(page + 1)
		l.own.Set(storage.Column(page))
	}
	l.pages[page][col%layoutPageColumns] = s
}

// add adds a column and returns its number.
func (l *layout) add(s *series) uint32 {
	col := uint32(l.columns)
	if col%layoutPageColumns == 0 {
		l.pages = append(l.pages, new(layoutPage))
		l.own = l.own.Grow(len(l.pages))
		l.own.Set(storage.Column(len(l.pages) - 1))
	}
	l.columns++
	l.set(col, s)
	return col
}

// differences calls f with the columns below columns in which the layouts do not have the
// same series: that of l, which may be nil.
func (l *layout) differences(other *layout, f func(col uint32, s *series)) {
	for i, p := range l.pages {
		if i < len(other.pages) && other.pages[i] == p && min(l.columns, (i+1)*layoutPageColumns) <= other.columns {
			continue
		}
		for j, s := range p[:min(l.columns-i*layoutPageColumns, layoutPageColumns)] {
			if col := uint32(i*layoutPageColumns + j); other.series(col) != s {
				f(col, s)
			}
		}
	}
}
