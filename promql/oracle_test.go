package promql

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	upstream "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	upstreamstorage "github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/gnomonhq/gnomon/storage"
)

// oracle is upstream's engine over a store of ours: what ours has to agree with.
type oracle struct {
	engine *upstream.Engine
	store  storage.Queryable
}

func newOracle(opts Options, store storage.Queryable) *oracle {
	opts = opts.withDefaults()
	return &oracle{store: store, engine: upstream.NewEngine(upstream.EngineOpts{
		Logger:                   opts.Logger,
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
	})}
}

// Instant evaluates expr at t.
func (o *oracle) Instant(ctx context.Context, expr string, t time.Time, opts QueryOptions) (*Result, error) {
	return o.run(ctx, func(store upstreamstorage.Queryable) (upstream.Query, error) {
		return o.engine.NewInstantQuery(ctx, store, queryOpts(opts), expr, t)
	})
}

// Range evaluates expr at start, start+step and so on up to end.
func (o *oracle) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts QueryOptions) (*Result, error) {
	return o.run(ctx, func(store upstreamstorage.Queryable) (upstream.Query, error) {
		return o.engine.NewRangeQuery(ctx, store, queryOpts(opts), expr, start, end, step)
	})
}

func queryOpts(opts QueryOptions) upstream.QueryOpts {
	return upstream.NewPrometheusQueryOpts(opts.PerStepStats, opts.LookbackDelta)
}

// run evaluates a query.
func (o *oracle) run(ctx context.Context, prepare func(upstreamstorage.Queryable) (upstream.Query, error)) (*Result, error) {
	query, err := prepare(&borrowedQueryable{store: o.store})
	if err != nil {
		if qe := queryError(err); qe.Kind != nil {
			return nil, qe
		}
		return nil, &QueryError{Kind: ErrParse, Err: err}
	}
	res := query.Exec(ctx)
	if res.Err != nil {
		query.Close()
		return nil, queryError(res.Err)
	}
	out := &Result{Annotations: res.Warnings, Stats: queryStats(query.Stats()), close: query.Close}
	out.fill(res.Value)
	return out, nil
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

// borrowedQueryable shows a store in upstream's shape.
type borrowedQueryable struct{ store storage.Queryable }

func (q *borrowedQueryable) Querier(mint, maxt int64) (upstreamstorage.Querier, error) {
	inner, err := q.store.Querier(mint, maxt)
	if err != nil {
		return nil, upstream.ErrStorage{Err: err}
	}
	return borrowedQuerier{inner}, nil
}

type borrowedQuerier struct{ inner storage.Querier }

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
	return borrowedSeriesSet{q.inner.Select(ctx, ours, ms...)}
}

type borrowedSeriesSet struct{ storage.SeriesSet }

func (s borrowedSeriesSet) At() upstreamstorage.Series { return borrowedSeries{s.SeriesSet.At()} }

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

// upstreamStore shows a store of ours as a whole storage of upstream's, as far
// as upstream's scripts use one: they append by the second appender interface
// and query.
type upstreamStore struct {
	upstreamstorage.Storage // nil: what the scripts do not call
	*borrowedQueryable
	store storage.Store
}

func (s *upstreamStore) Querier(mint, maxt int64) (upstreamstorage.Querier, error) {
	return s.borrowedQueryable.Querier(mint, maxt)
}

func (s *upstreamStore) StartTime() (int64, error) { return 0, nil }
func (s *upstreamStore) Close() error              { return s.store.Close() }

func (s *upstreamStore) AppenderV2(ctx context.Context) upstreamstorage.AppenderV2 {
	return &upstreamAppender{s.store.Appender(ctx)}
}

type upstreamAppender struct{ storage.Appender }

func (a *upstreamAppender) Append(_ upstreamstorage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, _ upstreamstorage.AppendV2Options) (upstreamstorage.SeriesRef, error) {
	var ref storage.SeriesRef
	var err error
	if h == nil && fh == nil {
		ref, err = a.Appender.Append(0, ls, t, v)
	} else {
		ref, err = a.AppendHistogram(0, ls, t, h, fh)
	}
	if err == nil && st != 0 {
		err = a.SetStartTime(ref, t, st)
	}
	return upstreamstorage.SeriesRef(ref), err
}
