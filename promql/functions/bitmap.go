package functions

import "math/bits"

// Bitmap has a bit for each step of a query.
type Bitmap []uint64

// NewBitmap returns a bitmap of n zero bits.
func NewBitmap(n int) Bitmap { return make(Bitmap, (n+63)/64) }

// Has reports whether bit i is set.
func (b Bitmap) Has(i int) bool { return b[uint(i)/64]>>(uint(i)%64)&1 != 0 }

// Set sets bit i.
func (b Bitmap) Set(i int) { b[uint(i)/64] |= 1 << (uint(i) % 64) }

// Clear clears bit i.
func (b Bitmap) Clear(i int) { b[uint(i)/64] &^= 1 << (uint(i) % 64) }

// firstBits has the first n bits of a word set, of 64 at most.
func firstBits(n int) uint64 { return ^uint64(0) >> (64 - n) }

// eachBit calls f for each bit of word w, in ascending order.
func eachBit(w int, word uint64, f func(i int)) {
	for ; word != 0; word &= word - 1 {
		f(w*64 + bits.TrailingZeros64(word))
	}
}

// eachFloat calls f for each step that has a float, in ascending order.
func (s *Steps) eachFloat(f func(i int)) {
	for w, word := range s.Valid {
		eachBit(w, word, f)
	}
}
