package promql

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/gnomonhq/gnomon/promql/exec"
	"github.com/gnomonhq/gnomon/promql/plan"
	"github.com/gnomonhq/gnomon/storage"
)

// Engine evaluates PromQL over a store. It can be used by any number of
// goroutines.
type Engine struct {
	opts    Options
	store   storage.Queryable
	metrics *metrics
	tracker *tracker
}

// New returns an engine that reads from store. Close it when no query runs any
// more.
func New(opts Options, store storage.Queryable) *Engine {
	opts = opts.withDefaults()
	return &Engine{
		opts: opts, store: store, metrics: newMetrics(opts.Registerer, opts.MaxConcurrency),
		tracker: &tracker{max: opts.MaxConcurrency, logger: opts.Logger},
	}
}

// TrackQueries opens the file in dir that lists the running queries, and says
// in the log which ones were running when the process before died. From then on
// Options.MaxConcurrency holds. The file is truncated: dir must not be in use
// by another process. It is called once, before the first query that counts.
func (e *Engine) TrackQueries(dir string) error { return e.tracker.open(dir) }

// Close releases the file of running queries.
func (e *Engine) Close() error { return e.tracker.close() }

// Instant evaluates expr at t. The error is a *QueryError. The result must be
// closed.
func (e *Engine) Instant(ctx context.Context, expr string, t time.Time, opts QueryOptions) (*Result, error) {
	return e.run(ctx, expr, plan.Times{Start: t, End: t}, opts)
}

// Range evaluates expr at start, start+step and so on up to end. The error is a
// *QueryError. The result must be closed.
func (e *Engine) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts QueryOptions) (*Result, error) {
	if step <= 0 {
		return nil, &QueryError{Kind: ErrParse, Err: fmt.Errorf("the step of a range query must be positive, not %s", step)}
	}
	return e.run(ctx, expr, plan.Times{Start: start, End: end, Step: step}, opts)
}

// run waits for a place and evaluates a query.
func (e *Engine) run(ctx context.Context, expr string, times plan.Times, opts QueryOptions) (*Result, error) {
	e.metrics.queries.Inc()
	defer e.metrics.queries.Dec()
	ctx, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	began := time.Now()
	place, err := e.tracker.insert(ctx, expr)
	if err != nil {
		return nil, evaluationError(err)
	}
	defer e.tracker.remove(place)
	queued := time.Since(began)

	res, err := e.runRolled(ctx, expr, times, opts)
	if err != nil {
		return nil, err
	}
	res.Stats.ExecQueue = queued
	e.metrics.observe(&res.Stats)
	return res, nil
}

// runRolled evaluates a query, with rollups where they help. Calls that they
// turn out not to answer are left to samples in a further attempt.
func (e *Engine) runRolled(ctx context.Context, expr string, times plan.Times, opts QueryOptions) (*Result, error) {
	except := map[int]bool{}
	for {
		p, err := e.prepare(expr, times)
		if err != nil {
			return nil, err
		}
		store := e.store
		if rollups, ok := e.store.(storage.RollupQueryable); ok {
			if calls := e.rollCalls(rollups, p, e.lookback(opts), except); len(calls) > 0 {
				store = &rolledQueryable{store: e.store, calls: calls, except: except, maxSamples: e.opts.MaxSamples}
			}
		}
		tried := len(except)
		res, err := e.evaluate(ctx, store, p, opts)
		if len(except) > tried {
			continue
		}
		return res, err
	}
}

// prepare parses an expression and makes a plan of it. The error is a
// *QueryError.
func (e *Engine) prepare(expr string, times plan.Times) (*plan.Plan, error) {
	parsed, err := e.opts.Parser.ParseExpr(expr)
	if err != nil {
		return nil, &QueryError{Kind: ErrParse, Err: err}
	}
	if t := parsed.Type(); times.Step != 0 && t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
		return nil, &QueryError{Kind: ErrParse, Err: fmt.Errorf("invalid expression type %q for range query, must be Scalar or instant Vector", parser.DocumentedType(t))}
	}
	p, err := plan.Build(parsed, times)
	if err != nil {
		return nil, &QueryError{Kind: ErrParse, Err: err}
	}
	return p, nil
}

// lookback returns the lookback delta of a query.
func (e *Engine) lookback(opts QueryOptions) time.Duration {
	if opts.LookbackDelta > 0 {
		return opts.LookbackDelta
	}
	return e.opts.LookbackDelta
}

