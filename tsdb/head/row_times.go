package head

import (
	"slices"
	"sort"
)

// rowTimes is the timestamps of the rows of a segment. Scrapes come at even distances, so that
// nearly always the first one and the distance say all. It is immutable.
type rowTimes struct {
	first, step int64
	rows        int
	uneven      []int64 // all of them, if they are not at even distances
}

// makeRowTimes takes the timestamps of at least one row. It keeps no part of them.
func makeRowTimes(times []int64) rowTimes {
	t := rowTimes{first: times[0], rows: len(times)}
	if len(times) > 1 {
		t.step = times[1] - times[0]
	}
	for i, at := range times {
		if at != t.at(i) {
			t.uneven = slices.Clone(times)
			break
		}
	}
	return t
}

func (t *rowTimes) at(row int) int64 {
	if t.uneven != nil {
		return t.uneven[row]
	}
	return t.first + int64(row)*t.step
}

func (t *rowTimes) last() int64 { return t.at(t.rows - 1) }

// all returns the timestamps, which are not to be changed.
func (t *rowTimes) all() []int64 {
	if t.uneven != nil {
		return t.uneven
	}
	return t.appendTo(make([]int64, 0, t.rows), 0, t.rows)
}

// appendTo appends the timestamps of the rows lo <= row < hi.
func (t *rowTimes) appendTo(dst []int64, lo, hi int) []int64 {
	for row := lo; row < hi; row++ {
		dst = append(dst, t.at(row))
	}
	return dst
}

// span returns the rows with mint <= t <= maxt.
func (t *rowTimes) span(mint, maxt int64) (lo, hi int) {
	hi = t.rows
	if t.first < mint { // mostly not: a range has many segments
		lo = sort.Search(t.rows, func(i int) bool { return t.at(i) >= mint })
	}
	if t.last() > maxt {
		hi = lo + sort.Search(t.rows-lo, func(i int) bool { return t.at(lo+i) > maxt })
	}
	return lo, hi
}
