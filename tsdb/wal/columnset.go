package wal

import (
	"encoding/binary"
	"math/bits"

	"github.com/gnomonhq/gnomon/storage"
)

// Forms of a column set; they never change.
const (
	setNone     = 0
	setAll      = 1
	setGaps     = 2
	setBitmap   = 3
	setTwoLevel = 4
)

// appendSet appends the set of the columns below n, in the smallest form. Words beyond n are
// not there, bits beyond n are 0.
func appendSet(dst []byte, set storage.Bitmap, n int) []byte {
	count := set.Count()
	switch count {
	case 0:
		return append(dst, setNone)
	case n:
		return append(dst, setAll)
	}
	flat := (n + 7) / 8
	summary := (flat + 7) / 8
	filled := filledBytes(set)
	gaps := uvarintLen(uint64(count)) + count // At least; gaps of 128 and more take more.
	if gaps < flat && gaps < summary+filled {
		gaps = gapsSize(set, count)
	}
	switch {
	case gaps < flat && gaps < summary+filled:
		return appendGaps(append(dst, setGaps), set, count)
	case flat <= summary+filled:
		return appendBytes(append(dst, setBitmap), set, flat)
	default:
		return appendTwoLevel(append(dst, setTwoLevel), set, flat, summary)
	}
}

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func filledBytes(set storage.Bitmap) int {
	n := 0
	for _, w := range set {
		for ; w != 0; w >>= 8 {
			if w&0xff != 0 {
				n++
			}
		}
	}
	return n
}

func gapsSize(set storage.Bitmap, count int) int {
	size := uvarintLen(uint64(count))
	next := 0
	for i, w := range set {
		for ; w != 0; w &= w - 1 {
			c := i*64 + bits.TrailingZeros64(w)
			size += uvarintLen(uint64(c - next))
			next = c + 1
		}
	}
	return size
}

func appendGaps(dst []byte, set storage.Bitmap, count int) []byte {
	dst = binary.AppendUvarint(dst, uint64(count))
	next := 0
	for i, w := range set {
		for ; w != 0; w &= w - 1 {
			c := i*64 + bits.TrailingZeros64(w)
			dst = binary.AppendUvarint(dst, uint64(c-next))
			next = c + 1
		}
	}
	return dst
}

// appendBytes appends the first n bytes of the bitmap.
func appendBytes(dst []byte, set storage.Bitmap, n int) []byte {
	start := len(dst)
	for _, w := range set {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	for len(dst) < start+n {
		dst = append(dst, 0)
	}
	return dst[:start+n]
}

func appendTwoLevel(dst []byte, set storage.Bitmap, flat, summary int) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, summary)...)
	for i := range flat {
		word := i >> 3
		if word >= len(set) {
			break
		}
		if b := byte(set[word] >> (8 * (i & 7))); b != 0 {
			dst[start+i>>3] |= 1 << (i & 7)
			dst = append(dst, b)
		}
	}
	return dst
}

// readSet reads a set of columns below n into set, which has room for n and is overwritten.
func readSet(set storage.Bitmap, src []byte, n int) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, corruptf("column set: no form left")
	}
	set.Clear()
	form, src := src[0], src[1:]
	flat := (n + 7) / 8
	switch form {
	case setNone:
		return src, nil
	case setAll:
		for c := range n >> 6 {
			set[c] = ^uint64(0)
		}
		if n&63 != 0 {
			set[n>>6] = 1<<(n&63) - 1
		}
		return src, nil
	case setGaps:
		return readGaps(set, src, n)
	case setBitmap:
		if len(src) < flat {
			return nil, corruptf("column set: bitmap of %d bytes, %d left", flat, len(src))
		}
		for i, b := range src[:flat] {
			set[i>>3] |= uint64(b) << (8 * (i & 7))
		}
		src = src[flat:]
	case setTwoLevel:
		if src, err = readTwoLevel(set, src, flat); err != nil {
			return nil, err
		}
	default:
		return nil, corruptf("column set: form %d", form)
	}
	if n&63 != 0 && set[n>>6]>>(n&63) != 0 {
		return nil, corruptf("column set: column beyond %d", n)
	}
	return src, nil
}

func readGaps(set storage.Bitmap, src []byte, n int) (rest []byte, err error) {
	count, src, err := readUvarint(src, "column set")
	if err != nil {
		return nil, err
	}
	next := uint64(0)
	for range count {
		var gap uint64
		if gap, src, err = readUvarint(src, "column gap"); err != nil {
			return nil, err
		}
		if gap >= uint64(n) || next+gap >= uint64(n) {
			return nil, corruptf("column set: gap of %d after %d, of %d columns", gap, next, n)
		}
		next += gap
		set.Set(storage.Column(next))
		next++
	}
	return src, nil
}

func readTwoLevel(set storage.Bitmap, src []byte, flat int) (rest []byte, err error) {
	summary := (flat + 7) / 8
	if len(src) < summary {
		return nil, corruptf("column set: summary of %d bytes, %d left", summary, len(src))
	}
	top, src := src[:summary], src[summary:]
	for i, t := range top {
		for ; t != 0; t &= t - 1 {
			at := i*8 + bits.TrailingZeros8(t)
			if len(src) == 0 || at >= flat {
				return nil, corruptf("column set: byte %d of %d, %d bytes left", at, flat, len(src))
			}
			set[at>>3] |= uint64(src[0]) << (8 * (at & 7))
			src = src[1:]
		}
	}
	return src, nil
}
