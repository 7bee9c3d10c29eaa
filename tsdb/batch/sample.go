package batch

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/gnomonhq/gnomon/storage"
)

// Sample is one sample. H is set for a histogram, FH for a float histogram, V
// counts otherwise. The histograms belong to whoever made the sample.
type Sample struct {
	// T and ST are the timestamp and the start timestamp in milliseconds; ST is
	// 0 if there is none.
	T, ST int64
	V     float64
	H     *histogram.Histogram
	FH    *histogram.FloatHistogram
}

// Kind returns the kind of the sample.
func (s *Sample) Kind() storage.Kind {
	switch {
	case s.FH != nil:
		return storage.KindFloatHistogram
	case s.H != nil:
		return storage.KindHistogram
	default:
		return storage.KindFloat
	}
}

// SameValue reports whether two samples have the same value to the bit. The
// timestamps are not looked at.
func (s *Sample) SameValue(o *Sample) bool {
	switch {
	case s.Kind() != o.Kind():
		return false
	case s.FH != nil:
		return s.FH.Equals(o.FH)
	case s.H != nil:
		return s.H.Equals(o.H)
	default:
		return math.Float64bits(s.V) == math.Float64bits(o.V)
	}
}

// At returns sample i of a batch. It shares the histogram with the batch.
func At(b *storage.Batch, i int) Sample {
	s := Sample{T: b.Times[i]}
	if b.StartTimes != nil {
		s.ST = b.StartTimes[i]
	}
	switch b.Kind {
	case storage.KindHistogram:
		s.H = b.Histograms[i]
	case storage.KindFloatHistogram:
		s.FH = b.FloatHistograms[i]
	default:
		s.V = b.Values[i]
	}
	return s
}

// Append adds a sample to a batch that is empty or of its kind. The timestamps
// of b must be its own memory.
func Append(b *storage.Batch, s *Sample) {
	b.Kind = s.Kind()
	if s.ST != 0 && b.StartTimes == nil {
		b.StartTimes = make([]int64, b.Len(), b.Len()+gatherRun)
	}
	b.Times = append(b.Times, s.T)
	if b.StartTimes != nil {
		b.StartTimes = append(b.StartTimes, s.ST)
	}
	switch b.Kind {
	case storage.KindHistogram:
		b.Histograms = append(b.Histograms, s.H)
	case storage.KindFloatHistogram:
		b.FloatHistograms = append(b.FloatHistograms, s.FH)
	default:
		b.Values = append(b.Values, s.V)
	}
}

// ForgetReset makes the counter reset hint of histogram i unknown, in a copy,
// because the sample before it is not the one that the hint was worked out from.
func ForgetReset(b *storage.Batch, i int) {
	switch b.Kind {
	case storage.KindHistogram:
		if h := b.Histograms[i]; h.CounterResetHint == histogram.NotCounterReset {
			h = h.Copy()
			h.CounterResetHint = histogram.UnknownCounterReset
			b.Histograms[i] = h
		}
	case storage.KindFloatHistogram:
		if h := b.FloatHistograms[i]; h.CounterResetHint == histogram.NotCounterReset {
			h = h.Copy()
			h.CounterResetHint = histogram.UnknownCounterReset
			b.FloatHistograms[i] = h
		}
	}
}

// ForgetReset is the function of that name for a single sample.
func (s *Sample) ForgetReset() {
	switch {
	case s.H != nil && s.H.CounterResetHint == histogram.NotCounterReset:
		s.H = s.H.Copy()
		s.H.CounterResetHint = histogram.UnknownCounterReset
	case s.FH != nil && s.FH.CounterResetHint == histogram.NotCounterReset:
		s.FH = s.FH.Copy()
		s.FH.CounterResetHint = histogram.UnknownCounterReset
	}
}

// SetReset gives the sample's histogram, which must be its own, the counter
// reset hint that it has after previous; nil is no sample, or one that is not
// known.
func (s *Sample) SetReset(previous *Sample) {
	var none Sample
	if previous == nil {
		previous = &none
	}
	switch {
	case s.H != nil:
		s.H.CounterResetHint = storage.ResetHint(previous.H, s.H)
	case s.FH != nil:
		s.FH.CounterResetHint = storage.FloatResetHint(previous.FH, s.FH)
	}
}

// Collect reads an iterator to its end.
func Collect(it storage.BatchIterator) ([]Sample, error) {
	var out []Sample
	var b storage.Batch
	for it.Next(&b) {
		for i := range b.Times {
			out = append(out, At(&b, i))
		}
	}
	return out, it.Err()
}
