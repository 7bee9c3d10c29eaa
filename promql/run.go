package promql

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
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
	places  *places
	running runningQueries
	memory  *exec.TotalMemory
	results *resultCache // nil if results are not kept
	parsed  *parsedExpressions

	log struct {
		sync.RWMutex
		to *Log
	}
	// logTrouble says once that queries cannot be logged.
	logTrouble sync.Once
}

// New returns an engine that reads from store. Close it when no query runs any
// more.
func New(opts Options, store storage.Queryable) *Engine {
	opts = opts.withDefaults()
	e := &Engine{opts: opts, store: store, tracker: &tracker{max: opts.MaxConcurrency, logger: opts.Logger}, memory: exec.NewTotalMemory(opts.MaxMemoryTotal)}
	e.results = newResultCache(opts.ResultCacheBytes)
	e.parsed = newParsedExpressions(opts.Parser, maxParsed)
	e.metrics = newMetrics(opts.Registerer, opts.MaxConcurrency, e.memory, e.results, e.parsed)
	e.places = newPlaces(opts.MaxConcurrency, opts.MaxWaiting, e.metrics)
	return e
}

// TrackQueries opens the file in dir that lists the running queries, and says
// in the log which ones were running when the process before died. The file is
// truncated: dir must not be in use by another process. It is called once, before
// the first query that counts.
func (e *Engine) TrackQueries(dir string) error { return e.tracker.open(dir) }

// Close releases the file of running queries and the query log.
func (e *Engine) Close() error {
	e.SetLog(nil)
	return e.tracker.close()
}

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

// run makes a plan of a query, waits for a place and evaluates it. What does not
// parse takes no place and is not logged.
func (e *Engine) run(ctx context.Context, expr string, times plan.Times, opts QueryOptions) (*Result, error) {
	p, err := e.prepare(expr, times)
	if err != nil {
		return nil, err
	}
	return e.runPlan(ctx, p, expr, times, opts)
}

func (e *Engine) runPlan(ctx context.Context, p *plan.Plan, expr string, times plan.Times, opts QueryOptions) (*Result, error) {
	e.metrics.queries.Inc()
	defer e.metrics.queries.Dec()
	var s Stats
	res, err := e.runPlaced(ctx, p, expr, times, opts, &s)
	e.metrics.observe(&s)
	e.logQuery(ctx, expr, times, opts.Origin, &s, err)
	if err != nil {
		return nil, err
	}
	res.Stats = s
	return res, nil
}

// runPlaced waits for a place and evaluates a query. s is filled in also if it
// fails.
func (e *Engine) runPlaced(ctx context.Context, p *plan.Plan, expr string, times plan.Times, opts QueryOptions, s *Stats) (*Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeout(ctx, e.opts.Timeout)
	defer stop()
	q := newRunning(expr, times, opts)
	q.cancel, q.memory = cancel, exec.NewMemory(e.opts.MaxMemory, e.memory)
	defer q.memory.Close()
	e.running.add(q)
	defer e.running.remove(q)

	place, err := e.places.take(ctx, opts.Class)
	s.ExecQueue = time.Since(q.Since)
	e.metrics.waited(opts.Class, s.ExecQueue)
	defer func() { s.ExecTotal = time.Since(q.Since) }()
	if err != nil {
		return nil, evaluationError(ctx, err)
	}
	defer e.places.release(place, opts.Class)
	e.running.placed(q)
	e.tracker.insert(place, expr)
	defer e.tracker.remove(place)
	res, err := e.runCached(ctx, p, expr, times, opts, q.memory, s)
	s.PeakBytes = q.memory.Peak()
	if over := (*exec.OverBudgetError)(nil); errors.As(err, &over) {
		e.metrics.over(over.Total)
	}
	return res, err
}

// runRolled evaluates a query, with rollups where they help. Calls that they
// turn out not to answer are left to samples in a further attempt.
func (e *Engine) runRolled(ctx context.Context, p *plan.Plan, expr string, times plan.Times, opts QueryOptions, memory *exec.Memory, s *Stats) (*Result, error) {
	except := map[int]bool{}
	for {
		store := e.store
		if rollups, ok := e.store.(storage.RollupQueryable); ok {
			if calls := e.rollCalls(rollups, p, e.lookback(opts), except); len(calls) > 0 {
				store = &rolledQueryable{store: e.store, calls: calls, except: except, maxSamples: e.opts.MaxSamples}
			}
		}
		tried := len(except)
		res, err := e.evaluate(ctx, store, p, opts, memory, s)
		if len(except) == tried {
			return res, err
		}
		memory.Restart()
		if p, err = e.prepare(expr, times); err != nil { // rolled calls changed it
			return nil, err
		}
	}
}

