package promql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	upstream "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	upstreamstorage "github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/gnomonhq/gnomon/promql/plan"
	"github.com/gnomonhq/gnomon/storage"
)

var own = true

// Engine evaluates PromQL over a store. It can be used by any number of
// goroutines.
type Engine struct {
	opts    Options
	engine  *upstream.Engine
	store   storage.Queryable
	tracker *lateTracker
}

// New returns an engine that reads from store. Close it when no query runs any
// more.
func New(opts Options, store storage.Queryable) *Engine {
	opts = opts.withDefaults()
	e := &Engine{opts: opts, store: store}
	upstreamOpts := upstream.EngineOpts{
		Logger:                   opts.Logger,
		Reg:                      opts.Registerer,
		MaxSamples:               opts.MaxSamples,
		Timeout:                  opts.Timeout,
		LookbackDelta:            opts.LookbackDelta,
		NoStepSubqueryIntervalFn: opts.DefaultSubqueryInterval,
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		EnablePerStepStats:       opts.PerStepStats,
		EnableDelayedNameRemoval: opts.DelayedNameRemoval,
		EnableTypeAndUnitLabels:  opts.TypeAndUnitLabels,
		UseStartTimestamps:       opts.UseStartTimestamps,
		Parser:                   opts.Parser,
	}
	e.tracker = &lateTracker{max: opts.MaxConcurrency, logger: opts.Logger}
	upstreamOpts.ActiveQueryTracker = e.tracker
	e.engine = upstream.NewEngine(upstreamOpts)
	return e
}

// TrackQueries opens the file in dir that lists the running queries, and says
// in the log which ones were running when the process before died. From then on
// Options.MaxConcurrency holds. The file is truncated: dir must not be in use
// by another process. It is called once, before the first query that counts.
func (e *Engine) TrackQueries(dir string) error {
	tracker, err := upstream.NewActiveQueryTracker(dir, e.tracker.max, e.tracker.logger)
	if err != nil {
		return fmt.Errorf("open the list of running queries in %s: %w", dir, err)
	}
	e.tracker.inner.Store(tracker)
	return nil
}

// lateTracker is upstream's list of running queries, or none until there is
// one.
type lateTracker struct {
	max    int
	logger *slog.Logger
	inner  atomic.Pointer[upstream.ActiveQueryTracker]
}

// untracked is the place of a query that came before the list.
const untracked = -1

func (t *lateTracker) GetMaxConcurrent() int { return t.max }

func (t *lateTracker) Insert(ctx context.Context, query string) (int, error) {
	if inner := t.inner.Load(); inner != nil {
		return inner.Insert(ctx, query)
	}
	return untracked, nil
}

func (t *lateTracker) Delete(place int) {
	if place != untracked {
		t.inner.Load().Delete(place)
	}
}

func (t *lateTracker) Close() error {
	if inner := t.inner.Load(); inner != nil {
		return inner.Close()
	}
	return nil
}

// Close releases the file of running queries.
func (e *Engine) Close() error { return e.engine.Close() }

// Instant evaluates expr at t. The error is a *QueryError. The result must be
// closed.
func (e *Engine) Instant(ctx context.Context, expr string, t time.Time, opts QueryOptions) (*Result, error) {
	if own {
		p, err := e.prepare(expr, plan.Times{Start: t, End: t})
		if err != nil {
			return nil, err
		}
		return e.evaluate(ctx, p, opts)
	}
	return e.run(ctx, func(store upstreamstorage.Queryable) (upstream.Query, error) {
		return e.engine.NewInstantQuery(ctx, store, queryOpts(opts), expr, t)
	})
}

// Range evaluates expr at start, start+step and so on up to end. The error is a
// *QueryError. The result must be closed.
func (e *Engine) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts QueryOptions) (*Result, error) {
	if own {
		p, err := e.prepare(expr, plan.Times{Start: start, End: end, Step: step})
		if err != nil {
			return nil, err
		}
		return e.evaluate(ctx, p, opts)
	}
	return e.run(ctx, func(store upstreamstorage.Queryable) (upstream.Query, error) {
		return e.engine.NewRangeQuery(ctx, store, queryOpts(opts), expr, start, end, step)
	})
}

func queryOpts(opts QueryOptions) upstream.QueryOpts {
	return upstream.NewPrometheusQueryOpts(opts.PerStepStats, opts.LookbackDelta)
}

