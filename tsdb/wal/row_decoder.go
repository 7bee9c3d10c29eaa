package wal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"math/bits"

	"github.com/prometheus/prometheus/model/value"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// ErrNoBase is returned by RowDecoder.Decode for a row that is coded against a row which is
// not there, because its record was damaged. Rows of the group follow that can be read: the
// next full one at the latest.
var ErrNoBase = errors.New("row without its base")

// RowDecoder decodes the rows of any number of groups. It is used by one goroutine; several
// goroutines can each have one, if the rows of a group go to the same, in order.
type RowDecoder struct {
	groups map[uint64]*rowBase
	row    storage.Row
	hists  []storage.HistogramSample
	set    storage.Bitmap
}

// rowBase is the last row of a group.
type rowBase struct {
	state rowState
	// check is the crc32c of the payload that led to state.
	check uint32
	// valid is false while the state is not that of a row.
	valid bool
}

// NewRowDecoder returns a decoder that knows no group yet.
func NewRowDecoder() *RowDecoder { return &RowDecoder{groups: map[uint64]*rowBase{}} }

// Forget drops what is kept for a group that is closed.
func (d *RowDecoder) Forget(group uint64) { delete(d.groups, group) }

// RowGroup reads which group a row belongs to, to choose its decoder.
func RowGroup(payload []byte) (group uint64, err error) {
	group, _, err = readUvarint(payload, "row group")
	return group, err
}

// Decode decodes the payload of a TypeRow record. The row is valid until the next call, and
// not to be changed; Present is always set, and StartTimes if there is any start timestamp.
// Histograms are new objects. Values of columns that are absent or have a histogram mean
// nothing. The error wraps ErrNoBase or ErrCorrupt.
func (d *RowDecoder) Decode(payload []byte) (group uint64, row *storage.Row, err error) {
	group, src, err := readUvarint(payload, "row group")
	if err != nil {
		return 0, nil, err
	}
	if len(src) == 0 || src[0]&^rowFlags != 0 {
		return group, nil, corruptf("row of group %d: bad flags", group)
	}
	flags, src := src[0], src[1:]
	base := d.groups[group]
	if flags&rowFull == 0 {
		if len(src) < 4 {
			return group, nil, corruptf("row of group %d: no checksum of the base left", group)
		}
		if base == nil || !base.valid || base.check != binary.LittleEndian.Uint32(src) {
			return group, nil, ErrNoBase
		}
		src = src[4:]
	} else if base == nil {
		base = &rowBase{}
		d.groups[group] = base
	}
	base.valid = false // Until it is wholly decoded.
	if err := d.decode(&base.state, flags, src); err != nil {
		return group, nil, err
	}
	base.valid = true
	base.check = crc32.Checksum(payload, castagnoli)
	s := &base.state
	d.row.T, d.row.Values, d.row.Present = s.t, floatsOf(s.bits, d.row.Values), s.present
	d.row.StartTimes = s.start
	d.row.Histograms = d.hists
	return group, &d.row, nil
}

// floatsOf copies bits to floats.
func floatsOf(b []uint64, dst []float64) []float64 {
	if cap(dst) < len(b) {
		dst = make([]float64, len(b))
	}
	dst = dst[:len(b)]
	for i, v := range b {
		dst[i] = math.Float64frombits(v)
	}
	return dst
}

// decode brings the state from the base to the row.
func (d *RowDecoder) decode(s *rowState, flags byte, src []byte) error {
	dt, src, err := readSvarint(src, "row time")
	if err != nil {
		return err
	}
	n := s.columns
	if flags&(rowFull|rowColumns) != 0 {
		var u uint64
		if u, src, err = readUvarint(src, "row columns"); err != nil {
			return err
		}
		if u > MaxColumns || (flags&rowFull == 0 && int(u) <= n) {
			return corruptf("row of %d columns after one of %d", u, n)
		}
		n = int(u)
	}
	if flags&rowFull != 0 {
		s.reset(n)
		s.t = dt
	} else {
		s.grow(n)
		s.step += dt
		s.t += s.step
	}
	d.set = d.set[:0].Grow(n)
	if flags&rowPresence != 0 {
		if src, err = readSet(d.set, src, n); err != nil {
			return err
		}
		for w, word := range d.set {
			s.present[w] ^= word
		}
	}
	if src, err = readSet(d.set, src, n); err != nil {
		return err
	}
	if src, err = readValues(s, d.set, src); err != nil {
		return err
	}
	d.hists = d.hists[:0]
	if flags&rowHistograms != 0 {
		if src, err = d.readHistograms(src, n); err != nil {
			return err
		}
	}
	if flags&rowStartTimes != 0 {
		if src, err = d.readStartTimes(s, src, n); err != nil {
			return err
		}
	}
	return checkEnd(src, "row")
}

