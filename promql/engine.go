package promql

import (
	"errors"
	"log/slog"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/promql/exec"
)

// Options are the settings of an engine.
type Options struct {
	// Logger gets what the engine has to say; nil discards it.
	Logger *slog.Logger
	// Registerer gets the engine's metrics; nil for none.
	Registerer prometheus.Registerer
	// Parser parses expressions; nil is the parser without experimental
	// features.
	Parser parser.Parser
	// LookbackDelta is how far back an instant selector looks for a sample.
	// 0 is 5 minutes.
	LookbackDelta time.Duration
	// Timeout ends a query. 0 is 2 minutes.
	Timeout time.Duration
	// MaxSamples is the greatest number of samples that a query may have in
	// memory. 0 is 50 million.
	MaxSamples int
	// MaxConcurrency is the greatest number of queries that run at once; more
	// wait. 0 is 20.
	MaxConcurrency int
	// MaxWaiting is the greatest number of queries that wait; more fail with
	// ErrBusy. 0 is 1024.
	MaxWaiting int
	// Workers is how many goroutines compute the series of a query beside each
	// other, at most. 0 is GOMAXPROCS; 1 is the query by itself.
	Workers int
	// spreadAfter is exec.Options.SpreadAfter, for tests.
	spreadAfter int
	// asWritten is plan.Options.AsWritten, for tests.
	asWritten bool
	// MaxMemory and MaxMemoryTotal are what a query, and all of them together, may
	// have in memory, bytes, as exec.Memory counts. 0 is no limit.
	MaxMemory, MaxMemoryTotal int64
	// ResultCacheBytes is how much memory the results of range queries are kept in, to
	// be used again; 0 keeps none. It needs a store that is a storage.ChangeTracker.
	ResultCacheBytes int64
	// DefaultSubqueryInterval returns the step, in milliseconds, of a subquery
	// that names none. nil is one minute.
	DefaultSubqueryInterval func(rangeMillis int64) int64
	// PerStepStats, DelayedNameRemoval, TypeAndUnitLabels and
	// UseStartTimestamps are the feature flags of the same names.
	PerStepStats, DelayedNameRemoval, TypeAndUnitLabels, UseStartTimestamps bool
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Parser == nil {
		o.Parser = parser.NewParser(parser.Options{})
	}
	if o.LookbackDelta == 0 {
		o.LookbackDelta = 5 * time.Minute
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.MaxSamples == 0 {
		o.MaxSamples = 50_000_000
	}
	if o.MaxConcurrency == 0 {
		o.MaxConcurrency = 20
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.MaxWaiting == 0 {
		o.MaxWaiting = 1024
	}
	if o.DefaultSubqueryInterval == nil {
		o.DefaultSubqueryInterval = func(int64) int64 { return time.Minute.Milliseconds() }
	}
	return o
}

// QueryOptions are the settings of one query; the zero value is the engine's.
type QueryOptions struct {
	// LookbackDelta replaces the engine's if it is positive.
	LookbackDelta time.Duration
	// PerStepStats asks for statistics of each step; it needs the engine's
	// PerStepStats.
	PerStepStats bool
	// NoCache evaluates all steps, whatever is known of them, and keeps nothing.
	NoCache bool
	// Class says how urgent the query is, and Origin what asked it.
	Class  Class
	Origin Origin

	trace *exec.Trace
}

// Errors say what kind of failure a failed query is. Compare with errors.Is.
var (
	// ErrParse is an expression that does not parse or does not type-check.
	ErrParse = errors.New("parse error")
	// ErrTimeout is a query that reached its deadline.
	ErrTimeout = errors.New("query timed out")
	// ErrCanceled is a query whose context was canceled.
	ErrCanceled = errors.New("query was canceled")
	// ErrStorage is an error of reading.
	ErrStorage = errors.New("storage error")
	// ErrBusy is a query that came when too many waited.
	ErrBusy = errors.New("too many queries")

	errQueueFull = errors.New("too many queries wait")
)

// QueryError is an error of a query. Its text is what a client is shown.
type QueryError struct {
	// Kind is one of the errors above, or nil if the evaluation failed: a
	// many-to-many match, a limit.
	Kind error
	Err  error
}

// Error returns the text of Err.
func (e *QueryError) Error() string { return e.Err.Error() }

// Unwrap returns the kind and the cause.
func (e *QueryError) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.Err}
	}
	return []error{e.Kind, e.Err}
}

// Result is the result of a query. Type says which of Vector, Matrix, Scalar
// and String counts. It belongs to the caller until Close.
type Result struct {
	Type   parser.ValueType
	Vector []Sample
	Matrix []Series
	Scalar FloatPoint
	String StringPoint

	Annotations annotations.Annotations
	Stats       Stats

	close func()
}

// Close gives the result's memory back to the engine. Nothing of the result may
// be used afterwards. It is called once.
func (r *Result) Close() {
	if r.close != nil {
		r.close()
	}
}

// Sample is an element of an instant vector: a histogram if H is not nil, else
// a float. T is in milliseconds.
type Sample struct {
	Metric labels.Labels
	T      int64
	F      float64
	H      *histogram.FloatHistogram
}

// Series is an element of a range vector; points are in ascending order of
// time.
type Series = exec.Series

// FloatPoint is a float at T milliseconds.
type FloatPoint = exec.FloatPoint

// HistogramPoint is a native histogram at T milliseconds.
type HistogramPoint = exec.HistogramPoint

// StringPoint is a string at T milliseconds.
type StringPoint struct {
	T int64
	V string
}

// Stats is what a query cost.
type Stats struct {
	EvalTotal, ResultSort, QueryPreparation time.Duration
	InnerEval, ExecQueue, ExecTotal         time.Duration

	// TotalSamples counts the samples that entered the evaluation, each as
	// often as it was used; SamplesRead those read from the storage;
	// PeakSamples the most that were in memory at once.
	TotalSamples, SamplesRead, PeakSamples int64
	// PeakBytes is the most memory that the query held, as exec.Memory counts.
	PeakBytes int64
	// TotalPerStep and ReadPerStep are nil unless they were asked for.
	TotalPerStep, ReadPerStep []StepCount
}

// StepCount is a count of samples at the step at T milliseconds.
type StepCount struct {
	T, N int64
}