// run evaluates a query, with rollups where they help. Calls that they turn out
// not to answer are left to samples in a second attempt.
func (e *Engine) run(ctx context.Context, prepare func(upstreamstorage.Queryable) (upstream.Query, error)) (*Result, error) {
	except := map[int]bool{}
	for {
		store := &borrowedQueryable{store: e.store, except: except, maxSamples: e.opts.MaxSamples}
		query, err := prepare(store)
		if err != nil {
			// What fails before the evaluation is the expression, or the wait for a
			// free place.
			if qe := queryError(err); qe.Kind != nil {
				return nil, qe
			}
			return nil, &QueryError{Kind: ErrParse, Err: err}
		}
		if rollups, ok := e.store.(storage.RollupQueryable); ok {
			store.calls = e.opts.rollCalls(rollups, query.Statement().(*parser.EvalStmt), except)
		}
		tried := len(except)
		res := query.Exec(ctx)
		if len(except) > tried {
			query.Close()
			continue
		}
		if res.Err != nil {
			query.Close()
			return nil, queryError(res.Err)
		}
		out := &Result{Annotations: res.Warnings, Stats: queryStats(query.Stats()), close: query.Close}
		out.fill(res.Value)
		return out, nil
	}
}

// queryError sorts an error of upstream's engine into ours.
func queryError(err error) *QueryError {
	var (
		canceled upstream.ErrQueryCanceled
		timeout  upstream.ErrQueryTimeout
		reading  upstream.ErrStorage
	)
	switch {
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		return &QueryError{Kind: ErrCanceled, Err: err}
	case errors.As(err, &timeout):
		return &QueryError{Kind: ErrTimeout, Err: err}
	case errors.As(err, &reading):
		return &QueryError{Kind: ErrStorage, Err: err}
	default:
		return &QueryError{Err: err}
	}
}

// fill copies upstream's value. The points of a matrix are copied too: they are
// few beside what was read for them.
func (r *Result) fill(value parser.Value) {
	r.Type = value.Type()
	switch v := value.(type) {
	case upstream.Vector:
		r.Vector = make([]Sample, len(v))
		for i, s := range v {
			r.Vector[i] = Sample{Metric: s.Metric, T: s.T, F: s.F, H: s.H}
		}
	case upstream.Matrix:
		r.Matrix = make([]Series, len(v))
		for i := range v {
			r.Matrix[i] = matrixSeries(&v[i])
		}
	case upstream.Scalar:
		r.Scalar = FloatPoint{T: v.T, F: v.V}
	case upstream.String:
		r.String = StringPoint(v)
	}
}

func matrixSeries(s *upstream.Series) Series {
	out := Series{Metric: s.Metric}
	if len(s.Floats) > 0 {
		out.Floats = make([]FloatPoint, len(s.Floats))
	}
	for i, p := range s.Floats {
		out.Floats[i] = FloatPoint(p)
	}
	for _, p := range s.Histograms {
		out.Histograms = append(out.Histograms, HistogramPoint(p))
	}
	return out
}

func queryStats(s *stats.Statistics) Stats {
	if s == nil {
		return Stats{}
	}
	timer := func(t stats.QueryTiming) time.Duration {
		return time.Duration(s.Timers.GetTimer(t).Duration() * float64(time.Second))
	}
	out := Stats{
		EvalTotal: timer(stats.EvalTotalTime), ResultSort: timer(stats.ResultSortTime),
		QueryPreparation: timer(stats.QueryPreparationTime), InnerEval: timer(stats.InnerEvalTime),
		ExecQueue: timer(stats.ExecQueueTime), ExecTotal: timer(stats.ExecTotalTime),
	}
	if q := s.Samples; q != nil {
		out.TotalSamples, out.SamplesRead, out.PeakSamples = q.TotalSamples, q.SamplesRead, int64(q.PeakSamples)
		if q.EnablePerStepStats {
			out.TotalPerStep = stepCounts(q, q.TotalSamplesPerStep)
			out.ReadPerStep = stepCounts(q, q.SamplesReadPerStep)
		}
	}
	return out
}

func stepCounts(q *stats.QuerySamples, counts []int64) []StepCount {
	out := make([]StepCount, len(counts))
	for i, n := range counts {
		out[i] = StepCount{T: q.StartTimestamp + int64(i)*q.Interval, N: n}
	}
	return out
}

// borrowedQueryable shows a store in upstream's shape.
type borrowedQueryable struct {
	store storage.Queryable
	// calls are evaluated from rollups. Those that turn out to need samples are
	// added to except.
	calls  []*rolledCall
	except map[int]bool
	// maxSamples bounds the results of a call.
	maxSamples int
}

func (q *borrowedQueryable) Querier(mint, maxt int64) (upstreamstorage.Querier, error) {
	for _, c := range q.calls {
		mint, maxt = min(mint, c.windows.First-c.windows.Range), max(maxt, c.windows.Last)
	}
	inner, err := q.store.Querier(mint, maxt)
	if err != nil {
		return nil, upstream.ErrStorage{Err: err}
	}
	return borrowedQuerier{inner, q}, nil
}

type borrowedQuerier struct {
	inner storage.Querier
	query *borrowedQueryable
}

func (q borrowedQuerier) Close() error { return q.inner.Close() }

func (q borrowedQuerier) LabelNames(ctx context.Context, hints *upstreamstorage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.inner.LabelNames(ctx, labelHints(hints), ms...)
}

