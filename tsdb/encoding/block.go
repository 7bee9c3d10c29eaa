package encoding

import (
	"encoding/binary"
	"math/bits"
)

// Constants of the packed block; they never change.
const (
	blockRows = 128

	blockWidthMask = 0x3f
	widthRaw       = 57 // In the header: 64 bits.
	formPlain      = 0x00
	formExceptions = 0x40
	formBitmap     = 0x80
	formMask       = 0xc0

	// exceptionRowBits is the part of an exception that says where it belongs.
	exceptionRowBits = 7
)

// block is how up to blockRows residuals are packed.
type block struct {
	form  uint8
	width uint8 // 0 to 56, or 64.
	count uint8 // Exceptions, or residuals that are not 0.
	extra uint8 // Bits of an exception above the width.
}

// payload is the number of bytes of n packed residuals.
func (b block) payload(n int) int {
	switch b.form {
	case formExceptions:
		return packedBytes(n, int(b.width)) + packedBytes(int(b.count), int(b.extra)+exceptionRowBits)
	case formBitmap:
		return packedBytes(n, 1) + packedBytes(int(b.count), int(b.width))
	default:
		return packedBytes(n, int(b.width))
	}
}

// planCounts finds the form and width with the smallest exact size. counts has, for each bit
// length up to the widest that occurs, how many of the n residuals have it.
func planCounts(counts *[65]uint8, n, widest int) (b block, size int) {
	if widest > maxPackedWidth {
		b.width = 64
	} else {
		b.width = uint8(widest)
	}
	size = 1 + packedBytes(n, int(b.width))
	if c := n - int(counts[0]); widest <= maxPackedWidth && c < n {
		if s := 2 + packedBytes(n, 1) + packedBytes(c, widest); s < size {
			b, size = block{form: formBitmap, width: uint8(widest), count: uint8(c)}, s
		}
	}
	// Between two bit lengths that occur a width costs more and saves nothing.
	above := 0
	for w := widest - 1; w >= 0; w-- {
		above += int(counts[w+1])
		extra := widest - w
		if extra > maxPackedWidth-exceptionRowBits {
			break
		}
		if w > maxPackedWidth || (counts[w] == 0 && w > 0) {
			continue
		}
		patches := 3 + packedBytes(above, extra+exceptionRowBits)
		if patches >= size {
			break // There will be more of them, and wider ones.
		}
		if s := patches + packedBytes(n, w); s < size {
			b, size = block{form: formExceptions, width: uint8(w), count: uint8(above), extra: uint8(extra)}, s
		}
	}
	return b, size
}

// appendBlockHead appends what the head of a column says of a block.
func appendBlockHead(dst []byte, b block) []byte {
	width := b.width
	if width == 64 {
		width = widthRaw
	}
	dst = append(dst, b.form|width)
	switch b.form {
	case formExceptions:
		dst = append(dst, b.count, b.extra)
	case formBitmap:
		dst = append(dst, b.count)
	}
	return dst
}

// readBlockHead reads what appendBlockHead wrote, for a block of n residuals.
func readBlockHead(src []byte, n int) (b block, rest []byte, err error) {
	if len(src) == 0 {
		return b, nil, corruptf("packed block: no header left")
	}
	b.form, b.width = src[0]&formMask, src[0]&blockWidthMask
	fields := int(b.form&formExceptions>>6)*2 + int(b.form>>7)
	raw := b.form == formPlain && b.width == widthRaw
	if b.form == formMask || (b.width > maxPackedWidth && !raw) || len(src) <= fields {
		return b, nil, corruptf("packed block: header %#x, %d bytes left", src[0], len(src)-1)
	}
	switch {
	case raw:
		b.width = 64
	case b.form == formExceptions:
		b.count, b.extra = src[1], src[2]
		if b.extra == 0 || b.extra > maxPackedWidth-exceptionRowBits || b.width+b.extra > 64 {
			return b, nil, corruptf("packed block: exceptions of %d bits above %d", b.extra, b.width)
		}
	case b.form == formBitmap:
		b.count = src[1]
	}
	if int(b.count) > n || (b.count == 0 && b.form != formPlain) {
		return b, nil, corruptf("packed block: %d exceptions in %d rows", b.count, n)
	}
	return b, src[1+fields:], nil
}

