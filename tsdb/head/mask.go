package head

import "math/bits"

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
