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
// column (17 with start timestamps). It belongs to whoever may append rows of the group: see
// Batch.Row.
type RowEncoder struct {
	group   uint64
	segment uint64
	rows    int // Rows since the full one, itself included; 0 means that a full one comes next.
	base    uint32
	state   rowState
	// unpacked is for how many rows compressing is not tried.
	unpacked uint8

	// Working memory.
	changed, toggled, restarted storage.Bitmap

	startDeltas []int64
}

// NewRowEncoder returns the encoder of a group, whose first row is written in full.
func NewRowEncoder(group uint64) *RowEncoder { return &RowEncoder{group: group} }

// Reset has the next row written in full.
func (e *RowEncoder) Reset() { e.rows = 0 }

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
	s := &e.state
	full := e.rows == 0 || e.rows >= fullRowEvery || e.segment != segment
	flags := byte(0)
	if full {
		s.reset(n)
		flags, e.rows, e.segment = rowFull, 0, segment
	} else if n > s.columns {
		s.grow(n)
		flags |= rowColumns
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
	} else {
		dst = binary.LittleEndian.AppendUint32(dst, e.base)
		dst = appendSvarint(dst, row.T-s.t-s.step)
		s.step = row.T - s.t
	}
	s.t = row.T
	if flags&(rowFull|rowColumns) != 0 {
		dst = binary.AppendUvarint(dst, uint64(s.columns))
	}
	if flags&rowPresence != 0 {
		dst = appendSet(dst, e.toggled, s.columns)
	}
	dst = appendSet(dst, e.changed, s.columns)
	dst = e.appendValues(dst, row.Values)
	if flags&rowHistograms != 0 {
		dst = appendRowHistograms(dst, row.Histograms)
	}
	if flags&rowStartTimes != 0 {
		dst = e.appendStartTimes(dst)
	}
	return dst, nil
}

// compare finds the columns whose presence or value differs from the row before, and brings
// the state's presence up to date.
func (e *RowEncoder) compare(row *storage.Row) {
	s := &e.state
	words := len(s.present)
	e.changed = e.changed[:0].Grow(s.columns)
	e.toggled = e.toggled[:0].Grow(s.columns)
	for w := range words {
		e.changed[w] = changedWord(s.bits, row.Values, w*64)
	}
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
		e.toggled[w] = p ^ s.present[w]
		s.present[w] = p
	}
}

// changedWord compares up to 64 columns, from the given one on.
func changedWord(prev []uint64, values []float64, from int) uint64 {
	if from >= len(values) {
		return 0
	}
	values = values[from:]
	if len(values) > 64 {
		values = values[:64]
	}
	prev = prev[from:]
	prev = prev[:len(values)]
	var word uint64
	for i, v := range values {
		// Without a branch: the top bit of x | -x is set unless x is 0.
		x := math.Float64bits(v) ^ prev[i]
		word |= (x | -x) >> 63 << (i & 63)
	}
	return word
}

// appendValues appends the values of the changed columns. Nearly all of them are integers
// near the one before, which the first branch is for.
func (e *RowEncoder) appendValues(dst []byte, values []float64) []byte {
	s := &e.state
	for w, word := range e.changed {
		dst = slices.Grow(dst, 2*64) // as the first branch may need
		for ; word != 0; word &= word - 1 {
			c := w*64 + bits.TrailingZeros64(word)
			v := values[c]
			mode := s.modes[c]
			prev := s.bits[c]
			s.bits[c] = math.Float64bits(v)
			if m := int64(v); mode == 0 && math.Float64bits(float64(m)) == s.bits[c] && m <= 1<<53 && m >= -1<<53 {
				dst = appendShortUvarint(dst, zigzag(m-int64(math.Float64frombits(prev))))
				continue
			}
			if mode <= encoding.MaxExponent {
				if m, ok := encoding.Decimal(v, int(mode)); ok {
					// Decimal cannot fail: that is what the mode says.
					p, _ := encoding.Decimal(math.Float64frombits(prev), int(mode))
					dst = binary.AppendUvarint(dst, zigzag(m-p))
					continue
				}
			} else if m := int64(v); float64(m) != v || m > 1<<53 || m < -1<<53 {
				if mode == modeBits && !value.IsStaleNaN(v) {
					delta := encoding.OrderedBits(v) - encoding.OrderedBits(math.Float64frombits(prev))
					dst = binary.AppendUvarint(dst, zigzag(delta))
					continue
				}
			}
			dst, s.modes[c] = appendNewMode(dst, v, mode)
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
	s := &e.state
	if row.StartTimes == nil && s.start == nil {
		return false
	}
	if s.start == nil {
		s.start = make([]int64, s.columns)
	}
	e.restarted = e.restarted[:0].Grow(s.columns)
	e.startDeltas = e.startDeltas[:0]
	for w, word := range s.present {
		for ; word != 0; word &= word - 1 {
			c := w*64 + bits.TrailingZeros64(word)
			st := int64(0)
			if c < len(row.StartTimes) {
				st = row.StartTimes[c]
			}
			if st != s.start[c] {
				e.restarted.Set(storage.Column(c))
				e.startDeltas = append(e.startDeltas, st-s.start[c])
				s.start[c] = st
			}
		}
	}
	return len(e.startDeltas) > 0
}

func (e *RowEncoder) appendStartTimes(dst []byte) []byte {
	dst = appendSet(dst, e.restarted, e.state.columns)
	for _, d := range e.startDeltas {
		dst = appendSvarint(dst, d)
	}
	return dst
}
