package head

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// A short column is the floats of a column in a sealed window. It lives until
// its segment is merged, never leaves memory, and is coded for speed: package
// encoding spends more on choosing a form than 16 values are worth.
//
//	byte 0         the form
//	0 constant     8 bytes, the float's bits
//	1 decimals     1 byte exponent e, 1 byte width w, svarint m0, then the
//	               zigzag differences of the others, w bits each: value i is
//	               float64(m)/10^e
//	2 other        encoding.AppendFloats
const (
	shortConstant = 0
	shortDecimals = 1
	shortOther    = 2
)

// appendShort appends up to windowRows values, at least one.
func appendShort(dst []byte, values []float64) []byte {
	first := math.Float64bits(values[0])
	same := true
	for _, v := range values[1:] {
		same = same && math.Float64bits(v) == first
	}
	if same {
		return binary.LittleEndian.AppendUint64(append(dst, shortConstant), first)
	}
	var deltas [windowRows]uint64
	e, m0, width := shortDeltas(&deltas, values)
	if e < 0 {
		return encoding.AppendFloats(append(dst, shortOther), values)
	}
	dst = binary.AppendVarint(append(dst, shortDecimals, byte(e), byte(width)), m0)
	return appendBits(dst, deltas[1:len(values)], uint(width))
}

// shortDeltas writes the values as decimals with one exponent, the smallest that
// fits all, and fills in the zigzag differences and their width. The exponent is
// -1 if there is none.
func shortDeltas(deltas *[windowRows]uint64, values []float64) (e int, m0 int64, width int) {
	for {
		var all uint64
		prev := int64(0)
		ok := true
		for i, v := range values {
			m, exact := encoding.Decimal(v, e)
			if !exact {
				if e = encoding.DecimalExponent(v, e+1); e < 0 {
					return -1, 0, 0
				}
				ok = false
				break
			}
			if i == 0 {
				m0 = m
			} else {
				d := m - prev
				deltas[i] = uint64(d)<<1 ^ uint64(d>>63)
				all |= deltas[i]
			}
			prev = m
		}
		if ok {
			return e, m0, bits.Len64(all)
		}
	}
}

// appendBits appends numbers of width bits each.
func appendBits(dst []byte, numbers []uint64, width uint) []byte {
	var word uint64
	var used uint
	for _, n := range numbers {
		word |= n << used
		if used += width; used >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, word)
			used -= 64
			word = n >> (width - used) // 0 if the shift is the width or more
		}
	}
	for ; used > 0; used -= min(used, 8) {
		dst = append(dst, byte(word))
		word >>= 8
	}
	return dst
}

// decodeShort appends n values to dst.
func decodeShort(dst []float64, src []byte, n int) ([]float64, error) {
	if len(src) == 0 {
		return dst, fmt.Errorf("%w: short column without a form", encoding.ErrCorrupt)
	}
	form, src := src[0], src[1:]
	switch {
	case form == shortConstant && len(src) >= 8:
		v := math.Float64frombits(binary.LittleEndian.Uint64(src))
		for range n {
			dst = append(dst, v)
		}
		return dst, nil
	case form == shortDecimals && len(src) > 2:
		return decodeShortDecimals(dst, src, n)
	case form == shortOther:
		dst, _, err := encoding.DecodeFloats(dst, src)
		return dst, err
	}
	return dst, fmt.Errorf("%w: short column of form %d and %d bytes", encoding.ErrCorrupt, form, len(src))
}

func decodeShortDecimals(dst []float64, src []byte, n int) ([]float64, error) {
	e, width := int(src[0]), uint(src[1])
	m, k := binary.Varint(src[2:])
	if k <= 0 || e > encoding.MaxExponent || width > 64 || len(src)-2-k < (int(width)*(n-1)+7)/8 {
		return dst, fmt.Errorf("%w: short column of exponent %d, width %d and %d bytes", encoding.ErrCorrupt, e, width, len(src))
	}
	src = src[2+k:]
	dst = append(dst, encoding.FromDecimal(m, e))
	for i := range n - 1 {
		z := bitsAt(src, uint(i)*width, width)
		m += int64(z>>1) ^ -int64(z&1)
		dst = append(dst, encoding.FromDecimal(m, e))
	}
	return dst, nil
}

// bitsAt reads width bits from position at on.
func bitsAt(src []byte, at, width uint) uint64 {
	var v uint64
	for got := uint(0); got < width; {
		skip := (at + got) & 7
		take := min(8-skip, width-got)
		b := uint64(src[(at+got)>>3]>>skip) & (1<<take - 1)
		v |= b << got
		got += take
	}
	return v
}
