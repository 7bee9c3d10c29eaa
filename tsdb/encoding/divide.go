package encoding

import "math/bits"

// division is by the greatest common divisor of the deltas of a column, where there is no rest: a
// shift, and the product with the inverse of what is odd, modulo 2^64.
type division struct {
	divisor, inverse int64
	shift            uint8
}

// divisorOf returns the division by what all deltas of x are multiples of, 1 or more.
func divisorOf(x, deltas []int64) division {
	divisor := uint64(0)
	for _, d := range deltas {
		// Most deltas are 0, or not much else; 0 changes nothing.
		if divisor = commonDivisor(divisor, uint64(max(d, -d))); divisor == 1 {
			return division{divisor: 1}
		}
	}
	// Wrapped deltas are not multiples of what they seem to be.
	if least, most := bounds(x); divisor == 0 || divisor > 1<<62 || uint64(most)-uint64(least) >= 1<<62 {
		return division{divisor: 1}
	}
	g := division{divisor: int64(divisor), shift: uint8(bits.TrailingZeros64(divisor))}
	odd := g.divisor >> g.shift
	// Each round of Newton's method doubles the bits that are right, of three.
	g.inverse = odd
	for range 5 {
		g.inverse *= 2 - odd*g.inverse
	}
	return g
}

// quotient divides a multiple of the divisor.
func (g *division) quotient(n int64) int64 {
	if g.divisor == 1 {
		return n
	}
	return n >> (g.shift & 63) * g.inverse
}

func commonDivisor(a, b uint64) uint64 {
	for a != 0 {
		a, b = b%a, a
	}
	return b
}
