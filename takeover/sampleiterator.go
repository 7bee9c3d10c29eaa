package takeover

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/gnomonhq/gnomon/storage"
)

// exportedSeries shows a series to upstream's chunk encoder.
type exportedSeries struct {
	labels  labels.Labels
	samples *samples
}

// Labels returns the labels.
func (s *exportedSeries) Labels() labels.Labels { return s.labels }

// Iterator returns an iterator from the first sample on.
func (s *exportedSeries) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	return &sampleIterator{runs: s.samples.runs, at: -1}
}

// sampleIterator implements chunkenc.Iterator.
type sampleIterator struct {
	runs []storage.Batch // the first has the sample at hand
	at   int
}

// Next goes to the next sample and returns its kind.
func (it *sampleIterator) Next() chunkenc.ValueType {
	it.at++
	for len(it.runs) > 0 && it.at >= it.runs[0].Len() {
		it.runs, it.at = it.runs[1:], 0
	}
	if len(it.runs) == 0 {
		return chunkenc.ValNone
	}
	switch it.runs[0].Kind {
	case storage.KindHistogram:
		return chunkenc.ValHistogram
	case storage.KindFloatHistogram:
		return chunkenc.ValFloatHistogram
	default:
		return chunkenc.ValFloat
	}
}

// Seek goes to the first sample at t or later, from the one at hand on.
func (it *sampleIterator) Seek(t int64) chunkenc.ValueType {
	if it.at < 0 {
		it.Next()
	}
	for len(it.runs) > 0 && it.AtT() < t {
		it.Next()
	}
	it.at--
	return it.Next()
}

// At returns the float at hand.
func (it *sampleIterator) At() (int64, float64) { return it.AtT(), it.runs[0].Values[it.at] }

// AtHistogram returns a copy of the histogram at hand: the encoder changes it.
func (it *sampleIterator) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) {
	return it.AtT(), it.runs[0].Histograms[it.at].Copy()
}

// AtFloatHistogram returns a copy of the histogram at hand, as floats.
func (it *sampleIterator) AtFloatHistogram(*histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	if it.runs[0].Kind == storage.KindHistogram {
		return it.AtT(), it.runs[0].Histograms[it.at].ToFloat(nil)
	}
	return it.AtT(), it.runs[0].FloatHistograms[it.at].Copy()
}

// AtT returns the time of the sample at hand.
func (it *sampleIterator) AtT() int64 { return it.runs[0].Times[it.at] }

// AtST returns its start time, 0 if it has none.
func (it *sampleIterator) AtST() int64 {
	if it.runs[0].StartTimes == nil {
		return 0
	}
	return it.runs[0].StartTimes[it.at]
}

// Err returns nil.
func (it *sampleIterator) Err() error { return nil }
