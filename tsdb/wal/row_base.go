package wal

import (
	"math"
	"math/bits"
	"slices"

	"github.com/prometheus/prometheus/model/value"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// rowBase is the last row of a group that a RowDecoder has decoded: what the next one is coded
// against.
type rowBase struct {
	// t is its time, step the distance to the row before.
	t, step int64
	// values has the last value of each column, modes how it was coded: up to
	// encoding.MaxExponent it is a decimal with that exponent, modeBits otherwise.
	values []float64
	modes  []uint8
	// present is the set of columns of the row.
	present storage.Bitmap
	// start has the start timestamps; nil until there is one.
	start []int64
	// check is the crc32c of its payload.
	check uint32
	// valid is false while the rest is not that of a row.
	valid bool
}

// grow makes room for n columns, the new ones with the value 0 and absent.
func (b *rowBase) grow(n int) {
	more := n - len(b.values)
	if more <= 0 {
		return
	}
	b.values = append(b.values, make([]float64, more)...)
	b.modes = append(b.modes, make([]uint8, more)...)
	b.present = b.present.Grow(n)
	if b.start != nil {
		b.start = append(b.start, make([]int64, more)...)
	}
}

// reset makes n columns of it, with the value 0 and absent.
func (b *rowBase) reset(n int) {
	if cap(b.values) > 4*n+64 { // The group has shrunk: let the memory go.
		b.values, b.modes, b.present = nil, nil, nil
	}
	b.values, b.modes, b.present, b.start = b.values[:0], b.modes[:0], b.present[:0], nil
	b.grow(n)
}

// readChanged reads the values of the columns that differ from the row before, and appends to
// before what they were.
func (b *rowBase) readChanged(before []float64, changed storage.Bitmap, src []byte) (_ []float64, rest []byte, err error) {
	values, modes := b.values, b.modes
	before = slices.Grow(before, changed.Count())
	for w, word := range changed {
		for ; word != 0; word &= word - 1 {
			c := w*64 + bits.TrailingZeros64(word)
			before = append(before, values[c])
			var u uint64
			if len(src) > 0 && src[0] < 0x80 {
				u, src = uint64(src[0]), src[1:]
			} else if u, src, err = readUvarint(src, "value"); err != nil {
				return before, nil, err
			}
			switch mode := modes[c]; {
			case u == 0:
				if values[c], modes[c], src, err = readNewMode(src); err != nil {
					return before, nil, err
				}
			case mode <= encoding.MaxExponent:
				m, _ := encoding.Decimal(values[c], int(mode))
				values[c] = encoding.FromDecimal(m+unzigzag(u), int(mode))
			default:
				values[c] = encoding.FromOrderedBits(encoding.OrderedBits(values[c]) + unzigzag(u))
			}
		}
	}
	return before, src, nil
}

// readAll reads the values of a full row: those of the columns of set, the others are 0. It
// makes set the columns that differ from the row before, and appends to before what they were.
func (b *rowBase) readAll(before []float64, set storage.Bitmap, src []byte) (_ []float64, rest []byte, err error) {
	clear(b.modes)
	for w, word := range set {
		values, modes := b.values[w*64:min(w*64+64, len(b.values))], b.modes[w*64:]
		changed := uint64(0)
		for i := range values {
			v := 0.0
			if word>>i&1 != 0 {
				var u uint64
				if len(src) > 0 && src[0] < 0x80 {
					u, src = uint64(src[0]), src[1:]
				} else if u, src, err = readUvarint(src, "value"); err != nil {
					return before, nil, err
				}
				if v = float64(unzigzag(u)); u == 0 {
					if v, modes[i], src, err = readNewMode(src); err != nil {
						return before, nil, err
					}
				}
			}
			if math.Float64bits(v) != math.Float64bits(values[i]) {
				before = append(before, values[i])
				values[i] = v
				changed |= 1 << i
			}
		}
		set[w] = changed
	}
	return before, src, nil
}

// readNewMode reads a value that begins a mode.
func readNewMode(src []byte) (v float64, mode uint8, rest []byte, err error) {
	if len(src) == 0 {
		return 0, 0, nil, corruptf("value: no mode left")
	}
	mode, src = src[0], src[1:]
	switch {
	case mode <= encoding.MaxExponent:
		m, src, err := readSvarint(src, "value")
		return encoding.FromDecimal(m, int(mode)), mode, src, err
	case mode == modeBits:
		b, src, err := readBytes8(src, "value")
		return math.Float64frombits(b), modeBits, src, err
	case mode == modeStale:
		return math.Float64frombits(value.StaleNaN), modeBits, src, nil
	}
	return 0, 0, nil, corruptf("value: mode %d", mode)
}
