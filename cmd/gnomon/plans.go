package main

import (
	"context"
	"time"

	"github.com/gnomonhq/gnomon/promql"
	"github.com/gnomonhq/gnomon/web/api"
)

// apiPlans shows the plans of queries to the HTTP API.
type apiPlans struct{ engine *promql.Engine }

func (p apiPlans) Explain(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts api.QueryOptions) (*api.Explanation, error) {
	return apiExplanation(p.engine.Explain(ctx, expr, start, end, step, queryOptions(opts)))
}

func (p apiPlans) Analyze(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts api.QueryOptions) (*api.Explanation, error) {
	return apiExplanation(p.engine.Analyze(ctx, expr, start, end, step, queryOptions(opts)))
}

func apiExplanation(x *promql.Explanation, err error) (*api.Explanation, error) {
	if err != nil {
		return nil, apiQueryError(err)
	}
	out := &api.Explanation{Steps: x.Steps, Plan: apiPlanNode(x.Plan)}
	if s := x.Stats; s != nil {
		out.Result = &api.AnalyzedResult{
			Series: x.Series, Samples: s.TotalSamples, SamplesRead: s.SamplesRead, PeakBytes: s.PeakBytes,
			QueueTime: s.ExecQueue.Seconds(), TotalTime: s.ExecTotal.Seconds(),
		}
	}
	return out, nil
}

func apiPlanNode(n *promql.PlanNode) *api.PlanNode {
	out := &api.PlanNode{Kind: n.Kind, Expr: n.Expr, Start: n.Start, End: n.End, Once: n.Once, Shared: n.Shared}
	if n.Kind == "selector" || n.Kind == "window" {
		out.Select = &api.PlanSelect{From: float64(n.Mint) / 1000, To: float64(n.Maxt) / 1000, Labels: n.Labels}
		if e := n.Estimate; e != nil {
			out.Select.Estimate = &api.PlanEstimate{Series: e.Series, Samples: e.Samples, Bytes: e.Bytes}
		}
	}
	own := time.Duration(0)
	if n.Measured != nil {
		own = n.Measured.Time
	}
	for _, c := range n.Children {
		out.Children = append(out.Children, apiPlanNode(c))
		if c.Measured != nil {
			own -= c.Measured.Time
		}
	}
	if m := n.Measured; m != nil {
		out.Measured = &api.PlanMeasured{
			Time: m.Time.Seconds(), Own: max(own, 0).Seconds(), Series: m.Series, Samples: m.Samples, Bytes: m.Bytes,
		}
	}
	return out
}