func (q borrowedQuerier) LabelValues(ctx context.Context, name string, hints *upstreamstorage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.inner.LabelValues(ctx, name, labelHints(hints), ms...)
}

func labelHints(hints *upstreamstorage.LabelHints) *storage.LabelHints {
	if hints == nil {
		return nil
	}
	return &storage.LabelHints{Limit: hints.Limit}
}

func (q borrowedQuerier) Select(ctx context.Context, sorted bool, hints *upstreamstorage.SelectHints, ms ...*labels.Matcher) upstreamstorage.SeriesSet {
	ours := &storage.SelectHints{Sorted: sorted}
	if hints != nil {
		ours.Mint, ours.Maxt, ours.Limit = hints.Start, hints.End, hints.Limit
		ours.Step, ours.Range, ours.Func = hints.Step, hints.Range, hints.Func
		ours.LabelsOnly = hints.Func == "series"
	}
	if call := find(q.query.calls, ms); call != nil {
		tooMany := upstream.ErrTooManySamples("query execution")
		var set storage.SeriesSet
		if call.instant {
			set = call.selInstant(ctx, q.inner, ours, q.query.maxSamples, tooMany)
		} else {
			set = call.sel(ctx, q.inner, q.query.maxSamples, tooMany)
		}
		return rolledSeriesSet{borrowedSeriesSet{set}, call, q.query}
	}
	return borrowedSeriesSet{q.inner.Select(ctx, ours, ms...)}
}

type borrowedSeriesSet struct{ storage.SeriesSet }

func (s borrowedSeriesSet) At() upstreamstorage.Series { return borrowedSeries{s.SeriesSet.At()} }

// rolledSeriesSet notes that a call needs samples.
type rolledSeriesSet struct {
	borrowedSeriesSet
	call  *rolledCall
	query *borrowedQueryable
}

func (s rolledSeriesSet) Err() error {
	err := s.borrowedSeriesSet.Err()
	if errors.Is(err, errNeedsSamples) {
		s.query.except[s.call.ordinal] = true
	}
	return err
}

type borrowedSeries struct{ storage.Series }

// Iterator returns an iterator over the samples, it reused if it is ours.
func (s borrowedSeries) Iterator(it chunkenc.Iterator) chunkenc.Iterator {
	ours, ok := it.(*sampleIterator)
	if !ok {
		ours = &sampleIterator{}
	}
	ours.batches = s.Batches(ours.batches)
	ours.at = -1
	ours.batch.Times = nil
	return ours
}

// sampleIterator walks the samples of the batches of one series.
type sampleIterator struct {
	batches storage.BatchIterator
	batch   storage.Batch
	at      int // index in the batch; -1 before the first sample
}

func (it *sampleIterator) kind() chunkenc.ValueType {
	switch it.batch.Kind {
	case storage.KindHistogram:
		return chunkenc.ValHistogram
	case storage.KindFloatHistogram:
		return chunkenc.ValFloatHistogram
	default:
		return chunkenc.ValFloat
	}
}

func (it *sampleIterator) nextBatch() bool {
	it.at = 0
	if !it.batches.Next(&it.batch) {
		it.batch.Times = nil
		return false
	}
	return true
}

func (it *sampleIterator) Next() chunkenc.ValueType {
	it.at++
	if it.at >= len(it.batch.Times) && !it.nextBatch() {
		return chunkenc.ValNone
	}
	return it.kind()
}

func (it *sampleIterator) Seek(t int64) chunkenc.ValueType {
	it.at = max(it.at, 0)
	for {
		if n := len(it.batch.Times); it.at < n && it.batch.Times[n-1] >= t {
			i, _ := slices.BinarySearch(it.batch.Times[it.at:], t)
			it.at += i
			return it.kind()
		}
		if !it.nextBatch() {
			return chunkenc.ValNone
		}
	}
}

func (it *sampleIterator) At() (int64, float64) { return it.batch.Times[it.at], it.batch.Values[it.at] }
func (it *sampleIterator) AtT() int64           { return it.batch.Times[it.at] }
func (it *sampleIterator) Err() error           { return it.batches.Err() }

func (it *sampleIterator) AtST() int64 {
	if it.batch.StartTimes == nil {
		return 0
	}
	return it.batch.StartTimes[it.at]
}

// AtHistogram copies, because the caller may change what it gets.
func (it *sampleIterator) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	if h == nil {
		h = &histogram.Histogram{}
	}
	it.batch.Histograms[it.at].CopyTo(h)
	return it.AtT(), h
}

func (it *sampleIterator) AtFloatHistogram(fh *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	if it.batch.Kind == storage.KindHistogram {
		return it.AtT(), it.batch.Histograms[it.at].ToFloat(fh)
	}
	if fh == nil {
		fh = &histogram.FloatHistogram{}
	}
	it.batch.FloatHistograms[it.at].CopyTo(fh)
	return it.AtT(), fh
}
