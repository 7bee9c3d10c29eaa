package encoding

import (
	"encoding/binary"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
)

// hintShift is where the counter reset hint lies in the first byte of a single histogram.
const hintShift = 2

// AppendHistogram appends one integer histogram, counter reset hint included.
func AppendHistogram(dst []byte, h *histogram.Histogram) []byte {
	l := layoutOf(h)
	dst = l.append(append(dst, flavourInteger|byte(h.CounterResetHint)<<hintShift))
	dst = binary.AppendUvarint(dst, h.Count)
	dst = binary.AppendUvarint(dst, h.ZeroCount)
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(h.Sum))
	for _, b := range h.PositiveBuckets {
		dst = appendSvarint(dst, b)
	}
	for _, b := range h.NegativeBuckets {
		dst = appendSvarint(dst, b)
	}
	return dst
}

// AppendFloatHistogram is AppendHistogram for a float histogram.
func AppendFloatHistogram(dst []byte, h *histogram.FloatHistogram) []byte {
	l := layoutOfFloat(h)
	dst = l.append(append(dst, flavourFloat|byte(h.CounterResetHint)<<hintShift))
	for _, v := range [...]float64{h.Count, h.ZeroCount, h.Sum} {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	for _, b := range h.PositiveBuckets {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(b))
	}
	for _, b := range h.NegativeBuckets {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(b))
	}
	return dst
}

// DecodeHistogram reads what AppendHistogram or AppendFloatHistogram wrote: exactly one of h
// and fh is not nil, unless err is not nil.
func DecodeHistogram(src []byte) (h *histogram.Histogram, fh *histogram.FloatHistogram, rest []byte, err error) {
	if len(src) == 0 {
		return nil, nil, nil, corruptf("histogram: no header left")
	}
	head := src[0]
	hint := histogram.CounterResetHint(head >> hintShift)
	l, src, err := readLayout(src[1:])
	if err != nil {
		return nil, nil, nil, err
	}
	switch {
	case hint > histogram.GaugeType:
		return nil, nil, nil, corruptf("histogram: header %#x", head)
	case head&(1<<hintShift-1) == flavourInteger:
		h, rest, err = readHistogram(src, &l)
		if err == nil {
			h.CounterResetHint = hint
		}
	case head&(1<<hintShift-1) == flavourFloat:
		fh, rest, err = readFloatHistogram(src, &l)
		if err == nil {
			fh.CounterResetHint = hint
		}
	default:
		return nil, nil, nil, corruptf("histogram: header %#x", head)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	return h, fh, rest, nil
}

func readHistogram(src []byte, l *layout) (h *histogram.Histogram, rest []byte, err error) {
	if l.buckets[0]+l.buckets[1] > len(src) {
		return nil, nil, corruptf("histogram: %v buckets in %d bytes", l.buckets, len(src))
	}
	h = &histogram.Histogram{
		Schema: l.schema, ZeroThreshold: l.zeroThreshold,
		PositiveSpans: l.positive, NegativeSpans: l.negative, CustomValues: l.custom,
	}
	h.PositiveBuckets, h.NegativeBuckets = bucketSlabs[int64](1, l)(0)
	if h.Count, src, err = readUvarint(src, "histogram count"); err != nil {
		return nil, nil, err
	}
	if h.ZeroCount, src, err = readUvarint(src, "histogram zero count"); err != nil {
		return nil, nil, err
	}
	sum, src, err := readUint64(src, "histogram sum")
	if err != nil {
		return nil, nil, err
	}
	h.Sum = math.Float64frombits(sum)
	for _, buckets := range [2][]int64{h.PositiveBuckets, h.NegativeBuckets} {
		for i := range buckets {
			if buckets[i], src, err = readSvarint(src, "bucket"); err != nil {
				return nil, nil, err
			}
		}
	}
	return h, src, nil
}

func readFloatHistogram(src []byte, l *layout) (h *histogram.FloatHistogram, rest []byte, err error) {
	if l.values() > len(src)/8 {
		return nil, nil, corruptf("float histogram: %v buckets in %d bytes", l.buckets, len(src))
	}
	h = &histogram.FloatHistogram{
		Schema: l.schema, ZeroThreshold: l.zeroThreshold,
		PositiveSpans: l.positive, NegativeSpans: l.negative, CustomValues: l.custom,
	}
	h.PositiveBuckets, h.NegativeBuckets = bucketSlabs[float64](1, l)(0)
	for column := range l.values() {
		v := math.Float64frombits(binary.LittleEndian.Uint64(src[8*column:]))
		setFloatField(h, column, l.buckets[0], v)
	}
	return h, src[8*l.values():], nil
}