// readValues reads the values of the changed columns.
func readValues(s *rowState, changed storage.Bitmap, src []byte) (rest []byte, err error) {
	for w, word := range changed {
		for ; word != 0; word &= word - 1 {
			c := w*64 + bits.TrailingZeros64(word)
			var u uint64
			if len(src) > 0 && src[0] < 0x80 {
				u, src = uint64(src[0]), src[1:]
			} else if u, src, err = readUvarint(src, "value"); err != nil {
				return nil, err
			}
			mode := s.modes[c]
			switch {
			case u == 0:
				if src, err = readNewMode(s, c, src); err != nil {
					return nil, err
				}
			case mode <= encoding.MaxExponent:
				m, _ := encoding.Decimal(math.Float64frombits(s.bits[c]), int(mode))
				s.bits[c] = math.Float64bits(encoding.FromDecimal(m+unzigzag(u), int(mode)))
			default:
				o := encoding.OrderedBits(math.Float64frombits(s.bits[c]))
				s.bits[c] = math.Float64bits(encoding.FromOrderedBits(o + unzigzag(u)))
			}
		}
	}
	return src, nil
}

// readNewMode reads a value that begins a mode.
func readNewMode(s *rowState, c int, src []byte) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, corruptf("value: no mode left")
	}
	mode, src := src[0], src[1:]
	switch {
	case mode <= encoding.MaxExponent:
		m, src, err := readSvarint(src, "value")
		if err != nil {
			return nil, err
		}
		s.bits[c], s.modes[c] = math.Float64bits(encoding.FromDecimal(m, int(mode))), mode
		return src, nil
	case mode == modeBits:
		b, src, err := readBytes8(src, "value")
		if err != nil {
			return nil, err
		}
		s.bits[c], s.modes[c] = b, modeBits
		return src, nil
	case mode == modeStale:
		s.bits[c], s.modes[c] = value.StaleNaN, modeBits
		return src, nil
	}
	return nil, corruptf("value: mode %d", mode)
}

func (d *RowDecoder) readHistograms(src []byte, n int) (rest []byte, err error) {
	count, src, err := readCount(src, 2, "histograms")
	if err != nil {
		return nil, err
	}
	next := uint64(0)
	for range count {
		var gap uint64
		if gap, src, err = readUvarint(src, "histogram column"); err != nil {
			return nil, err
		}
		if gap >= uint64(n) || next+gap >= uint64(n) {
			return nil, corruptf("histogram in column %d+%d of %d", next, gap, n)
		}
		h := storage.HistogramSample{Column: storage.Column(next + gap)}
		next += gap + 1
		if h.Histogram, h.FloatHistogram, src, err = encoding.DecodeHistogram(src); err != nil {
			return nil, corruptf("row: %w", err)
		}
		d.hists = append(d.hists, h)
	}
	return src, nil
}

func (d *RowDecoder) readStartTimes(s *rowState, src []byte, n int) (rest []byte, err error) {
	d.set.Clear()
	if src, err = readSet(d.set, src, n); err != nil {
		return nil, err
	}
	if s.start == nil {
		s.start = make([]int64, n)
	}
	for w, word := range d.set {
		for ; word != 0; word &= word - 1 {
			var delta int64
			if delta, src, err = readSvarint(src, "start time"); err != nil {
				return nil, err
			}
			s.start[w*64+bits.TrailingZeros64(word)] += delta
		}
	}
	return src, nil
}
