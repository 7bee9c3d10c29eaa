package encoding

import (
	"encoding/binary"
	"fmt"

	"github.com/prometheus/prometheus/model/histogram"
)

// Flavours of a histogram column; they never change.
const (
	flavourInteger = 1
	flavourFloat   = 2
)

// AppendHistograms appends a column of integer histograms, counter reset hints included. It
// fails with ErrTooLarge if there are more than MaxRows rows or MaxHistogramValues numbers;
// dst is then returned as it was. Empty and nil slices in a histogram are the same.
func AppendHistograms(dst []byte, hs []*histogram.Histogram) ([]byte, error) {
	return appendHistogramColumn(dst, flavourInteger, len(hs),
		func(row int) layout { return layoutOf(hs[row]) },
		func(dst []byte, from, to int, l *layout, sc *scratch) []byte {
			return appendIntegerRun(dst, hs[from:to], l, sc)
		})
}

// AppendFloatHistograms is AppendHistograms for float histograms.
func AppendFloatHistograms(dst []byte, hs []*histogram.FloatHistogram) ([]byte, error) {
	return appendHistogramColumn(dst, flavourFloat, len(hs),
		func(row int) layout { return layoutOfFloat(hs[row]) },
		func(dst []byte, from, to int, l *layout, sc *scratch) []byte {
			return appendFloatRun(dst, hs[from:to], l, sc)
		})
}

// appendHistogramColumn splits a column into runs of equal layout.
func appendHistogramColumn(
	dst []byte, flavour byte, n int,
	layoutAt func(row int) layout,
	appendRun func(dst []byte, from, to int, l *layout, sc *scratch) []byte,
) ([]byte, error) {
	if n > MaxRows {
		return dst, fmt.Errorf("%d histograms, the limit is %d: %w", n, MaxRows, ErrTooLarge)
	}
	sc := getScratch()
	defer putScratch(sc)
	out := binary.AppendUvarint(append(dst, flavour), uint64(n))
	values := 0
	for from := 0; from < n; {
		l := layoutAt(from)
		to := from + 1
		for ; to < n; to++ {
			if next := layoutAt(to); !l.equal(&next) {
				break
			}
		}
		if values += (to - from) * l.values(); values > MaxHistogramValues {
			return dst, fmt.Errorf("more than %d numbers in %d histograms: %w", MaxHistogramValues, n, ErrTooLarge)
		}
		out = l.append(binary.AppendUvarint(out, uint64(to-from)))
		out = appendRun(out, from, to, &l, sc)
		from = to
	}
	return out, nil
}

func appendIntegerRun(dst []byte, hs []*histogram.Histogram, l *layout, sc *scratch) []byte {
	ints := func(get func(h *histogram.Histogram) int64) {
		sc.ints = sc.ints[:0]
		for _, h := range hs {
			sc.ints = append(sc.ints, get(h))
		}
		dst = appendInts(dst, sc.ints, sc)
	}
	ints(func(h *histogram.Histogram) int64 { return int64(h.CounterResetHint) })
	ints(func(h *histogram.Histogram) int64 { return int64(h.Count) })
	ints(func(h *histogram.Histogram) int64 { return int64(h.ZeroCount) })
	sc.floats = sc.floats[:0]
	for _, h := range hs {
		sc.floats = append(sc.floats, h.Sum)
	}
	dst = AppendFloats(dst, sc.floats)

	// Buckets are differences to the bucket before; counts over time are better taken from
	// absolute numbers. totals carries each row's running sum from bucket to bucket.
	totals := make([]int64, len(hs))
	for side, n := range l.buckets {
		clear(totals)
		for b := range n {
			for row, h := range hs {
				if side == 0 {
					totals[row] += h.PositiveBuckets[b]
				} else {
					totals[row] += h.NegativeBuckets[b]
				}
			}
			dst = appendInts(dst, totals, sc)
		}
	}
	return dst
}

