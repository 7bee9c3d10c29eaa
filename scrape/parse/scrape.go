package parse

import (
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// Options say how bodies are to be parsed. They are constant over many bodies;
// a change of Admit, of the switches or of Fallback requires [Layout.Reset].
type Options struct {
	// Admit turns the labels that a target exposes into those to be stored. No
	// labels means that the series is dropped; an error fails the scrape. It is
	// called once per series, not once per sample.
	Admit func(exposed labels.Labels) (labels.Labels, error)
	// Fallback is the media type of bodies that do not say theirs; empty means
	// that they are refused.
	Fallback string
	// HonorTimestamps keeps the timestamps that a body gives to samples.
	HonorTimestamps bool
	// SampleLimit is the greatest number of samples, after relabelling; 0 is no
	// limit.
	SampleLimit int
	// BucketLimit is the greatest number of buckets of a native histogram; 0 is
	// no limit. The resolution is reduced to meet it where that is possible.
	BucketLimit int
	// MaxSchema is the finest resolution of exponential histograms. 0 is one of
	// the resolutions, not a default.
	MaxSchema int32
	// NativeHistograms reads native histograms.
	NativeHistograms bool
	// KeepClassic reads the classic histogram besides the native one.
	KeepClassic bool
	// ClassicToNHCB turns classic histograms into native ones with custom
	// buckets.
	ClassicToNHCB bool
	// StartTimestamps reads the start timestamps of OpenMetrics and protobuf.
	// The _created series of OpenMetrics then are not series any more.
	StartTimestamps bool
	// TypeAndUnitLabels adds the labels __type__ and __unit__.
	TypeAndUnitLabels bool
	// OpenMetrics2 accepts OpenMetrics 2.0.
	OpenMetrics2 bool
}

// Scrape is what was read from one body, and the buffers for it. The zero value
// can be used.
type Scrape struct {
	// Row has the samples without timestamps after Commit. Its Present has the
	// columns of this body only, and its T is not set.
	Row storage.Row
	// Timed has the samples with timestamps of their own.
	Timed []TimedSample
	// Moved has the columns of the series that came with timestamps and came
	// without in the body before.
	Moved []storage.Column

	// Total is the number of samples in the body, up to the error if there is
	// one; Kept is the number of those that relabelling did not drop.
	Total, Kept int
	// Duplicates is the number of samples that were left out because the body
	// has the series twice.
	Duplicates int
	// SeriesAdded is the number of series that the body before did not have.
	SeriesAdded int

	text                   text
	seen                   storage.Bitmap // lines that the body has
	again                  bool           // the last sample's line was one of them before
	sideCols               storage.Bitmap // columns that a side has set
	owned                  storage.Bitmap
	fresh                  []NewSeries
	made                   []uint32 // lines that this body made
	overLimit, overBuckets bool
	// startTimes becomes Row.StartTimes if starts is set.
	startTimes []int64
	starts     bool
}

// NewSeries is a series that is new in a body.
type NewSeries struct {
	// Labels are those that Admit returned.
	Labels labels.Labels

	line      uint32
	family    uint32
	counted   bool   // in SeriesAdded
	refused   bool   // by RefuseNew
	column    uint32 // during Commit
	value     float64
	start     int64
	h         *histogram.Histogram
	fh        *histogram.FloatHistogram
	exemplars []exemplar.Exemplar
}

// TimedSample is a sample with a timestamp of its own.
type TimedSample struct {
	// Ref is the store's reference to the series, 0 if it is not known yet;
	// then Labels has the labels.
	Ref    storage.SeriesRef
	Labels labels.Labels
	// T is the timestamp, Start the start timestamp or 0, in milliseconds.
	T, Start int64
	// Value is the value unless one of the histograms is set.
	Value          float64
	Histogram      *histogram.Histogram
	FloatHistogram *histogram.FloatHistogram
	Exemplars      []exemplar.Exemplar

	line uint32
	// ordinal is the number of the sample in the body, from 1.
	ordinal          int
	isNew, described bool
}

// IsNew reports whether the body before did not have the series.
func (t *TimedSample) IsNew() bool { return t.isNew }

// IsDescribed reports whether the body changed the metadata of the family.
func (t *TimedSample) IsDescribed() bool { return t.described }

// begin readies the buffers for a body of the layout.
func (s *Scrape) begin(l *Layout) {
	s.Row.T = 0
	s.Row.Values = growTo(s.Row.Values, l.width)
	s.Row.Present = s.Row.Present[:0]
	s.Row.StartTimes = nil
	s.Row.Histograms = s.Row.Histograms[:0]
	s.Row.Exemplars = s.Row.Exemplars[:0]
	s.Timed, s.Moved = s.Timed[:0], s.Moved[:0]
	s.Total, s.Kept, s.Duplicates, s.SeriesAdded = 0, 0, 0, 0
	s.seen = s.seen[:0].Grow(len(l.lines))
	s.sideCols = s.sideCols[:0].Grow(l.width)
	s.fresh = s.fresh[:0]
	s.made = s.made[:0]
	s.overLimit, s.overBuckets, s.starts = false, false, false
}

// maxKept is the number of new series that a Scrape keeps room for.
const maxKept = 1024

// Release drops the references to what was parsed, for a Scrape that is put
// aside.
func (s *Scrape) Release() {
	s.text = text{builder: s.text.builder}
	if cap(s.fresh) > maxKept {
		s.fresh = nil // A first body may be much larger than what follows.
	}
	clear(s.fresh[:cap(s.fresh)])
	clear(s.Timed[:cap(s.Timed)])
	clear(s.Row.Histograms[:cap(s.Row.Histograms)])
	clear(s.Row.Exemplars[:cap(s.Row.Exemplars)])
}

// stored is the number of samples that the store is to get.
func (s *Scrape) stored() int { return s.Kept - s.Duplicates }

func growTo(values []float64, n int) []float64 {
	if n <= cap(values) {
		return values[:n]
	}
	return append(values[:cap(values)], make([]float64, n-cap(values))...)
}
