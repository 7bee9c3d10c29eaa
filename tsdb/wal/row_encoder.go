package wal

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/prometheus/prometheus/model/value"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// RowEncoder codes the rows of one group, each against the one before. It holds 9 bytes a
// column (17 with start timestamps), and 8 for each that the last row changed. It belongs to
// whoever may append rows of the group: see Batch.Row.
//
// It is also where the group's last values are: what a row changes is found once, for the log
// and for whoever else keeps rows as changes. See Changed and Latest.
type RowEncoder struct {
	group   uint64
	segment uint64
	rows    int // Rows since the full one, itself included; 0 means that a full one comes next.
	base    uint32
	// t is the time of the last row, step its distance to the one before.
	t, step int64
	// latest has the last float of each column, modes how it was coded: see rowBase. They are
	// what a decoder has after the last row, also after a full one, which has all of them.
	latest []float64
	modes  []uint8
	// present is the set of columns of the last row.
	present storage.Bitmap
	// start has the start timestamps; nil until there is one.
	start []int64
	// unpacked is for how many rows compressing is not tried.
	unpacked uint8

	// changed has the columns whose float the last row changed, before what it was.
	changed storage.Bitmap
	before  []float64

	// Working memory.
	toggled, restarted storage.Bitmap
	startDeltas        []int64
}

// NewRowEncoder returns the encoder of a group, whose first row is written in full.
func NewRowEncoder(group uint64) *RowEncoder { return &RowEncoder{group: group} }

// Reset has the next row written in full.
func (e *RowEncoder) Reset() { e.rows = 0 }

// Latest returns the last float of each column; it is 0 before the first. It is valid until
// the next row and not to be changed.
func (e *RowEncoder) Latest() []float64 { return e.latest }

// Changed returns the columns whose float the last row changed, and what each of them was
// before, ascending in the column. Both are valid until the next row and not to be changed. A
// row that was not written counts as well.
func (e *RowEncoder) Changed() (columns storage.Bitmap, before []float64) { return e.changed, e.before }

// columnsOf is the number of columns that a row speaks of.
func columnsOf(row *storage.Row) int {
	n := len(row.Values)
	for w := len(row.Present) - 1; w >= 0; w-- {
		if row.Present[w] != 0 {
			n = max(n, w*64+bits.Len64(row.Present[w]))
			break
		}
	}
	if h := row.Histograms; len(h) > 0 {
		n = max(n, int(h[len(h)-1].Column)+1)
	}
	return n
}

// append appends the payload of a row that goes to the given segment.
func (e *RowEncoder) append(dst []byte, row *storage.Row, segment uint64) ([]byte, error) {
	n := columnsOf(row)
	if n > MaxColumns {
		return dst, fmt.Errorf("row of group %d has %d columns, the limit is %d", e.group, n, MaxColumns)
	}
	full := e.rows == 0 || e.rows >= fullRowEvery || e.segment != segment
	flags := byte(0)
	if n > len(e.latest) {
		e.grow(n)
		flags |= rowColumns
	}
	if full {
		flags, e.rows, e.segment = rowFull, 0, segment
		e.present.Clear()
		e.start = nil
	}
	e.rows++
	e.compare(row)
	if e.toggled.Count() > 0 {
		flags |= rowPresence
	}
	if len(row.Histograms) > 0 {
		flags |= rowHistograms
	}
	if e.compareStartTimes(row) {
		flags |= rowStartTimes
	}

	dst = binary.AppendUvarint(dst, e.group)
	dst = append(dst, flags)
	if full {
		dst = appendSvarint(dst, row.T)
		e.step = 0
	} else {
		dst = binary.LittleEndian.AppendUint32(dst, e.base)
		dst = appendSvarint(dst, row.T-e.t-e.step)
		e.step = row.T - e.t
	}
	e.t = row.T
	if flags&(rowFull|rowColumns) != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(e.latest)))
	}
	if flags&rowPresence != 0 {
		dst = appendSet(dst, e.toggled, len(e.latest))
	}
	if full {
		e.update(row.Values)
		dst = e.appendAll(dst)
	} else {
		dst = appendSet(dst, e.changed, len(e.latest))
		dst = e.appendChanged(dst, row.Values)
	}
	if flags&rowHistograms != 0 {
		dst = appendRowHistograms(dst, row.Histograms)
	}
	if flags&rowStartTimes != 0 {
		dst = e.appendStartTimes(dst)
	}
	return dst, nil
}

