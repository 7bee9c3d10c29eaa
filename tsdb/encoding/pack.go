package encoding

import (
	"encoding/binary"
	"math/bits"
)

// Constants of the packed block; they never change.
const (
	blockRows          = 128
	widthRaw           = 57 // In the header: 64 bits.
	maxPackedWidth     = 56 // What one unaligned 8-byte load can give at any bit offset.
	headerWidthMask    = 0x3f
	headerExceptions   = 0x80
	headerReservedBits = 0x40
)

// blockPlan is how a block will be written.
type blockPlan struct {
	width      int // 0 to 56, or 64.
	exceptions int
	size       int // Bytes, header included.
}

// planBlock finds the width with the smallest exact size. Only the bit lengths that occur are
// candidates (and 0): between two of them a width costs packed bits and saves nothing but,
// rarely, a byte of an exception.
func planBlock(block []uint64) blockPlan {
	var counts [65]int
	for _, v := range block {
		counts[bits.Len64(v)]++
	}
	var lens [65]int // The bit lengths that occur, ascending.
	n := 0
	for l, c := range counts {
		if c > 0 {
			lens[n] = l
			n++
		}
	}
	best := blockPlan{width: 64, size: 1 + 8*len(block)}
	if widest := lens[n-1]; widest <= maxPackedWidth {
		best = blockPlan{width: widest, size: 1 + (len(block)*widest+7)/8}
	}
	try := func(width, firstException int) {
		p := blockPlan{width: width, size: 2 + (len(block)*width+7)/8}
		for _, l := range lens[firstException:n] {
			p.exceptions += counts[l]
			p.size += counts[l] * (1 + uvarintLen(l-width))
		}
		if p.size < best.size {
			best = p
		}
	}
	if lens[0] > 0 {
		try(0, 0)
	}
	for i, l := range lens[:n-1] {
		if l <= maxPackedWidth {
			try(l, i+1)
		}
	}
	return best
}

// packedSize is the length of what appendPacked would append.
func packedSize(residuals []uint64) int {
	size := 0
	for len(residuals) > 0 {
		m := min(blockRows, len(residuals))
		size += planBlock(residuals[:m]).size
		residuals = residuals[m:]
	}
	return size
}

// appendPacked appends residuals as packed blocks.
func appendPacked(dst []byte, residuals []uint64) []byte {
	for len(residuals) > 0 {
		m := min(blockRows, len(residuals))
		dst = appendBlock(dst, residuals[:m])
		residuals = residuals[m:]
	}
	return dst
}

func appendBlock(dst []byte, block []uint64) []byte {
	p := planBlock(block)
	if p.width == 64 {
		dst = append(dst, widthRaw)
		for _, v := range block {
			dst = binary.LittleEndian.AppendUint64(dst, v)
		}
		return dst
	}
	if p.exceptions == 0 {
		dst = append(dst, byte(p.width))
		return appendBits(dst, block, uint(p.width))
	}
	dst = append(dst, byte(p.width)|headerExceptions)
	dst = appendBits(dst, block, uint(p.width))
	dst = append(dst, byte(p.exceptions))
	for i, v := range block {
		if v>>p.width != 0 {
			dst = append(dst, byte(i))
		}
	}
	for _, v := range block {
		if high := v >> p.width; high != 0 {
			dst = binary.AppendUvarint(dst, high)
		}
	}
	return dst
}

// appendBits appends the low width bits of each value; width is at most 56.
func appendBits(dst []byte, block []uint64, width uint) []byte {
	if width == 0 {
		return dst
	}
	mask := uint64(1)<<width - 1
	var acc uint64
	var used uint
	for _, v := range block {
		v &= mask
		acc |= v << used
		used += width
		if used >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, acc)
			used -= 64
			acc = v >> (width - used)
		}
	}
	for ; used > 0; used -= min(used, 8) {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	return dst
}

// decodeBlock decodes one packed block of len(dst) residuals, at most 128.
func decodeBlock(dst []uint64, src []byte) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, corruptf("packed block: no header left")
	}
	header := src[0]
	src = src[1:]
	width := uint(header & headerWidthMask)
	switch {
	case header == widthRaw:
		if len(src) < 8*len(dst) {
			return nil, corruptf("packed block: %d bytes left, want %d", len(src), 8*len(dst))
		}
		for i := range dst {
			dst[i] = binary.LittleEndian.Uint64(src[8*i:])
		}
		return src[8*len(dst):], nil
	case width > maxPackedWidth || header&headerReservedBits != 0:
		return nil, corruptf("packed block: header %#x", header)
	}
	size := (len(dst)*int(width) + 7) / 8
	if len(src) < size {
		return nil, corruptf("packed block: %d bytes left, want %d", len(src), size)
	}
	unpackBits(dst, src, size, width)
	src = src[size:]
	if header&headerExceptions != 0 {
		return applyExceptions(dst, src, width)
	}
	return src, nil
}

// unpackBits reads len(dst) values of width bits from the first size bytes of src. It may
// load, but not use, bytes beyond size.
func unpackBits(dst []uint64, src []byte, size int, width uint) {
	if width == 0 {
		clear(dst)
		return
	}
	mask := uint64(1)<<width - 1
	// fast is the number of values whose 8-byte load stays inside src.
	fast := 0
	if len(src) >= 8 {
		fast = min(len(dst), int(uint(len(src)-8)*8/width)+1)
	}
	bit := uint(0)
	for i := range dst[:fast] {
		dst[i] = binary.LittleEndian.Uint64(src[bit>>3:]) >> (bit & 7) & mask
		bit += width
	}
	if fast == len(dst) {
		return
	}
	// The values left lie in the last 8 bytes or so: give them room to be loaded from.
	var tail [24]byte
	start := bit >> 3
	copy(tail[:], src[start:size])
	bit -= start * 8
	for i := fast; i < len(dst); i++ {
		dst[i] = binary.LittleEndian.Uint64(tail[bit>>3:]) >> (bit & 7) & mask
		bit += width
	}
}

// applyExceptions adds the high bits of the exceptions of a block.
func applyExceptions(dst []uint64, src []byte, width uint) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, corruptf("packed block: no number of exceptions left")
	}
	k := int(src[0])
	if k == 0 || k > len(dst) || len(src) < 1+k {
		return nil, corruptf("packed block: %d exceptions in %d rows and %d bytes", k, len(dst), len(src))
	}
	positions, src := src[1:1+k], src[1+k:]
	last := -1
	for _, pos := range positions {
		if int(pos) <= last || int(pos) >= len(dst) {
			return nil, corruptf("packed block: exception at row %d after %d, of %d", pos, last, len(dst))
		}
		last = int(pos)
		var high uint64
		if high, src, err = readUvarint(src, "exception"); err != nil {
			return nil, err
		}
		if high == 0 || bits.Len64(high)+int(width) > 64 {
			return nil, corruptf("packed block: exception %#x above %d bits", high, width)
		}
		dst[pos] |= high << width
	}
	return src, nil
}