// appendBlock appends the payload of residuals, which are overwritten. They have room for as many as
// are packed together.
func (p *packing) appendBlock(dst []byte, b block, residuals []uint64) []byte {
	n := len(residuals)
	switch {
	case b.width == 64:
		for _, v := range residuals {
			dst = binary.LittleEndian.AppendUint64(dst, v)
		}
		return dst
	case b.form == formBitmap:
		var bitmap [blockRows / 64]uint64
		k := 0
		for i, v := range residuals {
			// Without a branch: the next one overwrites a 0.
			set := (v | -v) >> 63
			bitmap[i/64&1] |= set << (i % 64)
			residuals[k] = v // k is not before i.
			k += int(set)
		}
		dst = appendBitmap(dst, &bitmap, n)
		return appendPacked(dst, residuals, k, int(b.width))
	case b.form == formExceptions:
		k := 0
		for i, v := range residuals {
			high := v >> (b.width & 63)
			p.second[k%blockRows] = high<<exceptionRowBits | uint64(i)
			k += int((high | -high) >> 63)
		}
		dst = appendPacked(dst, residuals, n, int(b.width))
		return appendPacked(dst, p.second[:], k, int(b.extra)+exceptionRowBits)
	default:
		return appendPacked(dst, residuals, n, int(b.width))
	}
}

// appendBitmap appends n bits.
func appendBitmap(dst []byte, bitmap *[blockRows / 64]uint64, n int) []byte {
	var all [blockRows / 8]byte
	binary.LittleEndian.PutUint64(all[:], bitmap[0])
	binary.LittleEndian.PutUint64(all[8:], bitmap[1])
	return append(dst, all[:packedBytes(n, 1)]...)
}

// sparse says that all residuals are 0 but for those that are told apart.
func (b block) sparse() bool {
	return b.form == formBitmap || (b.form == formExceptions && b.width == 0)
}

// decodeBlock reads n residuals into p.numbers.
func (p *packing) decodeBlock(b block, src []byte, n int) error {
	switch {
	case b.width == 64:
		for i := range p.numbers[:n] {
			p.numbers[i] = binary.LittleEndian.Uint64(src[8*i:])
		}
		return nil
	case b.form == formPlain:
		p.unpack(&p.numbers, src, n, int(b.width))
		return nil
	}
	if err := p.decodeApart(b, src, n); err != nil {
		return err
	}
	if b.sparse() {
		clear(p.numbers[:n])
		for i, row := range p.rows[:b.count] {
			p.numbers[row%blockRows] = p.second[i]
		}
		return nil
	}
	p.unpack(&p.numbers, src, n, int(b.width))
	for i, row := range p.rows[:b.count] {
		p.numbers[row%blockRows] |= p.second[i] << (b.width & 63)
	}
	return nil
}

// decodeApart reads the rows and numbers of a block of n residuals that are told apart:
// exceptions, of which the bits above the width, or those that are not 0.
func (p *packing) decodeApart(b block, src []byte, n int) error {
	k := int(b.count)
	if b.form == formBitmap {
		if !p.readBitmap(src, n, k) {
			return corruptf("packed block: bitmap of other than %d rows", k)
		}
		p.unpack(&p.second, src[packedBytes(n, 1):], k, int(b.width))
		return nil
	}
	p.unpack(&p.second, src[packedBytes(n, int(b.width)):], k, int(b.extra)+exceptionRowBits)
	last := -1
	for i, x := range p.second[:k] {
		row := int(x % blockRows)
		if row <= last || row >= n {
			return corruptf("packed block: exception at row %d after %d, of %d", row, last, n)
		}
		last = row
		p.rows[i], p.second[i] = uint8(row), x>>exceptionRowBits
	}
	return nil
}

// readBitmap reads the k rows of a bitmap of n. It reports false if there are not as many.
func (p *packing) readBitmap(src []byte, n, k int) bool {
	var bitmap [blockRows / 64]uint64
	for i, x := range src[:packedBytes(n, 1)] {
		bitmap[i/8] |= uint64(x) << (i % 8 * 8)
	}
	if n < blockRows {
		bitmap[n/64] &= 1<<(n%64) - 1
	}
	if bits.OnesCount64(bitmap[0])+bits.OnesCount64(bitmap[1]) != k {
		return false
	}
	i := 0
	for word, set := range bitmap {
		for ; set != 0; set &= set - 1 {
			p.rows[i%blockRows] = uint8(word*64 + bits.TrailingZeros64(set))
			i++
		}
	}
	return true
}
