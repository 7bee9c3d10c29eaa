package storage

import (
	"context"
	"math"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/util/annotations"
)

// Windows are the windows of a range function at the steps of a query: window i
// ends at First + i*Step, inclusive, up to Last, and begins Range before its
// end, exclusive. All are milliseconds; Range is positive, and Step too unless
// First is Last.
type Windows struct {
	First, Last, Step, Range int64
}

// Len returns the number of windows.
func (w Windows) Len() int {
	if w.Step <= 0 {
		return 1
	}
	return int((w.Last-w.First)/w.Step) + 1
}

// End returns the end of window i.
func (w Windows) End(i int) int64 { return w.First + int64(i)*w.Step }

// RollupQueryable is a Queryable whose queriers are RollupQueriers.
type RollupQueryable interface {
	Queryable
	// HasRollups reports whether rollups would now answer some of the windows:
	// SelectRollups is then worth a try. It is cheap.
	HasRollups(w Windows) bool
	// SamplesGone returns the time up to which, inclusive, there are rollups of
	// samples that are gone; math.MinInt64 if there are none. It is cheap.
	SamplesGone() int64
}

// RollupQuerier is a Querier of a store that keeps, beside samples, what became
// of them in longer stretches of time.
type RollupQuerier interface {
	Querier
	// SelectRollups returns the series that match and have a sample in a window,
	// in ascending order of their labels, with what range functions need to know
	// of the windows. The querier's range includes the windows. nil means that
	// there are no rollups for any of the windows.
	SelectRollups(ctx context.Context, w Windows, matchers ...*labels.Matcher) RollupSet
}

// RollupSet is a sequence of series with their buckets. It is used by one
// goroutine.
//
// Where the samples as they came are still there, what it tells of a window is
// exact: it is made of rollups and, at the edges and in recent time, of samples.
// Where they are gone, the edges of a window that lie inside of a bucket move;
// Window says where to.
type RollupSet interface {
	// Next goes to the next series and reports whether there is one.
	Next() bool
	// Labels returns the labels of the series.
	Labels() labels.Labels
	// Buckets returns the buckets of the series, in ascending order of time, none
	// empty; each lies in a window as a whole or not at all. They are valid until
	// the next call of Next.
	Buckets() []Bucket
	// Window returns where window i begins, exclusive, and ends, inclusive: the
	// buckets with begin < T <= end are in it.
	Window(i int) (begin, end int64)
	// Samples returns how many buckets and samples have been read so far.
	Samples() int64
	// Err returns what ended the sequence early.
	Err() error
	// Warnings returns what did not end it. Call it after Next returned false.
	Warnings() annotations.Annotations
}

// Bucket is what range functions need to know of the samples of a series in a
// stretch of time. Staleness markers are no samples. A bucket without samples is
// the zero value but for T.
type Bucket struct {
	// T is the end of the stretch, inclusive, milliseconds.
	T int64
	// Count is the number of float samples, Histograms that of native histograms,
	// of which nothing else is known.
	Count, Histograms int64
	// FirstT and LastT are the times of the first and last float sample, First and
	// Last their values.
	FirstT, LastT int64
	First, Last   float64
	// Min and Max pass NaN over, unless there is nothing else.
	Min, Max float64
	// Resets is the sum of the values before each counter reset: of each sample
	// that is followed by a smaller one. The increase of a counter is
	// Last - First + Resets.
	Resets float64

	// The sum is sum plus what it lost by rounding.
	sum, lost float64
}

// Sum returns the sum of the float samples.
func (b *Bucket) Sum() float64 {
	if math.IsInf(b.sum, 0) {
		return b.sum
	}
	return b.sum + b.lost
}

// SetSum makes sum the sum of a bucket that was stored.
func (b *Bucket) SetSum(sum float64) { b.sum, b.lost = sum, 0 }

// Increase returns how much a counter went up between the first and the last
// sample.
func (b *Bucket) Increase() float64 { return b.Last - b.First + b.Resets }

// Empty reports whether there is no sample in the bucket.
func (b *Bucket) Empty() bool { return b.Count == 0 && b.Histograms == 0 }

// Add adds a float sample that comes after those in the bucket.
func (b *Bucket) Add(t int64, v float64) {
	if value.IsStaleNaN(v) {
		return
	}
	if b.Count == 0 {
		b.FirstT, b.First, b.Min, b.Max = t, v, v, v
	} else {
		if v < b.Last {
			b.Resets += b.Last
		}
		b.extend(v, v)
	}
	b.Count++
	b.LastT, b.Last = t, v
	b.addSum(v)
}

// Merge adds the samples of o, all of which come after those in b. T stays.
func (b *Bucket) Merge(o *Bucket) {
	b.Histograms += o.Histograms
	switch {
	case o.Count == 0:
		return
	case b.Count == 0:
		t, hs := b.T, b.Histograms
		*b = *o
		b.T, b.Histograms = t, hs
		return
	}
	if o.First < b.Last {
		b.Resets += b.Last
	}
	b.Resets += o.Resets
	b.extend(o.Min, o.Max)
	b.Count += o.Count
	b.LastT, b.Last = o.LastT, o.Last
	b.addSum(o.sum)
	b.lost += o.lost
}

// extend makes room for values. Comparisons with NaN are false, and a NaN gives
// way to whatever comes.
func (b *Bucket) extend(least, greatest float64) {
	if least < b.Min || math.IsNaN(b.Min) {
		b.Min = least
	}
	if greatest > b.Max || math.IsNaN(b.Max) {
		b.Max = greatest
	}
}

// addSum adds to the sum and notes what rounding lost (Neumaier's summation).
func (b *Bucket) addSum(v float64) {
	sum := b.sum + v
	switch {
	case math.IsInf(sum, 0) || math.IsNaN(sum):
		b.lost = 0
	case math.Abs(b.sum) >= math.Abs(v):
		b.lost += b.sum - sum + v
	default:
		b.lost += v - sum + b.sum
	}
	b.sum = sum
}
