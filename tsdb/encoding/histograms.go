package encoding

import (
	"encoding/binary"
	"fmt"
	"sync"

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
		func(w *runWriter, from, to int, l *layout) { w.integerRun(hs[from:to], l) })
}

// AppendFloatHistograms is AppendHistograms for float histograms.
func AppendFloatHistograms(dst []byte, hs []*histogram.FloatHistogram) ([]byte, error) {
	return appendHistogramColumn(dst, flavourFloat, len(hs),
		func(row int) layout { return layoutOfFloat(hs[row]) },
		func(w *runWriter, from, to int, l *layout) { w.floatRun(hs[from:to], l) })
}

// runWriter writes the numbers of a run of histograms as the columns of a page.
type runWriter struct {
	page         PageWriter
	ints, totals []int64
	counts       []int64
	floats       []float64
}

var runWriters = sync.Pool{New: func() any { return new(runWriter) }}

func (w *runWriter) release() {
	if cap(w.ints) <= maxPooledRows && cap(w.floats) <= maxPooledRows {
		runWriters.Put(w)
	}
}

// appendHistogramColumn splits a column into runs of equal layout.
func appendHistogramColumn(
	dst []byte, flavour byte, n int,
	layoutAt func(row int) layout,
	writeRun func(w *runWriter, from, to int, l *layout),
) ([]byte, error) {
	if n > MaxRows {
		return dst, fmt.Errorf("%d histograms, the limit is %d: %w", n, MaxRows, ErrTooLarge)
	}
	w := runWriters.Get().(*runWriter)
	defer w.release()
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
		if values += (to - from) * l.values(); values > MaxHistogramValues || l.values() >= MaxPageColumns {
			return dst, fmt.Errorf("more than %d numbers in %d histograms: %w", MaxHistogramValues, n, ErrTooLarge)
		}
		out = l.append(binary.AppendUvarint(out, uint64(to-from)))
		w.page.Reset()
		writeRun(w, from, to, &l)
		out = append(append(out, w.page.page.heads...), w.page.payload...)
		from = to
	}
	return out, nil
}

// integerRun writes the columns of integer histograms.
func (w *runWriter) integerRun(hs []*histogram.Histogram, l *layout) {
	ints := func(get func(h *histogram.Histogram) int64) {
		w.ints = w.ints[:0]
		for _, h := range hs {
			w.ints = append(w.ints, get(h))
		}
		w.page.appendIntegers(w.ints, -1, false)
	}
	ints(func(h *histogram.Histogram) int64 { return int64(h.CounterResetHint) })
	ints(func(h *histogram.Histogram) int64 { return int64(h.ZeroCount) })
	w.floats = w.floats[:0]
	w.counts = w.counts[:0]
	for _, h := range hs {
		w.floats = append(w.floats, h.Sum)
		w.counts = append(w.counts, int64(h.Count-h.ZeroCount))
	}
	w.page.AppendFloats(w.floats, -1)

	// Buckets are differences to the bucket before; counts over time are better taken from
	// absolute numbers. totals carries each row's running sum from bucket to bucket.
	w.totals = growSlice(w.totals[:0], len(hs))
	for side, n := range l.buckets {
		clear(w.totals)
		for b := range n {
			for row, h := range hs {
				if side == 0 {
					w.totals[row] += h.PositiveBuckets[b]
				} else {
					w.totals[row] += h.NegativeBuckets[b]
				}
				w.counts[row] -= w.totals[row]
			}
			neighbour := -1
			if b > 0 {
				neighbour = w.page.Columns() - 1
			}
			w.page.appendIntegers(w.totals, neighbour, false)
		}
	}
	// What the buckets do not tell of the count: nothing, as a rule.
	w.page.appendIntegers(w.counts, -1, false)
}

