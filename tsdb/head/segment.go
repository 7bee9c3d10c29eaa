package head

import (
	"cmp"
	"slices"
	"sort"

	"github.com/gnomonhq/gnomon/storage"
)

// segment is a run of rows of a group, turned into columns and encoded. It is
// immutable; a change makes a new one that shares what stays.
//
// A place of a segment is a series in a column. Most places are the columns of
// the layout of the last row, so the place's index is the column; the series
// that had a column in earlier rows only follow as extras.
type segment struct {
	first  uint64 // ordinal of row 0 in the group's timeline
	times  rowTimes
	layout *layout
	extras []extra // ascending in (series, column)

	// data has the encoded floats of the places, one after the other.
	sizes pieceSizes
	data  []byte

	sparse *segmentSparse // never nil
}

// segmentSparse is what few places have, each ascending in the place.
type segmentSparse struct {
	partial    placeMasks        // places with a float in some rows only
	deleted    placeMasks        // rows that were deleted
	histograms []histogramColumn // places may be there several times
	starts     []encodedPlace    // start timestamps, for all rows
}

// nothingSparse is that of segments without any of it.
var nothingSparse segmentSparse

func (s *segmentSparse) empty() bool {
	return len(s.partial.places)+len(s.deleted.places)+len(s.histograms)+len(s.starts) == 0
}

// extra is a place of a series that lost its column before the last row.
type extra struct {
	col    uint32
	series *series
}

type maskedPlace struct {
	place int32
	rows  rowMask
}

type encodedPlace struct {
	place int32
	data  []byte
}

// histogramColumn is an encoded run of native histograms of one kind.
type histogramColumn struct {
	place int32
	kind  storage.Kind
	rows  rowMask
	data  []byte
}

func compareExtra(a, b extra) int {
	if c := cmp.Compare(a.series.ref, b.series.ref); c != 0 {
		return c
	}
	return cmp.Compare(a.col, b.col)
}

func (s *segment) rows() int   { return s.times.rows }
func (s *segment) mint() int64 { return s.times.first }
func (s *segment) maxt() int64 { return s.times.last() }
func (s *segment) places() int { return len(s.sizes.sizes) }

// at returns the series and column of a place; nil if the column had no series.
func (s *segment) at(place int) (*series, uint32) {
	if place < s.layout.columns {
		return s.layout.series(uint32(place)), uint32(place)
	}
	e := s.extras[place-s.layout.columns]
	return e.series, e.col
}

// find returns the place of a series in a column, -1 if there is none.
func (s *segment) find(want *series, col uint32) int {
	if s.layout.series(col) == want {
		return int(col)
	}
	if len(s.extras) == 0 {
		return -1
	}
	i, ok := slices.BinarySearchFunc(s.extras, extra{col, want}, compareExtra)
	if !ok {
		return -1
	}
	return s.layout.columns + i
}

// floats returns the encoded floats of a place and the rows that have one.
func (s *segment) floats(place int) ([]byte, rowMask) {
	from, to := s.sizes.of(place)
	data := s.data[from:to]
	if len(data) == 0 {
		return nil, rowMask{}
	}
	if m, ok := s.sparse.partial.of(place); ok {
		return data, m
	}
	return data, rangeMask(0, s.rows())
}

// hidden returns the deleted rows of a place.
func (s *segment) hidden(place int) rowMask {
	m, _ := s.sparse.deleted.of(place)
	return m
}

// histogramsOf returns the histogram runs of a place.
func (s *segment) histogramsOf(place int) []histogramColumn {
	i := sort.Search(len(s.sparse.histograms), func(i int) bool { return s.sparse.histograms[i].place >= int32(place) })
	j := i
	for j < len(s.sparse.histograms) && s.sparse.histograms[j].place == int32(place) {
		j++
	}
	return s.sparse.histograms[i:j]
}

// startsOf returns the encoded start timestamps of a place, nil if it has none.
func (s *segment) startsOf(place int) []byte {
	i := sort.Search(len(s.sparse.starts), func(i int) bool { return s.sparse.starts[i].place >= int32(place) })
	if i < len(s.sparse.starts) && s.sparse.starts[i].place == int32(place) {
		return s.sparse.starts[i].data
	}
	return nil
}

// present returns the rows in which a place has a sample of any kind that was
// not deleted.
func (s *segment) present(place int) rowMask {
	_, m := s.floats(place)
	for _, h := range s.histogramsOf(place) {
		m.add(h.rows)
	}
	m.remove(s.hidden(place))
	return m
}

// span returns the rows with mint <= t <= maxt.
func (s *segment) span(mint, maxt int64) (lo, hi int) {
	return s.times.span(mint, maxt)
}

func spanOf(times []int64, mint, maxt int64) (lo, hi int) {
	lo = sort.Search(len(times), func(i int) bool { return times[i] >= mint })
	hi = lo + sort.Search(len(times)-lo, func(i int) bool { return times[lo+i] > maxt })
	return lo, hi
}

// withDeleted returns a copy of the segment in which the given rows of the
// places are deleted too.
func (s *segment) withDeleted(more []maskedPlace) *segment {
	c, sparse := *s, *s.sparse
	sparse.deleted, c.sparse = sparse.deleted.with(more), &sparse
	return &c
}

// chunks returns the number of encoded columns, for the statistics.
func (s *segment) chunks() int {
	n := len(s.sparse.histograms)
	for i := range s.places() {
		if s.sizes.sizes[i] > 0 {
			n++
		}
	}
	return n
}
