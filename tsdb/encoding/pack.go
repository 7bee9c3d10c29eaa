package encoding

import "slices"

//go:generate go run ./packgen

// maxPackedWidth is the greatest width of packed numbers: what one 8-byte load gives at any
// bit offset.
const maxPackedWidth = 56

// packSlack is how many bytes behind their end packing may write and unpacking may load.
const packSlack = 8

// packedBytes is the length of n packed numbers.
func packedBytes(n, width int) int { return (n*width + 7) / 8 }

// packing is the memory of packing and unpacking a block: what is given to one of the
// functions for each width must not lie on the stack.
type packing struct {
	numbers [blockRows]uint64
	// Residuals that are told apart, ascending in their rows.
	rows   [blockRows]uint8
	second [blockRows]uint64
	end    [blockRows/8*maxPackedWidth + packSlack]byte
}

// appendPacked appends the low width bits of each of the first n numbers. The last eight are
// filled up in their memory.
func appendPacked(dst []byte, numbers []uint64, n, width int) []byte {
	groups := (n + 7) / 8
	numbers = numbers[:8*groups]
	clear(numbers[n:])
	from, size := len(dst), packedBytes(n, width)
	dst = slices.Grow(dst, groups*width+packSlack)
	packWidth[width](dst[from:from+groups*width+packSlack], numbers)
	return dst[:from+size]
}

// unpack reads n numbers of width bits, and overwrites the memory behind them. src has them
// whole, and may end with them.
func (p *packing) unpack(numbers *[blockRows]uint64, src []byte, n, width int) {
	groups := (n + 7) / 8
	if need := groups*width + packSlack; len(src) < need {
		// At the end of the bytes, where whole words cannot be loaded.
		copy(p.end[:need], src)
		src = p.end[:]
	}
	unpackWidth[width](numbers[:8*groups], src)
}
