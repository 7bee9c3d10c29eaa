package storage

import (
	"math/bits"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
)

// Kind is the kind of the samples of a batch. A series may change its kind
// between two samples.
type Kind uint8

// The kinds of samples.
const (
	// KindFloat samples are 64-bit floats, any bit pattern.
	KindFloat Kind = iota
	// KindHistogram samples are native histograms with integer counts.
	KindHistogram
	// KindFloatHistogram samples are native histograms with float counts.
	KindFloatHistogram
)

// String returns the name of the kind as Prometheus's API has it.
func (k Kind) String() string {
	switch k {
	case KindFloat:
		return "float"
	case KindHistogram:
		return "histogram"
	case KindFloatHistogram:
		return "floathistogram"
	default:
		return "unknown"
	}
}

// Bitmap is a set of columns: column c is in it if bit c%64 of word c/64 is
// set. Words past the end are zero. The zero value is the empty set.
type Bitmap []uint64

// Has reports whether column c is in the set.
func (b Bitmap) Has(c Column) bool {
	w := int(c) >> 6
	return w < len(b) && b[w]>>(uint(c)&63)&1 != 0
}

// Set adds column c. It panics if the bitmap is too short: see Grow.
func (b Bitmap) Set(c Column) { b[c>>6] |= 1 << (c & 63) }

// Unset removes column c. It panics if the bitmap is too short.
func (b Bitmap) Unset(c Column) { b[c>>6] &^= 1 << (c & 63) }

// Grow returns the bitmap with room for columns columns, in place if it has
// it.
func (b Bitmap) Grow(columns int) Bitmap {
	words := (columns + 63) >> 6
	for len(b) < words {
		b = append(b, 0)
	}
	return b
}

// Clear removes every column and keeps the room.
func (b Bitmap) Clear() { clear(b) }

// Count returns the number of columns in the set.
func (b Bitmap) Count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// Row is one instant of a group: at most one sample per column, all at time T.
// The row and all it refers to belong to the caller and can be reused after
// AppendRow returned.
type Row struct {
	// T is the timestamp in milliseconds since the Unix epoch.
	T int64
	// Values has the values of the float columns, indexed by Column. It may be
	// shorter than the group has columns: the rest is absent. Entries of absent
	// columns and of histogram columns are not looked at.
	Values []float64
	// Present says which columns have a sample in this row, float or
	// histogram. nil means that each entry of Values is a sample.
	Present Bitmap
	// StartTimes has the start timestamps of the columns in milliseconds, 0
	// where there is none. nil means that there is none at all; otherwise it is
	// as long as Values.
	StartTimes []int64
	// Histograms lists the columns that have a native histogram in this row, in
	// ascending order of the column, each at most once. Their bits in Present
	// are set, unless Present is nil.
	Histograms []HistogramSample
	// Exemplars lists the exemplars seen with this row, in any order, several
	// for a column if it has several.
	Exemplars []ExemplarSample
}

// Has reports whether column c has a sample in the row.
func (r *Row) Has(c Column) bool {
	if r.Present == nil {
		return int(c) < len(r.Values)
	}
	return r.Present.Has(c)
}

// HistogramSample is the native histogram of one column of a row. Exactly one
// of Histogram and FloatHistogram is set.
type HistogramSample struct {
	Column         Column
	Histogram      *histogram.Histogram
	FloatHistogram *histogram.FloatHistogram
}

// ExemplarSample is an exemplar of one column of a row. An exemplar without a
// timestamp of its own has that of the row.
type ExemplarSample struct {
	Column   Column
	Exemplar exemplar.Exemplar
}

// Batch is a run of samples of one series, of one kind, in ascending order of
// time. It is filled by BatchIterator.Next; the package comment says who owns
// the slices.
type Batch struct {
	Kind Kind
	// Timeline identifies the timeline that Times is a part of, starting at row
	// Offset of it. Two batches of one querier with the same Timeline (not 0),
	// Offset and length have the very same timestamps. 0 is no shared timeline.
	Timeline TimelineID
	Offset   int
	// Times has the timestamps in milliseconds.
	Times []int64
	// Values has the values of a float batch, as many as Times.
	Values []float64
	// Histograms has the values of a histogram batch.
	Histograms []*histogram.Histogram
	// FloatHistograms has the values of a float histogram batch.
	FloatHistograms []*histogram.FloatHistogram
	// StartTimes has the start timestamps in milliseconds, 0 where there is
	// none; nil if the batch has none.
	StartTimes []int64
}

// Len returns the number of samples in the batch.
func (b *Batch) Len() int { return len(b.Times) }

// TimelineID identifies a timeline within one querier.
type TimelineID uint64