// floatRun writes the columns of float histograms.
func (w *runWriter) floatRun(hs []*histogram.FloatHistogram, l *layout) {
	w.ints = w.ints[:0]
	for _, h := range hs {
		w.ints = append(w.ints, int64(h.CounterResetHint))
	}
	w.page.appendIntegers(w.ints, -1, false)
	floats := func(neighbour int, get func(h *histogram.FloatHistogram) float64) {
		w.floats = w.floats[:0]
		for _, h := range hs {
			w.floats = append(w.floats, get(h))
		}
		w.page.AppendFloats(w.floats, neighbour)
	}
	floats(-1, func(h *histogram.FloatHistogram) float64 { return h.Count })
	floats(-1, func(h *histogram.FloatHistogram) float64 { return h.ZeroCount })
	floats(-1, func(h *histogram.FloatHistogram) float64 { return h.Sum })
	for b := range l.buckets[0] {
		floats(w.page.Columns()-1, func(h *histogram.FloatHistogram) float64 { return h.PositiveBuckets[b] })
	}
	for b := range l.buckets[1] {
		floats(w.page.Columns()-1, func(h *histogram.FloatHistogram) float64 { return h.NegativeBuckets[b] })
	}
}

// DecodeHistograms appends to dst what AppendHistograms wrote, and returns the rest of src.
// Consecutive histograms of equal layout share the slices of their spans and custom values,
// which must therefore not be changed; their buckets are their own.
func DecodeHistograms(dst []*histogram.Histogram, src []byte) (hs []*histogram.Histogram, rest []byte, err error) {
	hs = dst
	rest, err = readHistogramColumn(src, flavourInteger, func(r *runReader, rows int, l *layout) error {
		run, err := r.integerRun(rows, l)
		for i := range run {
			hs = append(hs, &run[i])
		}
		return err
	})
	if err != nil {
		return dst, nil, err
	}
	return hs, rest, nil
}

// DecodeFloatHistograms is DecodeHistograms for float histograms.
func DecodeFloatHistograms(dst []*histogram.FloatHistogram, src []byte) (hs []*histogram.FloatHistogram, rest []byte, err error) {
	hs = dst
	rest, err = readHistogramColumn(src, flavourFloat, func(r *runReader, rows int, l *layout) error {
		run, err := r.floatRun(rows, l)
		for i := range run {
			hs = append(hs, &run[i])
		}
		return err
	})
	if err != nil {
		return dst, nil, err
	}
	return hs, rest, nil
}

// runReader reads the numbers of a run of histograms from the columns of a page.
type runReader struct {
	page    Page
	payload []byte
	decoder Decoder
	floats  []float64
	ints    []int64
	totals  []int64
	counts  []int64
}

var runReaders = sync.Pool{New: func() any { return new(runReader) }}

// release gives a reader back, unless it has the memory of a rare large column.
func (r *runReader) release() {
	r.decoder.Reset()
	r.page.heads, r.payload = nil, nil
	if cap(r.floats) <= maxPooledRows && cap(r.totals) <= maxPooledRows && cap(r.page.columns) <= maxPooledRows {
		runReaders.Put(r)
	}
}

// open reads the heads of a run's columns, and returns what follows their payload.
func (r *runReader) open(src []byte, columns int) (rest []byte, err error) {
	r.decoder.Reset()
	if r.payload, err = r.page.read(src, columns); err != nil {
		return nil, err
	}
	if len(r.payload) < r.page.payloadSize {
		return nil, corruptf("histogram run: %d bytes left, want %d", len(r.payload), r.page.payloadSize)
	}
	return r.payload[r.page.payloadSize:], nil
}

// integers reads a column of integers.
func (r *runReader) integers(column, rows int) ([]int64, error) {
	if r.page.Rows(column) != rows {
		return nil, corruptf("column of %d numbers in a run of %d histograms", r.page.Rows(column), rows)
	}
	var err error
	r.ints, err = r.decoder.integers(r.ints[:0], &r.page, r.payload, column)
	return r.ints, err
}

// column reads a column of floats.
func (r *runReader) column(column, rows int) ([]float64, error) {
	if r.page.Rows(column) != rows {
		return nil, corruptf("column of %d numbers in a run of %d histograms", r.page.Rows(column), rows)
	}
	var err error
	r.floats, err = r.decoder.Floats(r.floats[:0], &r.page, r.payload, column)
	return r.floats, err
}

