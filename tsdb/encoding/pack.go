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

// appendPacked appends the low width bits of each of n numbers, at most blockRows. The block's
// memory behind them is overwritten.
func appendPacked(dst []byte, block *[blockRows]uint64, n, width int) []byte {
	groups := (n + 7) / 8
	clear(block[n : 8*groups])
	from, size := len(dst), packedBytes(n, width)
	dst = slices.Grow(dst, groups*width+packSlack)
	packWidth[width](dst[from:from+groups*width+packSlack], block[:8*groups])
	return dst[:from+size]
}

// unpack reads n numbers of width bits, at most blockRows, and overwrites the block's memory
// behind them. src has them whole, and may end with them.
func unpack(block *[blockRows]uint64, src []byte, n, width int) {
	groups := (n + 7) / 8
	if need := groups*width + packSlack; len(src) < need {
		// At the end of the bytes, where whole words cannot be loaded.
		var end [blockRows/8*maxPackedWidth + packSlack]byte
		copy(end[:need], src)
		src = end[:]
	}
	unpackWidth[width](block[:8*groups], src)
}