// evaluate runs a plan over a store. The error is a *QueryError.
func (e *Engine) evaluate(ctx context.Context, store storage.Queryable, p *plan.Plan, opts QueryOptions) (*Result, error) {
	var took Stats
	lookback := e.lookback(opts)
	began := time.Now()
	i := p.Bounds(lookback)
	querier, err := store.Querier(i.Mint, i.Maxt)
	if err != nil {
		return nil, &QueryError{Kind: ErrStorage, Err: err}
	}
	defer querier.Close()
	prepared := time.Now()
	took.QueryPreparation = prepared.Sub(began)

	counts := stats.NewQuerySamples(e.opts.PerStepStats && opts.PerStepStats)
	out, err := e.execute(ctx, p, querier, lookback, counts)
	evaluated := time.Now()
	took.InnerEval = evaluated.Sub(prepared)
	if err != nil {
		return nil, evaluationError(err)
	}
	res := e.result(out, p)
	sorted := time.Now()
	took.ResultSort, took.EvalTotal, took.ExecTotal = sorted.Sub(evaluated), sorted.Sub(began), sorted.Sub(began)
	took.TotalSamples, took.SamplesRead, took.PeakSamples = counts.TotalSamples, counts.SamplesRead, int64(counts.PeakSamples)
	if counts.EnablePerStepStats {
		took.TotalPerStep, took.ReadPerStep = stepCounts(counts, counts.TotalSamplesPerStep), stepCounts(counts, counts.SamplesReadPerStep)
	}
	res.Stats = took
	return res, nil
}

// execute runs a plan; a panic of the executor costs the query only.
func (e *Engine) execute(ctx context.Context, p *plan.Plan, q storage.Querier, lookback time.Duration, counts *stats.QuerySamples) (res *exec.Result, err error) {
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		stack := make([]byte, 64<<10)
		stack = stack[:runtime.Stack(stack, false)]
		e.opts.Logger.Error("runtime panic during query evaluation", "err", fault, "stacktrace", string(stack))
		err = fmt.Errorf("unexpected error: %v", fault)
	}()
	return exec.Run(ctx, p, q, exec.Options{
		Lookback: lookback, MaxSamples: e.opts.MaxSamples, SubqueryInterval: e.opts.DefaultSubqueryInterval,
		DelayedNames: e.opts.DelayedNameRemoval, TypeLabels: e.opts.TypeAndUnitLabels, StartTimestamps: e.opts.UseStartTimestamps,
	}, counts)
}

// evaluationError sorts an error of the executor.
func evaluationError(err error) *QueryError {
	switch {
	case errors.Is(err, exec.ErrCanceled), errors.Is(err, context.Canceled):
		return &QueryError{Kind: ErrCanceled, Err: err}
	case errors.Is(err, exec.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return &QueryError{Kind: ErrTimeout, Err: err}
	}
	return &QueryError{Err: err}
}

// result puts a result into the shape of the query: an instant has a vector, the
// series of a range are in the order of their labels.
func (e *Engine) result(out *exec.Result, p *plan.Plan) *Result {
	res := &Result{Type: out.Type, Annotations: out.Annotations, close: out.Close}
	at := p.Times.Start.UnixMilli()
	instant := p.Times.Step == 0
	switch {
	case out.Type == parser.ValueTypeString:
		res.String = StringPoint{T: at, V: out.Text}
	case out.Type == parser.ValueTypeScalar && instant:
		res.Scalar = FloatPoint{T: at, F: out.Scalar}
	case out.Type == parser.ValueTypeVector && instant:
		res.Vector = make([]Sample, len(out.Series))
		for i := range out.Series {
			res.Vector[i] = sampleOf(&out.Series[i], at)
		}
	default:
		res.Type = parser.ValueTypeMatrix
		exec.SortSeries(out.Series)
		res.Matrix = out.Series
		if res.Matrix == nil {
			res.Matrix = []Series{}
		}
	}
	return res
}

// sampleOf returns the only point of a series, at the time of the query.
func sampleOf(s *Series, at int64) Sample {
	if len(s.Histograms) > 0 {
		return Sample{Metric: s.Metric, T: at, H: s.Histograms[0].H}
	}
	return Sample{Metric: s.Metric, T: at, F: s.Floats[0].F}
}

func stepCounts(q *stats.QuerySamples, counts []int64) []StepCount {
	out := make([]StepCount, len(counts))
	for i, n := range counts {
		out[i] = StepCount{T: q.StartTimestamp + int64(i)*q.Interval, N: n}
	}
	return out
}