func appendFloatRun(dst []byte, hs []*histogram.FloatHistogram, l *layout, sc *scratch) []byte {
	sc.ints = sc.ints[:0]
	for _, h := range hs {
		sc.ints = append(sc.ints, int64(h.CounterResetHint))
	}
	dst = appendInts(dst, sc.ints, sc)
	floats := func(get func(h *histogram.FloatHistogram) float64) {
		sc.floats = sc.floats[:0]
		for _, h := range hs {
			sc.floats = append(sc.floats, get(h))
		}
		dst = AppendFloats(dst, sc.floats)
	}
	floats(func(h *histogram.FloatHistogram) float64 { return h.Count })
	floats(func(h *histogram.FloatHistogram) float64 { return h.ZeroCount })
	floats(func(h *histogram.FloatHistogram) float64 { return h.Sum })
	for b := range l.buckets[0] {
		floats(func(h *histogram.FloatHistogram) float64 { return h.PositiveBuckets[b] })
	}
	for b := range l.buckets[1] {
		floats(func(h *histogram.FloatHistogram) float64 { return h.NegativeBuckets[b] })
	}
	return dst
}

// DecodeHistograms appends to dst what AppendHistograms wrote, and returns the rest of src.
// Consecutive histograms of equal layout share the slices of their spans and custom values,
// which must therefore not be changed; their buckets are their own.
func DecodeHistograms(dst []*histogram.Histogram, src []byte) (hs []*histogram.Histogram, rest []byte, err error) {
	hs = dst
	rest, err = readHistogramColumn(src, flavourInteger, func(rows int, l *layout, src []byte, sc *scratch) ([]byte, error) {
		run, rest, err := readIntegerRun(src, rows, l, sc)
		for i := range run {
			hs = append(hs, &run[i])
		}
		return rest, err
	})
	if err != nil {
		return dst, nil, err
	}
	return hs, rest, nil
}

// DecodeFloatHistograms is DecodeHistograms for float histograms.
func DecodeFloatHistograms(dst []*histogram.FloatHistogram, src []byte) (hs []*histogram.FloatHistogram, rest []byte, err error) {
	hs = dst
	rest, err = readHistogramColumn(src, flavourFloat, func(rows int, l *layout, src []byte, sc *scratch) ([]byte, error) {
		run, rest, err := readFloatRun(src, rows, l, sc)
		for i := range run {
			hs = append(hs, &run[i])
		}
		return rest, err
	})
	if err != nil {
		return dst, nil, err
	}
	return hs, rest, nil
}

// readHistogramColumn reads the runs of a column, within the limits.
func readHistogramColumn(
	src []byte, flavour byte,
	readRun func(rows int, l *layout, src []byte, sc *scratch) (rest []byte, err error),
) (rest []byte, err error) {
	if len(src) == 0 || src[0] != flavour {
		return nil, corruptf("histogram column: flavour is not %d", flavour)
	}
	n, src, err := readRows(src[1:], "histogram column")
	if err != nil {
		return nil, err
	}
	sc := getScratch()
	defer putScratch(sc)
	values := 0
	for n > 0 {
		rows, r, err := readRows(src, "histogram run")
		if err != nil {
			return nil, err
		}
		if rows == 0 || rows > n {
			return nil, corruptf("histogram run of %d rows, %d left", rows, n)
		}
		l, r, err := readLayout(r)
		if err != nil {
			return nil, err
		}
		// A stream takes two bytes at least, so the buckets are bound by the bytes, too.
		if values += rows * l.values(); values > MaxHistogramValues || l.values() > len(r) {
			return nil, corruptf("histogram run of %d rows with %d buckets", rows, l.values()-3)
		}
		if src, err = readRun(rows, &l, r, sc); err != nil {
			return nil, err
		}
		n -= rows
	}
	return src, nil
}

// bucketSlabs gives each of rows rows its buckets, cut from one allocation.
func bucketSlabs[T any](rows int, l *layout) (row func(i int) (positive, negative []T)) {
	p, width := l.buckets[0], l.buckets[0]+l.buckets[1]
	slab := make([]T, rows*width)
	return func(i int) (positive, negative []T) {
		s := slab[i*width : (i+1)*width : (i+1)*width]
		if p > 0 {
			positive = s[:p:p]
		}
		if width > p {
			negative = s[p:]
		}
		return positive, negative
	}
}