// grow makes room for n columns, those that are new with the value 0 and absent.
func (e *RowEncoder) grow(n int) {
	if n <= len(e.latest) {
		return
	}
	e.latest = append(e.latest, make([]float64, n-len(e.latest))...)
	e.modes = append(e.modes, make([]uint8, n-len(e.modes))...)
	e.present = e.present.Grow(n)
	if e.start != nil {
		e.start = append(e.start, make([]int64, n-len(e.start))...)
	}
}

// compare finds the columns whose presence or value differs from the row before, and brings
// the presence up to date.
func (e *RowEncoder) compare(row *storage.Row) {
	words := len(e.present)
	e.changed = e.changed[:0].Grow(len(e.latest))
	e.toggled = e.toggled[:0].Grow(len(e.latest))
	findChanged(e.changed, e.latest[:len(row.Values)], row.Values)
	present := e.toggled
	if row.Present != nil {
		copy(present, row.Present[:min(words, len(row.Present))])
	} else {
		for w := range len(row.Values) >> 6 {
			present[w] = ^uint64(0)
		}
		if n := len(row.Values); n&63 != 0 {
			present[n>>6] = 1<<(n&63) - 1
		}
	}
	// The float of a histogram column means nothing, so it does not change.
	for _, h := range row.Histograms {
		present.Set(h.Column)
		e.changed.Unset(h.Column)
	}
	for w, p := range present {
		e.changed[w] &= p
		e.toggled[w] = p ^ e.present[w]
		e.present[w] = p
	}
}

// update brings the last floats up to date.
func (e *RowEncoder) update(values []float64) {
	e.before = slices.Grow(e.before[:0], e.changed.Count())
	for w, word := range e.changed {
		for ; word != 0; word &= word - 1 {
			c := w*64 + bits.TrailingZeros64(word)
			e.before = append(e.before, e.latest[c])
			e.latest[c] = values[c]
		}
	}
}

// appendChanged appends the values of the changed columns, and brings the last floats up to
// date. Nearly all of them are integers near the one before, which the first branch is for.
func (e *RowEncoder) appendChanged(dst []byte, values []float64) []byte {
	e.before = slices.Grow(e.before[:0], e.changed.Count())
	before, latest, modes := e.before, e.latest, e.modes
	for w, word := range e.changed {
		dst = slices.Grow(dst, 2*64) // as the first branch may need
		for ; word != 0; word &= word - 1 {
			c := w*64 + bits.TrailingZeros64(word)
			v, prev, mode := values[c], latest[c], modes[c]
			latest[c] = v
			before = append(before, prev)
			if m := int64(v); mode == 0 && math.Float64bits(float64(m)) == math.Float64bits(v) && m <= 1<<53 && m >= -1<<53 {
				dst = appendShortUvarint(dst, zigzag(m-int64(prev)))
				continue
			}
			if mode <= encoding.MaxExponent {
				if m, ok := encoding.Decimal(v, int(mode)); ok {
					// Decimal cannot fail: that is what the mode says.
					p, _ := encoding.Decimal(prev, int(mode))
					dst = binary.AppendUvarint(dst, zigzag(m-p))
					continue
				}
			} else if m := int64(v); float64(m) != v || m > 1<<53 || m < -1<<53 {
				if mode == modeBits && !value.IsStaleNaN(v) {
					delta := encoding.OrderedBits(v) - encoding.OrderedBits(prev)
					dst = binary.AppendUvarint(dst, zigzag(delta))
					continue
				}
			}
			dst, modes[c] = appendNewMode(dst, v, mode)
		}
	}
	e.before = before
	return dst
}

