package encoding

import (
	"slices"
	"sync"
)

// scratch is the working memory of one encoding or decoding.
type scratch struct {
	residuals []uint64
	ints      []int64
	floats    []float64
	best, try []byte
	exception []int
	reader    intReader
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxPooledRows keeps a rare large column from pinning its scratch memory.
const maxPooledRows = 1 << 14

func getScratch() *scratch { return scratches.Get().(*scratch) }

func putScratch(sc *scratch) {
	if cap(sc.ints) <= maxPooledRows && cap(sc.residuals) <= maxPooledRows {
		sc.reader.src = nil
		scratches.Put(sc)
	}
}

// growSlice lengthens s by n elements whose content is not defined.
func growSlice[T any](s []T, n int) []T {
	return slices.Grow(s, n)[:len(s)+n]
}