func readHint(m int64) (histogram.CounterResetHint, error) {
	if m < 0 || m > int64(histogram.GaugeType) {
		return 0, corruptf("counter reset hint %d", m)
	}
	return histogram.CounterResetHint(m), nil
}

func readIntegerRun(src []byte, rows int, l *layout, sc *scratch) (run []histogram.Histogram, rest []byte, err error) {
	run = make([]histogram.Histogram, rows)
	slab := bucketSlabs[int64](rows, l)
	for i := range run {
		h := &run[i]
		h.Schema, h.ZeroThreshold = l.schema, l.zeroThreshold
		h.PositiveSpans, h.NegativeSpans, h.CustomValues = l.positive, l.negative, l.custom
		h.PositiveBuckets, h.NegativeBuckets = slab(i)
	}
	ints := func() []int64 {
		if err == nil {
			sc.ints, src, err = decodeInts(sc.ints[:0], src, rows, &sc.reader)
		}
		return sc.ints
	}
	hints := ints()
	for i := range run {
		if err != nil {
			return nil, nil, err
		}
		run[i].CounterResetHint, err = readHint(hints[i])
	}
	for i, m := range ints() {
		run[i].Count = uint64(m)
	}
	if err != nil {
		return nil, nil, err
	}
	for i, m := range ints() {
		run[i].ZeroCount = uint64(m)
	}
	if err != nil {
		return nil, nil, err
	}
	sums, src2, err := decodeRun(sc, src, rows)
	if err != nil {
		return nil, nil, err
	}
	src = src2
	for i, v := range sums {
		run[i].Sum = v
	}
	totals := make([]int64, rows)
	for side, n := range l.buckets {
		clear(totals)
		for b := range n {
			if sc.ints, src, err = decodeInts(sc.ints[:0], src, rows, &sc.reader); err != nil {
				return nil, nil, err
			}
			for i, total := range sc.ints {
				buckets := run[i].PositiveBuckets
				if side == 1 {
					buckets = run[i].NegativeBuckets
				}
				buckets[b] = total - totals[i]
				totals[i] = total
			}
		}
	}
	return run, src, nil
}

// decodeRun reads a float column that must have the given number of rows.
func decodeRun(sc *scratch, src []byte, rows int) (values []float64, rest []byte, err error) {
	if n, err := FloatRows(src); err != nil || n != rows {
		return nil, nil, corruptf("column of %d floats in a run of %d histograms", n, rows)
	}
	sc.floats, rest, err = DecodeFloats(sc.floats[:0], src)
	return sc.floats, rest, err
}

func readFloatRun(src []byte, rows int, l *layout, sc *scratch) (run []histogram.FloatHistogram, rest []byte, err error) {
	if sc.ints, src, err = decodeInts(sc.ints[:0], src, rows, &sc.reader); err != nil {
		return nil, nil, err
	}
	run = make([]histogram.FloatHistogram, rows)
	slab := bucketSlabs[float64](rows, l)
	for i := range run {
		h := &run[i]
		h.Schema, h.ZeroThreshold = l.schema, l.zeroThreshold
		h.PositiveSpans, h.NegativeSpans, h.CustomValues = l.positive, l.negative, l.custom
		h.PositiveBuckets, h.NegativeBuckets = slab(i)
		if h.CounterResetHint, err = readHint(sc.ints[i]); err != nil {
			return nil, nil, err
		}
	}
	for column := range l.values() {
		var values []float64
		if values, src, err = decodeRun(sc, src, rows); err != nil {
			return nil, nil, err
		}
		for i, v := range values {
			setFloatField(&run[i], column, l.buckets[0], v)
		}
	}
	return run, src, nil
}

// setFloatField sets the number of a float histogram that the given column of a run holds.
func setFloatField(h *histogram.FloatHistogram, column, positive int, v float64) {
	switch {
	case column == 0:
		h.Count = v
	case column == 1:
		h.ZeroCount = v
	case column == 2:
		h.Sum = v
	case column < 3+positive:
		h.PositiveBuckets[column-3] = v
	default:
		h.NegativeBuckets[column-3-positive] = v
	}
}