// prepare parses an expression and makes a plan of it. The error is a
// *QueryError.
func (e *Engine) prepare(expr string, times plan.Times) (*plan.Plan, error) {
	parsed, err := e.parsed.of(expr)
	if err != nil {
		return nil, &QueryError{Kind: ErrParse, Err: err}
	}
	if t := parsed.Type(); times.Step != 0 && t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
		return nil, &QueryError{Kind: ErrParse, Err: fmt.Errorf("invalid expression type %q for range query, must be Scalar or instant Vector", parser.DocumentedType(t))}
	}
	p, err := plan.Build(parsed, times, plan.Options{TypeLabels: e.opts.TypeAndUnitLabels, AsWritten: e.opts.asWritten})
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

// evaluate runs a plan over a store. The error is a *QueryError. took is filled in
// also if it fails.
func (e *Engine) evaluate(ctx context.Context, store storage.Queryable, p *plan.Plan, opts QueryOptions, memory *exec.Memory, took *Stats) (*Result, error) {
	lookback := e.lookback(opts)
	began := time.Now()
	defer func() { took.EvalTotal = time.Since(began) }()
	i := p.Bounds(lookback)
	querier, err := store.Querier(i.Mint, i.Maxt)
	if err != nil {
		return nil, &QueryError{Kind: ErrStorage, Err: err}
	}
	defer querier.Close()
	prepared := time.Now()
	took.QueryPreparation = prepared.Sub(began)

	counts := stats.NewQuerySamples(e.opts.PerStepStats && opts.PerStepStats)
	out, err := e.execute(ctx, p, querier, lookback, memory, opts.trace, counts)
	evaluated := time.Now()
	took.InnerEval = evaluated.Sub(prepared)
	took.TotalSamples, took.SamplesRead, took.PeakSamples = counts.TotalSamples, counts.SamplesRead, int64(counts.PeakSamples)
	if counts.EnablePerStepStats {
		took.TotalPerStep, took.ReadPerStep = stepCounts(counts, counts.TotalSamplesPerStep), stepCounts(counts, counts.SamplesReadPerStep)
	}
	if err != nil {
		return nil, evaluationError(ctx, err)
	}
	res := e.result(out, p)
	took.ResultSort = time.Since(evaluated)
	return res, nil
}

// execute runs a plan; a panic of the executor costs the query only.
func (e *Engine) execute(ctx context.Context, p *plan.Plan, q storage.Querier, lookback time.Duration, memory *exec.Memory, trace *exec.Trace, counts *stats.QuerySamples) (res *exec.Result, err error) {
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		stack := make([]byte, 64<<10)
		stack = stack[:runtime.Stack(stack, false)]
		if f, elsewhere := fault.(*exec.Fault); elsewhere {
			fault, stack = f.Value, f.Stack
		}
		e.opts.Logger.Error("panic during query evaluation", "err", fault, "stacktrace", string(stack))
		if _, bug := fault.(runtime.Error); bug {
			err = fmt.Errorf("unexpected error: %v", fault)
			return
		}
		err = fmt.Errorf("%v", fault) // the word of a library on what it was given
	}()
	return exec.Run(ctx, p, q, exec.Options{
		Lookback: lookback, MaxSamples: e.opts.MaxSamples, Memory: memory, Workers: e.opts.Workers, SpreadAfter: e.opts.spreadAfter, Trace: trace, SubqueryInterval: e.opts.DefaultSubqueryInterval,
		DelayedNames: e.opts.DelayedNameRemoval, TypeLabels: e.opts.TypeAndUnitLabels, StartTimestamps: e.opts.UseStartTimestamps,
	}, counts)
}

// evaluationError sorts an error of the executor, or of waiting for it.
func evaluationError(ctx context.Context, err error) *QueryError {
	switch {
	case errors.Is(err, errQueueFull):
		return &QueryError{Kind: ErrBusy, Err: err}
	case errors.Is(err, exec.ErrCanceled), errors.Is(err, context.Canceled):
		if cause := context.Cause(ctx); errors.Is(cause, errCanceledOnRequest) {
			err = cause
		}
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
