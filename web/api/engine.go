package api

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
)

// Engine evaluates PromQL. It is used by any number of goroutines.
//
// The context carries the deadline of the request and ends when the client
// goes away; the engine applies its own timeout on top of it. It ends when the
// call returns too, so that a result is complete by then. An error should be a
// *QueryError; any other one is taken for a failed execution.
type Engine interface {
	// Instant evaluates expr at t.
	Instant(ctx context.Context, expr string, t time.Time, opts QueryOptions) (*Result, error)
	// Range evaluates expr at start, start+step and so on, up to and including
	// end. The handler has made sure that start <= end, that step is at least
	// one millisecond and that there are at most 11,001 steps.
	Range(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts QueryOptions) (*Result, error)
}

// QueryOptions are what a request may change about a query. The zero value is
// the engine's defaults.
type QueryOptions struct {
	// LookbackDelta replaces the engine's lookback if it is positive.
	LookbackDelta time.Duration
	// PerStepStats asks for the statistics of each step, if the engine has
	// them.
	PerStepStats bool
	// NoCache says to evaluate all steps, also those whose values are known.
	NoCache bool
	// Dashboard says that a dashboard asks, which is more urgent than a person.
	Dashboard bool
	// Origin says where the query came from, for the query log.
	Origin Origin
}

// Origin is the request that a query came from.
type Origin struct {
	// ClientIP is the address of the client without its port.
	ClientIP string
	// Method and Path are those of the HTTP request, the path with the route
	// prefix.
	Method, Path string
}

// Result is the result of a query. Which of Vector, Matrix, Scalar and String
// counts is said by Type.
type Result struct {
	// Type is the type of the value: parser.ValueTypeVector,
	// parser.ValueTypeMatrix, parser.ValueTypeScalar or parser.ValueTypeString.
	Type   parser.ValueType
	Vector []Sample
	Matrix []Series
	Scalar FloatPoint
	String StringPoint

	// Annotations are the warnings and infos. They may refer to positions in
	// the expression.
	Annotations annotations.Annotations
	// Stats is what the query cost; nil if the engine does not know.
	Stats *QueryStats
	// Release, if not nil, is called once, when the result has been written or
	// dropped. The engine may reuse the memory of the result then.
	Release func()
}

// Sample is one element of an instant vector: a histogram if H is not nil, else
// a float.
type Sample struct {
	Metric labels.Labels
	T      int64 // milliseconds
	F      float64
	H      *histogram.FloatHistogram
}

// Series is one element of a range vector. Both lists of points are in
// ascending order of time; a series with neither is left out of the response by
// the engine, not by the handler.
type Series struct {
	Metric     labels.Labels
	Floats     []FloatPoint
	Histograms []HistogramPoint
}

// FloatPoint is a float at a time. It is the type of all rooms, so that results are
// not copied from one to the next.
type FloatPoint = storage.FloatPoint

// HistogramPoint is a native histogram at a time. H is not nil.
type HistogramPoint = storage.HistogramPoint

// StringPoint is a string at a time.
type StringPoint struct {
	T int64 // milliseconds
	V string
}

// QueryStats is what a query cost. The durations are what the fields of the
// same name of Prometheus mean.
type QueryStats struct {
	EvalTotal        time.Duration
	ResultSort       time.Duration
	QueryPreparation time.Duration
	InnerEval        time.Duration
	ExecQueue        time.Duration
	ExecTotal        time.Duration
	// Samples is nil if samples were not counted.
	Samples *SampleStats
}

// SampleStats counts the samples of a query.
type SampleStats struct {
	// TotalQueryable counts the samples that entered the evaluation, each as
	// often as it was used.
	TotalQueryable int64
	// Read counts the samples that were read from the storage.
	Read int64
	// Peak is the greatest number of samples that were in memory at once.
	Peak int64
	// TotalQueryablePerStep and ReadPerStep are nil unless asked for by
	// QueryOptions.PerStepStats.
	TotalQueryablePerStep, ReadPerStep []StepStat
}

// StepStat is a count at one step of a query.
type StepStat struct {
	T int64 // milliseconds
	V int64
}

// QueryErrorKind says whose fault a failed query is.
type QueryErrorKind uint8

// The kinds of errors of a query, with what the API makes of them.
const (
	// QueryFailed is an error of the evaluation, such as a many-to-many match
	// or a limit: status 422, errorType execution.
	QueryFailed QueryErrorKind = iota
	// QueryInvalid is an expression that does not parse or is not allowed:
	// status 400, errorType bad_data.
	QueryInvalid
	// QueryTimedOut is a query that reached its deadline: status 503,
	// errorType timeout.
	QueryTimedOut
	// QueryCanceled is a query whose context was canceled: status 499,
	// errorType canceled.
	QueryCanceled
	// QueryStorageFailed is an error of reading: status 500, errorType
	// internal.
	QueryStorageFailed
	// QueryRefused is a query that came when too many waited: status 503,
	// errorType refused.
	QueryRefused
)

// QueryError is an error of an Engine. Its text is that of Err, unchanged, so
// that it reaches the client as the engine wrote it.
type QueryError struct {
	Kind QueryErrorKind
	Err  error
}

// Error returns the text of Err.
func (e *QueryError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *QueryError) Unwrap() error { return e.Err }
