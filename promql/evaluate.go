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

// evaluate runs a plan. The error is a *QueryError.
func (e *Engine) evaluate(ctx context.Context, p *plan.Plan, opts QueryOptions) (*Result, error) {
	var took Stats
	lookback := e.lookback(opts)
	began := time.Now()
	i := p.Bounds(lookback)
	querier, err := e.store.Querier(i.Mint, i.Maxt)
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
	res := &Result{Type: out.Type, Annotations: out.Annotations}
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
