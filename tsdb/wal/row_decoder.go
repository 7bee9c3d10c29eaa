package wal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/bits"

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
	// changed and before are what Changed returns, if it is known.
	changed storage.Bitmap
	before  []float64
	known   bool
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
	d.known = false
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
	known := base.valid
	base.valid = false // Until it is wholly decoded.
	if d.known, err = d.decode(base, flags, src); err != nil {
		d.known = false
		return group, nil, err
	}
	d.known = d.known && known
	base.valid = true
	base.check = crc32.Checksum(payload, castagnoli)
	d.row = storage.Row{T: base.t, Values: base.values, Present: base.present, StartTimes: base.start, Histograms: d.hists}
	return group, &d.row, nil
}

// Changed returns the columns whose value in the row decoded last differs from that in the row
// of the group that was decoded before, present or not, and what each was before, ascending in
// the column: 0 for a new one. ok is false if that is not known. Both are valid until the next
// call of Decode.
func (d *RowDecoder) Changed() (columns storage.Bitmap, before []float64, ok bool) {
	return d.changed, d.before, d.known
}

// decode brings the base to the row. kept says that what was not read is as it was before, so
// that changed has all that differs.
func (d *RowDecoder) decode(b *rowBase, flags byte, src []byte) (kept bool, err error) {
	dt, src, err := readSvarint(src, "row time")
	if err != nil {
		return false, err
	}
	n := len(b.values)
	if flags&(rowFull|rowColumns) != 0 {
		var u uint64
		if u, src, err = readUvarint(src, "row columns"); err != nil {
			return false, err
		}
		if u > MaxColumns || (flags&rowFull == 0 && int(u) <= n) {
			return false, corruptf("row of %d columns after one of %d", u, n)
		}
		n = int(u)
	}
	kept = n >= len(b.values)
	if !kept {
		b.reset(n)
	}
	b.grow(n)
	if flags&rowFull != 0 {
		b.t, b.step, b.start = dt, 0, nil
		b.present.Clear()
	} else {
		b.step += dt
		b.t += b.step
	}
	if src, err = d.readColumns(b, flags, src); err != nil {
		return false, err
	}
	d.hists = d.hists[:0]
	if flags&rowHistograms != 0 {
		if src, err = d.readHistograms(src, n); err != nil {
			return false, err
		}
	}
	if flags&rowStartTimes != 0 {
		if src, err = d.readStartTimes(b, src, n); err != nil {
			return false, err
		}
	}
	return kept, checkEnd(src, "row")
}

// readColumns reads which columns there are, which changed, and their values.
func (d *RowDecoder) readColumns(b *rowBase, flags byte, src []byte) (rest []byte, err error) {
	n := len(b.values)
	if flags&rowPresence != 0 {
		d.set = d.set[:0].Grow(n)
		if src, err = readSet(d.set, src, n); err != nil {
			return nil, err
		}
		for w, word := range d.set {
			b.present[w] ^= word
		}
	}
	d.changed = d.changed[:0].Grow(n)
	if src, err = readSet(d.changed, src, n); err != nil {
		return nil, err
	}
	if flags&rowFull != 0 {
		d.before, src, err = b.readAll(d.before[:0], d.changed, src)
	} else {
		d.before, src, err = b.readChanged(d.before[:0], d.changed, src)
	}
	return src, err
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

func (d *RowDecoder) readStartTimes(b *rowBase, src []byte, n int) (rest []byte, err error) {
	d.set = d.set[:0].Grow(n)
	if src, err = readSet(d.set, src, n); err != nil {
		return nil, err
	}
	if b.start == nil {
		b.start = make([]int64, n)
	}
	for w, word := range d.set {
		for ; word != 0; word &= word - 1 {
			var delta int64
			if delta, src, err = readSvarint(src, "start time"); err != nil {
				return nil, err
			}
			b.start[w*64+bits.TrailingZeros64(word)] += delta
		}
	}
	return src, nil
}
