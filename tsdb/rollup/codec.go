package rollup

import (
	"errors"
	"fmt"
	"math"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// ErrCorrupt is wrapped by the errors of decoding.
var ErrCorrupt = errors.New("corrupt rollup")

// Columns, in the order in which they are stored. The order never changes.
const (
	columnCount = iota
	columnHistograms
	columnAfter  // first time, milliseconds after the begin of the bucket
	columnBefore // last time, milliseconds before the end of the bucket
	columnFirst
	columnLast
	columnMin
	columnMax
	columnResets
	columnSum
	columns
)

// firstFloat is the first column of floats.
const firstFloat = columnFirst

// own says that a column of floats is stored as such; a smaller number is the
// column of floats that it is equal to.
const own = 0xff

// Encoder turns buckets into the values of a chunk. It keeps scratch memory and
// belongs to one goroutine.
type Encoder struct {
	ints   []int64
	floats [columns - firstFloat][]float64
}

// Append appends buckets of a resolution, at least one and none of them empty.
// Their ends are in the timeline.
func (e *Encoder) Append(dst []byte, buckets []storage.Bucket, resolution int64) []byte {
	for c := range firstFloat {
		e.ints = e.ints[:0]
		for i := range buckets {
			e.ints = append(e.ints, intColumn(c, &buckets[i], resolution))
		}
		dst = encoding.AppendTimes(dst, e.ints)
	}
	for c := range e.floats {
		e.floats[c] = e.floats[c][:0]
		for i := range buckets {
			e.floats[c] = append(e.floats[c], floatColumn(firstFloat+c, &buckets[i]))
		}
		like := e.like(c)
		if dst = append(dst, like); like == own {
			dst = encoding.AppendFloats(dst, e.floats[c])
		}
	}
	return dst
}

// like returns the earlier column that column c is equal to: of a counter, the
// least value is the first and the greatest the last.
func (e *Encoder) like(c int) byte {
	for k := range c {
		if sameBits(e.floats[k], e.floats[c]) {
			return byte(k)
		}
	}
	return own
}

func sameBits(a, b []float64) bool {
	for i := range a {
		if math.Float64bits(a[i]) != math.Float64bits(b[i]) {
			return false
		}
	}
	return true
}

func intColumn(c int, b *storage.Bucket, resolution int64) int64 {
	switch {
	case c == columnCount:
		return b.Count
	case c == columnHistograms:
		return b.Histograms
	case b.Count == 0:
		return 0
	case c == columnAfter:
		return b.FirstT - (b.T - resolution)
	default:
		return b.T - b.LastT
	}
}

func floatColumn(c int, b *storage.Bucket) float64 {
	switch c {
	case columnFirst:
		return b.First
	case columnLast:
		return b.Last
	case columnMin:
		return b.Min
	case columnMax:
		return b.Max
	case columnResets:
		return b.Resets
	default:
		return b.Sum()
	}
}

// Decoder turns the values of a chunk into buckets. It keeps scratch memory and
// belongs to one goroutine.
type Decoder struct {
	ints   [firstFloat][]int64
	floats [columns - firstFloat][]float64
}

// Append appends the buckets that src has, one for each end of the timeline.
// Errors wrap ErrCorrupt; dst is then returned as it was given.
func (d *Decoder) Append(dst []storage.Bucket, src []byte, ends []int64, resolution int64) ([]storage.Bucket, error) {
	var err error
	for c := range d.ints {
		if d.ints[c], src, err = encoding.DecodeTimes(d.ints[c][:0], src); err != nil {
			return dst, fmt.Errorf("%w: column %d: %w", ErrCorrupt, c, err)
		}
		if len(d.ints[c]) != len(ends) {
			return dst, fmt.Errorf("%w: column %d has %d rows, want %d", ErrCorrupt, c, len(d.ints[c]), len(ends))
		}
	}
	for c := range d.floats {
		if src, err = d.float(c, src, len(ends)); err != nil {
			return dst, err
		}
	}
	if len(src) > 0 {
		return dst, fmt.Errorf("%w: %d bytes too many", ErrCorrupt, len(src))
	}
	out := dst
	for i, end := range ends {
		b := storage.Bucket{T: end, Count: d.ints[columnCount][i], Histograms: d.ints[columnHistograms][i]}
		after, before := d.ints[columnAfter][i], d.ints[columnBefore][i]
		if b.Count < 0 || b.Histograms < 0 || b.Empty() {
			return dst, fmt.Errorf("%w: bucket %d has %d and %d samples", ErrCorrupt, i, b.Count, b.Histograms)
		}
		if b.Count > 0 {
			if after <= 0 || before < 0 || after > resolution || before > resolution-after {
				return dst, fmt.Errorf("%w: bucket %d begins at %d and ends %d before its end", ErrCorrupt, i, after, before)
			}
			b.FirstT, b.LastT = end-resolution+after, end-before
			d.values(&b, i)
		}
		out = append(out, b)
	}
	return out, nil
}

// float decodes column c of the floats.
func (d *Decoder) float(c int, src []byte, rows int) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, fmt.Errorf("%w: column %d is missing", ErrCorrupt, firstFloat+c)
	}
	like := src[0]
	if src = src[1:]; like != own {
		if int(like) >= c {
			return nil, fmt.Errorf("%w: column %d is like column %d", ErrCorrupt, firstFloat+c, firstFloat+int(like))
		}
		d.floats[c] = append(d.floats[c][:0], d.floats[like]...)
		return src, nil
	}
	if d.floats[c], src, err = encoding.DecodeFloats(d.floats[c][:0], src); err != nil {
		return nil, fmt.Errorf("%w: column %d: %w", ErrCorrupt, firstFloat+c, err)
	}
	if len(d.floats[c]) != rows {
		return nil, fmt.Errorf("%w: column %d has %d rows, want %d", ErrCorrupt, firstFloat+c, len(d.floats[c]), rows)
	}
	return src, nil
}

func (d *Decoder) values(b *storage.Bucket, i int) {
	b.First, b.Last = d.floats[columnFirst-firstFloat][i], d.floats[columnLast-firstFloat][i]
	b.Min, b.Max = d.floats[columnMin-firstFloat][i], d.floats[columnMax-firstFloat][i]
	b.Resets = d.floats[columnResets-firstFloat][i]
	b.SetSum(d.floats[columnSum-firstFloat][i])
}