// readHistogramColumn reads the runs of a column, within the limits.
func readHistogramColumn(
	src []byte, flavour byte, readRun func(r *runReader, rows int, l *layout) error,
) (rest []byte, err error) {
	if len(src) == 0 || src[0] != flavour {
		return nil, corruptf("histogram column: flavour is not %d", flavour)
	}
	n, src, err := readRows(src[1:], "histogram column")
	if err != nil {
		return nil, err
	}
	r := runReaders.Get().(*runReader)
	defer r.release()
	values := 0
	for n > 0 {
		rows, s, err := readRows(src, "histogram run")
		if err != nil {
			return nil, err
		}
		if rows == 0 || rows > n {
			return nil, corruptf("histogram run of %d rows, %d left", rows, n)
		}
		l, s, err := readLayout(s)
		if err != nil {
			return nil, err
		}
		// A column takes a byte at least, so the buckets are bound by the bytes, too.
		if values += rows * l.values(); values > MaxHistogramValues || l.values() > len(s) || l.values() >= MaxPageColumns {
			return nil, corruptf("histogram run of %d rows with %d buckets", rows, l.values()-3)
		}
		if src, err = r.open(s, l.values()+1); err != nil {
			return nil, err
		}
		if err := readRun(r, rows, &l); err != nil {
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

// integerRun reads integer histograms.
func (r *runReader) integerRun(rows int, l *layout) ([]histogram.Histogram, error) {
	run := make([]histogram.Histogram, rows)
	slab := bucketSlabs[int64](rows, l)
	hints, err := r.integers(0, rows)
	if err != nil {
		return nil, err
	}
	for i := range run {
		h := &run[i]
		h.Schema, h.ZeroThreshold = l.schema, l.zeroThreshold
		h.PositiveSpans, h.NegativeSpans, h.CustomValues = l.positive, l.negative, l.custom
		h.PositiveBuckets, h.NegativeBuckets = slab(i)
		if h.CounterResetHint, err = readHint(hints[i]); err != nil {
			return nil, err
		}
	}
	zeroes, err := r.integers(1, rows)
	if err != nil {
		return nil, err
	}
	for i, m := range zeroes {
		run[i].ZeroCount = uint64(m)
	}
	sums, err := r.column(2, rows)
	if err != nil {
		return nil, err
	}
	for i, v := range sums {
		run[i].Sum = v
	}
	if err := r.buckets(run, l); err != nil {
		return nil, err
	}
	counts, err := r.integers(3+l.buckets[0]+l.buckets[1], rows)
	if err != nil {
		return nil, err
	}
	for i, m := range counts {
		run[i].Count = run[i].ZeroCount + uint64(r.counts[i]) + uint64(m)
	}
	return run, nil
}

// buckets reads the buckets of integer histograms, and adds them up in counts.
func (r *runReader) buckets(run []histogram.Histogram, l *layout) error {
	r.totals, r.counts = growSlice(r.totals[:0], len(run)), growSlice(r.counts[:0], len(run))
	clear(r.counts)
	column := 3
	for side, n := range l.buckets {
		clear(r.totals)
		for b := range n {
			ints, err := r.integers(column, len(run))
			if err != nil {
				return err
			}
			column++
			for i, total := range ints {
				buckets := run[i].PositiveBuckets
				if side == 1 {
					buckets = run[i].NegativeBuckets
				}
				buckets[b] = total - r.totals[i]
				r.totals[i] = total
				r.counts[i] += total
			}
		}
	}
	return nil
}

// floatRun reads float histograms.
func (r *runReader) floatRun(rows int, l *layout) ([]histogram.FloatHistogram, error) {
	run := make([]histogram.FloatHistogram, rows)
	slab := bucketSlabs[float64](rows, l)
	hints, err := r.integers(0, rows)
	if err != nil {
		return nil, err
	}
	for i := range run {
		h := &run[i]
		h.Schema, h.ZeroThreshold = l.schema, l.zeroThreshold
		h.PositiveSpans, h.NegativeSpans, h.CustomValues = l.positive, l.negative, l.custom
		h.PositiveBuckets, h.NegativeBuckets = slab(i)
		if h.CounterResetHint, err = readHint(hints[i]); err != nil {
			return nil, err
		}
	}
	for column := range l.values() {
		values, err := r.column(1+column, rows)
		if err != nil {
			return nil, err
		}
		for i, v := range values {
			setFloatField(&run[i], column, l.buckets[0], v)
		}
	}
	return run, nil
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
