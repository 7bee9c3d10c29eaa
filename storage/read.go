package storage

import (
	"context"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/util/annotations"
)

// Queryable is the reading half of a store. It can be used by any number of
// goroutines.
type Queryable interface {
	// Querier opens a snapshot of the samples with mint <= t <= maxt,
	// milliseconds. It must be closed.
	Querier(mint, maxt int64) (Querier, error)
}

// Querier is a snapshot of a time range. Its methods can be used by any number
// of goroutines; what they return by one goroutine each. Everything it returned
// is invalid after Close, but for labels, strings and metadata.
//
// Matchers are conjunctive. A matcher that matches the empty string matches
// series without the label.
type Querier interface {
	// Select returns the series that match and have a sample in the range.
	Select(ctx context.Context, hints *SelectHints, matchers ...*labels.Matcher) SeriesSet
	// LabelNames returns the names of the labels of the series that match, in
	// ascending order. Without matchers: of all series.
	LabelNames(ctx context.Context, hints *LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error)
	// LabelValues returns the values that the label name has in the series that
	// match, in ascending order.
	LabelValues(ctx context.Context, name string, hints *LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error)
	// Exemplars returns the exemplars in the range of the series that match any
	// of the selectors, ordered by labels, those of a series by time.
	Exemplars(ctx context.Context, selectors ...[]*labels.Matcher) ([]ExemplarSeries, error)
	// Metadata returns the metadata that columns and series were given, by their
	// metric name, each distinct one once. An empty name means all of them. The
	// range does not matter.
	Metadata(ctx context.Context, name string) (map[string][]metadata.Metadata, error)
	// Close releases the snapshot. Closing twice is harmless.
	Close() error
}

// SelectHints tell what the samples are for, so that a store can do less. A nil
// pointer and the zero value mean: everything, in any order.
type SelectHints struct {
	// Mint and Maxt narrow the querier's range, inclusive, if they are not both
	// 0.
	Mint, Maxt int64
	// Sorted demands that the series come in ascending order of their labels.
	Sorted bool
	// Limit is the greatest number of series wanted; 0 is all.
	Limit int
	// LabelsOnly says that no sample will be read. Series are then returned if
	// their data overlaps the range, without decoding it.
	LabelsOnly bool
	// Step is the distance of the evaluation steps and Range the length of the
	// range selector, milliseconds; 0 if there is none.
	Step, Range int64
	// Func is the function or aggregation around the selector, if any.
	Func string
	// Newest says that of each series only the newest sample up to Maxt is looked at:
	// older ones may be left out.
	Newest bool
	// Labels are the names of the labels that the caller looks at, nil for all of
	// them. Series may come without the others, and then several with the same
	// labels. They have all of their labels if some have labels of type or unit, or
	// if Sorted is set.
	Labels []string
}

// LabelHints bound a label call.
type LabelHints struct {
	// Limit is the greatest number of results wanted; 0 is all.
	Limit int
}

// SeriesSet is a sequence of series. It is used by one goroutine.
type SeriesSet interface {
	// Next goes to the next series and reports whether there is one.
	Next() bool
	// At returns the series that Next went to. It stays valid after further
	// calls of Next. Samples of different series may be read by different
	// goroutines, each with an iterator of its own; labels are asked for by that
	// of the set.
	At() Series
	// Err returns what ended the sequence early. A damaged part that costs its
	// own series only is an error too, after the others were returned.
	Err() error
	// Warnings returns what did not end it. Call it after Next returned false.
	Warnings() annotations.Annotations
}

// Series is one series of a select.
type Series interface {
	// Labels returns the labels.
	Labels() labels.Labels
	// Batches returns an iterator over the samples in the select's range. If it
	// is not nil, the iterator it, which came from an earlier call on any
	// series of the same querier, is reused.
	Batches(it BatchIterator) BatchIterator
}

// BatchIterator yields the batches of one series. It is used by one goroutine.
type BatchIterator interface {
	// Next fills b with the next batch, which is never empty, and reports
	// whether there is one. It may use the room of b's Values, Histograms and
	// FloatHistograms slices.
	Next(b *Batch) bool
	// Err returns what ended the iteration early.
	Err() error
}

// ExemplarSeries is the exemplars of one series.
type ExemplarSeries struct {
	Labels    labels.Labels
	Exemplars []exemplar.Exemplar
}
