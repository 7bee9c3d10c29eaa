package encoding

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
)

// layout is what the rows of a run of histograms have in common.
type layout struct {
	schema             int32
	zeroThreshold      float64
	positive, negative []histogram.Span
	custom             []float64
	buckets            [2]int // Numbers of positive and negative buckets.
}

func layoutOf(h *histogram.Histogram) layout {
	return layout{
		schema: h.Schema, zeroThreshold: h.ZeroThreshold,
		positive: h.PositiveSpans, negative: h.NegativeSpans, custom: h.CustomValues,
		buckets: [2]int{len(h.PositiveBuckets), len(h.NegativeBuckets)},
	}
}

func layoutOfFloat(h *histogram.FloatHistogram) layout {
	return layout{
		schema: h.Schema, zeroThreshold: h.ZeroThreshold,
		positive: h.PositiveSpans, negative: h.NegativeSpans, custom: h.CustomValues,
		buckets: [2]int{len(h.PositiveBuckets), len(h.NegativeBuckets)},
	}
}

func (l *layout) equal(o *layout) bool {
	return l.schema == o.schema && l.buckets == o.buckets &&
		math.Float64bits(l.zeroThreshold) == math.Float64bits(o.zeroThreshold) &&
		slices.Equal(l.positive, o.positive) && slices.Equal(l.negative, o.negative) &&
		slices.EqualFunc(l.custom, o.custom, sameBits)
}

func sameBits(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

// values is the number of numbers of a row, as MaxHistogramValues counts them.
func (l *layout) values() int { return 3 + l.buckets[0] + l.buckets[1] }

func (l *layout) append(dst []byte) []byte {
	dst = appendSvarint(dst, int64(l.schema))
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(l.zeroThreshold))
	for _, spans := range [2][]histogram.Span{l.positive, l.negative} {
		dst = binary.AppendUvarint(dst, uint64(len(spans)))
		for _, s := range spans {
			dst = appendSvarint(dst, int64(s.Offset))
			dst = binary.AppendUvarint(dst, uint64(s.Length))
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(l.custom)))
	for _, v := range l.custom {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	dst = binary.AppendUvarint(dst, uint64(l.buckets[0]))
	return binary.AppendUvarint(dst, uint64(l.buckets[1]))
}

// readLayout reads a layout. The numbers of buckets are at most MaxHistogramValues each, and
// not held against anything else.
func readLayout(src []byte) (l layout, rest []byte, err error) {
	schema, src, err := readSvarint(src, "histogram schema")
	if err != nil {
		return l, nil, err
	}
	if int64(int32(schema)) != schema {
		return l, nil, corruptf("histogram schema %d", schema)
	}
	l.schema = int32(schema)
	threshold, src, err := readUint64(src, "zero threshold")
	if err != nil {
		return l, nil, err
	}
	l.zeroThreshold = math.Float64frombits(threshold)
	if l.positive, src, err = readSpans(src); err != nil {
		return l, nil, err
	}
	if l.negative, src, err = readSpans(src); err != nil {
		return l, nil, err
	}
	if l.custom, src, err = readCustomValues(src); err != nil {
		return l, nil, err
	}
	for i := range l.buckets {
		var n uint64
		if n, src, err = readUvarint(src, "number of buckets"); err != nil {
			return l, nil, err
		}
		if n > MaxHistogramValues {
			return l, nil, corruptf("histogram with %d buckets", n)
		}
		l.buckets[i] = int(n)
	}
	return l, src, nil
}

func readSpans(src []byte) (spans []histogram.Span, rest []byte, err error) {
	n, src, err := readUvarint(src, "number of spans")
	if err != nil {
		return nil, nil, err
	}
	if n > uint64(len(src))/2 { // A span takes two bytes at least.
		return nil, nil, corruptf("%d spans in %d bytes", n, len(src))
	}
	if n == 0 {
		return nil, src, nil
	}
	spans = make([]histogram.Span, n)
	for i := range spans {
		offset, r, err := readSvarint(src, "span offset")
		if err != nil {
			return nil, nil, err
		}
		length, r, err := readUvarint(r, "span length")
		if err != nil {
			return nil, nil, err
		}
		if int64(int32(offset)) != offset || length > math.MaxUint32 {
			return nil, nil, corruptf("span of offset %d and length %d", offset, length)
		}
		spans[i] = histogram.Span{Offset: int32(offset), Length: uint32(length)}
		src = r
	}
	return spans, src, nil
}

func readCustomValues(src []byte) (values []float64, rest []byte, err error) {
	n, src, err := readUvarint(src, "number of custom values")
	if err != nil {
		return nil, nil, err
	}
	if n > uint64(len(src))/8 {
		return nil, nil, corruptf("%d custom values in %d bytes", n, len(src))
	}
	if n == 0 {
		return nil, src, nil
	}
	values = make([]float64, n)
	for i := range values {
		values[i] = math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:]))
	}
	return values, src[8*n:], nil
}
