package head

import (
	"cmp"
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
	places  []placeMask // ascending in the place
	masks   []rowMask   // each once
	numbers map[rowMask]uint32
}

type placeMask struct{ place, mask uint32 }

// add adds a place behind the others.
func (p *placeMasks) add(place int, rows rowMask) {
	n, ok := p.numbers[rows]
	if !ok {
		if p.numbers == nil {
			p.numbers = map[rowMask]uint32{}
		}
		n = uint32(len(p.masks))
		p.numbers[rows] = n
		p.masks = append(p.masks, rows)
	}
	p.places = append(p.places, placeMask{uint32(place), n})
}

// of returns the rows of a place, and whether it is there.
func (p *placeMasks) of(place int) (rowMask, bool) {
	i := sort.Search(len(p.places), func(i int) bool { return p.places[i].place >= uint32(place) })
	if i == len(p.places) || p.places[i].place != uint32(place) {
		return rowMask{}, false
	}
	return p.masks[p.places[i].mask], true
}

// with returns a list that has more rows of some places, which are in any order and may be there
// several times.
func (p *placeMasks) with(more []maskedPlace) placeMasks {
	more = slices.SortedFunc(slices.Values(more), func(a, b maskedPlace) int { return cmp.Compare(a.place, b.place) })
	var out placeMasks
	have := p.places
	for i, d := range more {
		if i+1 < len(more) && more[i+1].place == d.place {
			more[i+1].rows.add(d.rows)
			continue
		}
		for len(have) > 0 && have[0].place < uint32(d.place) {
			out.add(int(have[0].place), p.masks[have[0].mask])
			have = have[1:]
		}
		if len(have) > 0 && have[0].place == uint32(d.place) {
			d.rows.add(p.masks[have[0].mask])
			have = have[1:]
		}
		out.add(int(d.place), d.rows)
	}
	for _, h := range have {
		out.add(int(h.place), p.masks[h.mask])
	}
	return out.clone()
}

// reset empties the list and keeps its memory.
func (p *placeMasks) reset() {
	p.places, p.masks = p.places[:0], p.masks[:0]
	clear(p.numbers)
}

// clone returns the list in memory of its own. Nothing is added to that.
func (p *placeMasks) clone() placeMasks {
	return placeMasks{places: slices.Clone(p.places), masks: slices.Clone(p.masks)}
}
