package main

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/promql"
	"github.com/gnomonhq/gnomon/web/api"
)

// apiEngine shows the query engine to the HTTP API.
type apiEngine struct{ engine *promql.Engine }

func (e apiEngine) Instant(ctx context.Context, expr string, t time.Time, opts api.QueryOptions) (*api.Result, error) {
	return apiResult(e.engine.Instant(ctx, expr, t, queryOptions(opts)))
}

func (e apiEngine) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts api.QueryOptions) (*api.Result, error) {
	return apiResult(e.engine.Range(ctx, expr, start, end, step, queryOptions(opts)))
}

func queryOptions(opts api.QueryOptions) promql.QueryOptions {
	out := promql.QueryOptions{
		LookbackDelta: opts.LookbackDelta, PerStepStats: opts.PerStepStats, NoCache: opts.NoCache,
		Origin: promql.Origin{ClientIP: opts.Origin.ClientIP, Method: opts.Origin.Method, Path: opts.Origin.Path},
	}
	if opts.Dashboard {
		out.Class = promql.ClassDashboard
	}
	return out
}

// apiQueries shows the running queries to the HTTP API.
type apiQueries struct{ engine *promql.Engine }

func (q apiQueries) Running() []api.RunningQuery {
	running := q.engine.Running()
	out := make([]api.RunningQuery, len(running))
	for i, r := range running {
		out[i] = api.RunningQuery{
			ID: r.ID, Query: r.Query, Start: r.Start, End: r.End, Step: r.Step, Class: r.Class.String(), Waiting: r.Waiting, Since: r.Since,
			Series: r.Series, Bytes: r.Bytes, Origin: api.Origin{ClientIP: r.Origin.ClientIP, Method: r.Origin.Method, Path: r.Origin.Path},
			RuleGroup: r.Origin.RuleGroup, RuleFile: r.Origin.RuleFile,
		}
	}
	return out
}

func (q apiQueries) Cancel(id uint64) bool { return q.engine.Cancel(id) }

func apiResult(r *promql.Result, err error) (*api.Result, error) {
	if err != nil {
		return nil, apiQueryError(err)
	}
	out := &api.Result{
		Type: r.Type, Annotations: r.Annotations, Stats: apiStats(&r.Stats), Release: r.Close,
		Scalar: r.Scalar, String: api.StringPoint(r.String),
	}
	if len(r.Vector) > 0 {
		out.Vector = make([]api.Sample, len(r.Vector))
	}
	for i, s := range r.Vector {
		out.Vector[i] = api.Sample(s)
	}
	if len(r.Matrix) > 0 {
		out.Matrix = make([]api.Series, len(r.Matrix))
	}
	for i, s := range r.Matrix {
		out.Matrix[i] = api.Series(s)
	}
	return out, nil
}

func apiStats(s *promql.Stats) *api.QueryStats {
	return &api.QueryStats{
		EvalTotal: s.EvalTotal, ResultSort: s.ResultSort, QueryPreparation: s.QueryPreparation,
		InnerEval: s.InnerEval, ExecQueue: s.ExecQueue, ExecTotal: s.ExecTotal,
		Samples: &api.SampleStats{
			TotalQueryable: s.TotalSamples, Read: s.SamplesRead, Peak: s.PeakSamples,
			TotalQueryablePerStep: stepStats(s.TotalPerStep), ReadPerStep: stepStats(s.ReadPerStep),
		},
	}
}

func stepStats(counts []promql.StepCount) []api.StepStat {
	if counts == nil {
		return nil
	}
	out := make([]api.StepStat, len(counts))
	for i, c := range counts {
		out[i] = api.StepStat{T: c.T, V: c.N}
	}
	return out
}

// apiQueryError sorts an error of the engine into what the API makes of it.
func apiQueryError(err error) *api.QueryError {
	for _, kind := range []struct {
		ours error
		api  api.QueryErrorKind
	}{
		{promql.ErrParse, api.QueryInvalid},
		{promql.ErrTimeout, api.QueryTimedOut},
		{promql.ErrCanceled, api.QueryCanceled},
		{promql.ErrStorage, api.QueryStorageFailed},
		{promql.ErrBusy, api.QueryRefused},
	} {
		if errors.Is(err, kind.ours) {
			return &api.QueryError{Kind: kind.api, Err: err}
		}
	}
	return &api.QueryError{Kind: api.QueryFailed, Err: err}
}

// ruleQuery answers the expressions of rules with the engine.
func ruleQuery(engine *promql.Engine) alerting.QueryFunc {
	return func(ctx context.Context, expr string, t time.Time) (alerting.Vector, error) {
		opts := promql.QueryOptions{Class: promql.ClassRule}
		if o, ok := alerting.OriginOf(ctx); ok {
			opts.Origin = promql.Origin{RuleFile: o.File, RuleGroup: o.Group}
		}
		r, err := engine.Instant(ctx, expr, t, opts)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		switch r.Type {
		case parser.ValueTypeScalar:
			return alerting.Vector{{T: r.Scalar.T, V: r.Scalar.F}}, nil
		case parser.ValueTypeVector:
			out := make(alerting.Vector, len(r.Vector))
			for i, s := range r.Vector {
				out[i] = alerting.Sample{Labels: s.Metric, T: s.T, V: s.F, H: s.H}
			}
			return out, nil
		default:
			return nil, alerting.ErrNotVector
		}
	}
}