// appendAll appends the columns whose last float is not 0, whether they are present or not, and
// these floats: what a full row has. How a column was coded is tried first.
func (e *RowEncoder) appendAll(dst []byte) []byte {
	set := e.toggled // It has been written.
	for w := range set {
		var word uint64
		modes := e.modes[w*64:]
		for i, v := range e.latest[w*64 : min(w*64+64, len(e.latest))] {
			x := math.Float64bits(v)
			x = (x | -x) >> 63 // 1 unless the value is 0, whose mode is 0
			word |= x << (i & 63)
			modes[i] &= -uint8(x)
		}
		set[w] = word
	}
	dst = appendSet(dst, set, len(e.latest))
	for w, word := range set {
		for ; word != 0; word &= word - 1 {
			c := w*64 + bits.TrailingZeros64(word)
			v, mode := e.latest[c], e.modes[c]
			if m, ok := encoding.Decimal(v, 0); ok {
				dst = binary.AppendUvarint(dst, zigzag(m))
				e.modes[c] = 0
				continue
			}
			if 0 < mode && mode <= encoding.MaxExponent {
				if m, ok := encoding.Decimal(v, int(mode)); ok {
					dst = appendSvarint(append(dst, 0, mode), m)
					continue
				}
			}
			dst, e.modes[c] = appendNewMode(dst, v, mode)
		}
	}
	return dst
}

// appendShortUvarint appends a uvarint that takes one or two bytes, as likely as not, without
// a branch between the two.
func appendShortUvarint(dst []byte, u uint64) []byte {
	if u >= 1<<14 {
		return binary.AppendUvarint(dst, u)
	}
	high := u >> 7
	more := (high | -high) >> 63 // 1 unless high is 0
	n := len(dst)
	dst = append(dst, byte(u)&0x7f|byte(more)<<7, byte(high))
	return dst[:n+1+int(more)]
}

// appendNewMode appends a value that the column's mode does not fit, and returns the new mode.
func appendNewMode(dst []byte, v float64, mode uint8) ([]byte, uint8) {
	if value.IsStaleNaN(v) {
		return append(dst, 0, modeStale), modeBits
	}
	from := 0
	if mode < encoding.MaxExponent {
		from = int(mode) // It grows, so that the digits of one value need not be found twice.
	}
	exp := encoding.DecimalExponent(v, from)
	if exp < 0 && from > 0 {
		exp = encoding.DecimalExponent(v, 0) // Too large for so many digits.
	}
	if exp >= 0 {
		m, _ := encoding.Decimal(v, exp)
		return appendSvarint(append(dst, 0, byte(exp)), m), uint8(exp)
	}
	dst = append(dst, 0, modeBits)
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v)), modeBits
}

func appendRowHistograms(dst []byte, hs []storage.HistogramSample) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(hs)))
	next := storage.Column(0)
	for _, h := range hs {
		dst = binary.AppendUvarint(dst, uint64(h.Column-next))
		next = h.Column + 1
		if h.Histogram != nil {
			dst = encoding.AppendHistogram(dst, h.Histogram)
		} else {
			dst = encoding.AppendFloatHistogram(dst, h.FloatHistogram)
		}
	}
	return dst
}

// compareStartTimes finds the present columns whose start timestamp differs from the one
// before, brings the state up to date, and says whether there are any.
func (e *RowEncoder) compareStartTimes(row *storage.Row) bool {
	if row.StartTimes == nil && e.start == nil {
		return false
	}
	if e.start == nil {
		e.start = make([]int64, len(e.latest))
	}
	e.restarted = e.restarted[:0].Grow(len(e.latest))
	e.startDeltas = e.startDeltas[:0]
	for w, word := range e.present {
		for ; word != 0; word &= word - 1 {
			c := w*64 + bits.TrailingZeros64(word)
			st := int64(0)
			if c < len(row.StartTimes) {
				st = row.StartTimes[c]
			}
			if st != e.start[c] {
				e.restarted.Set(storage.Column(c))
				e.startDeltas = append(e.startDeltas, st-e.start[c])
				e.start[c] = st
			}
		}
	}
	return len(e.startDeltas) > 0
}

func (e *RowEncoder) appendStartTimes(dst []byte) []byte {
	dst = appendSet(dst, e.restarted, len(e.latest))
	for _, d := range e.startDeltas {
		dst = appendSvarint(dst, d)
	}
	return dst
}
