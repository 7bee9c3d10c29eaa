package head

import (
	"math/bits"
	"slices"
	"sort"
)

// maxSegmentRows bounds the rows of a segment: those shorter than shortRows are
// merged when they have chunkRows together, each has at most windowRows.
//
// A window in which much changes is sealed at 90 to 119 rows. Merging two of those
// would encode every column twice, for a few percent of the memory of columns.
const (
	chunkRows      = 120
	shortRows      = chunkRows / 2
	maxSegmentRows = chunkRows + windowRows
	maskWords      = (maxSegmentRows + 63) / 64
)

// rowMask is a set of rows of a segment.
type rowMask [maskWords]uint64

func (m *rowMask) set(r int)      { m[r>>6] |= 1 << (r & 63) }
func (m *rowMask) has(r int) bool { return m[r>>6]>>(r&63)&1 != 0 }
func (m *rowMask) empty() bool    { return *m == rowMask{} }

func (m *rowMask) count() int {
	n := 0
	for _, w := range m {
		n += bits.OnesCount64(w)
	}
	return n
}

// last returns the greatest row of the set, -1 if it is empty.
func (m *rowMask) last() int {
	for i := len(m) - 1; i >= 0; i-- {
		if m[i] != 0 {
			return i<<6 + 63 - bits.LeadingZeros64(m[i])
		}
	}
	return -1
}

func (m *rowMask) remove(o rowMask) {
	for i := range m {
		m[i] &^= o[i]
	}
}

func (m *rowMask) add(o rowMask) {
	for i := range m {
		m[i] |= o[i]
	}
}

// rangeMask returns the rows from <= r < to.
func rangeMask(from, to int) (m rowMask) {
	for i := range m {
		lo, hi := max(from-i*64, 0), min(to-i*64, 64)
		if lo < hi {
			m[i] = ^uint64(0) << lo & (^uint64(0) >> (64 - hi))
		}
	}
	return m
}

// placeMasks says which rows some places of a segment have. Places come and go together, so that
// most have the mask of another one.
type placeMasks struct {
	places []placeMask // ascending in the place
	masks  []rowMask
}

type placeMask struct{ place, mask uint32 }

// lookedBack is how many masks add compares at most.
const lookedBack = 16

// add adds a place behind the others.
func (p *placeMasks) add(place int, rows rowMask) {
	mask := len(p.masks)
	for i := mask - 1; i >= max(mask-lookedBack, 0); i-- {
		if p.masks[i] == rows {
			p.places = append(p.places, placeMask{uint32(place), uint32(i)})
			return
		}
	}
	p.masks = append(p.masks, rows)
	p.places = append(p.places, placeMask{uint32(place), uint32(mask)})
}

// of returns the rows of a place, and whether it is there.
func (p *placeMasks) of(place int) (rowMask, bool) {
	i := sort.Search(len(p.places), func(i int) bool { return p.places[i].place >= uint32(place) })
	if i == len(p.places) || p.places[i].place != uint32(place) {
		return rowMask{}, false
	}
	return p.masks[p.places[i].mask], true
}

// reset empties the list and keeps its memory.
func (p *placeMasks) reset() { p.places, p.masks = p.places[:0], p.masks[:0] }

func (p *placeMasks) clone() placeMasks {
	return placeMasks{slices.Clone(p.places), slices.Clone(p.masks)}
}
