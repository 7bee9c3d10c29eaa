package promql

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gnomonhq/gnomon/promql/exec"
	"github.com/gnomonhq/gnomon/promql/plan"
	"github.com/gnomonhq/gnomon/storage"
)

// PlanNode is a part of a plan that is explained.
type PlanNode struct {
	// Kind is number, string, selector, window, subquery, call, aggregation, binary
	// or negation, and Expr the text in the query.
	Kind, Expr string
	// Start and End are the bytes of Expr in the query.
	Start, End int
	// Once says that it has the same value at all steps and is evaluated once.
	Once bool
	// Shared says that other places have the same expression, which is evaluated at
	// the first of them: it is measured there only.
	Shared bool
	// Mint and Maxt are the time range of which a selector needs samples,
	// milliseconds, Labels the labels of the series that are used, nil for all, and
	// Estimate about what it finds, nil if the store cannot tell.
	Mint, Maxt int64
	Labels     []string
	Estimate   *storage.Estimate
	// Measured is nil unless the query was run, and for scalars.
	Measured *exec.Measured
	Children []*PlanNode
}

// Explanation is a plan, and what running it came to.
type Explanation struct {
	Plan  *PlanNode
	Steps int
	// Stats is nil unless the query was run; Series counts those of its result.
	Stats  *Stats
	Series int
}

// Explain returns the plan of a range query, or of an instant if step is 0, without
// running it. The error is a *QueryError.
func (e *Engine) Explain(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts QueryOptions) (*Explanation, error) {
	times := plan.Times{Start: start, End: end, Step: step}
	p, err := e.prepare(expr, times)
	if err != nil {
		return nil, err
	}
	return e.explain(ctx, expr, p, opts)
}

// Analyze runs a query and returns its plan with what was measured, in place of the
// result. The error is a *QueryError.
func (e *Engine) Analyze(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts QueryOptions) (*Explanation, error) {
	times := plan.Times{Start: start, End: end, Step: step}
	p, err := e.prepare(expr, times)
	if err != nil {
		return nil, err
	}
	out, err := e.explain(ctx, expr, p, opts)
	if err != nil {
		return nil, err
	}
	opts.trace = &exec.Trace{}
	res, err := e.runPlan(ctx, p, expr, times, opts)
	if err != nil {
		return nil, err
	}
	out.Stats, out.Series = &res.Stats, len(res.Vector)+len(res.Matrix)
	res.Close()
	out.measure(p.Root, out.Plan, opts.trace)
	return out, nil
}

func (e *Engine) explain(ctx context.Context, expr string, p *plan.Plan, opts QueryOptions) (*Explanation, error) {
	lookback := e.lookback(opts)
	bounds := p.Bounds(lookback)
	querier, err := e.store.Querier(bounds.Mint, bounds.Maxt)
	if err != nil {
		return nil, &QueryError{Kind: ErrStorage, Err: err}
	}
	defer querier.Close()
	x := explainer{ctx: ctx, expr: expr, intervals: p.Intervals(lookback)}
	x.estimator, _ = querier.(storage.Estimator)
	out := &Explanation{Steps: p.Times.Steps()}
	if out.Plan, err = x.node(p.Root); err != nil {
		return nil, evaluationError(ctx, err)
	}
	return out, nil
}

// explainer describes the nodes of a plan.
type explainer struct {
	ctx       context.Context // of the request
	expr      string
	estimator storage.Estimator
	intervals map[*plan.Selector]plan.Interval
}

func (x *explainer) node(n plan.Node) (*PlanNode, error) {
	switch n := n.(type) {
	case *plan.Invariant:
		out, err := x.node(n.Expr)
		if out != nil {
			out.Once = true
		}
		return out, err
	case *plan.Shared:
		out, err := x.node(n.Expr)
		if out != nil {
			out.Shared = true
		}
		return out, err
	}
	pos := n.Position()
	out := &PlanNode{Kind: kindOf(n), Start: int(pos.Start), End: int(pos.End)}
	if 0 <= out.Start && out.Start <= out.End && out.End <= len(x.expr) {
		out.Expr = x.expr[out.Start:out.End]
	}
	switch n := n.(type) {
	case *plan.Selector:
		return out, x.selector(out, n)
	case *plan.Window:
		return out, x.selector(out, n.Selector)
	}
	for _, c := range plan.Children(n) {
		child, err := x.node(c)
		if err != nil {
			return nil, err
		}
		out.Children = append(out.Children, child)
	}
	return out, nil
}

func (x *explainer) selector(out *PlanNode, n *plan.Selector) error {
	i := x.intervals[n]
	out.Mint, out.Maxt, out.Labels = i.Mint, i.Maxt, n.Labels
	if x.estimator == nil {
		return nil
	}
	found, err := x.estimator.Estimate(x.ctx, i.Mint, i.Maxt, n.Matchers...)
	if err != nil {
		return fmt.Errorf("estimate %s: %w", n, err)
	}
	out.Estimate = &found
	return nil
}

// kindOf returns the name of a kind of node.
func kindOf(n plan.Node) string {
	switch n := n.(type) {
	case *plan.Number:
		return "number"
	case *plan.Text:
		return "string"
	case *plan.Selector:
		return "selector"
	case *plan.Window:
		return "window"
	case *plan.Subquery:
		return "subquery"
	case *plan.Call:
		return "call"
	case *plan.Aggregate:
		return "aggregation " + parser.ItemTypeStr[n.Op]
	case *plan.Binary:
		return "binary " + parser.ItemTypeStr[n.Op]
	case *plan.Negate:
		return "negation"
	}
	return fmt.Sprintf("%T", n)
}

// measure adds what was measured to a description of the same plan.
func (x *Explanation) measure(n plan.Node, out *PlanNode, trace *exec.Trace) {
	switch n := n.(type) {
	case *plan.Invariant:
		x.measure(n.Expr, out, trace)
		return
	case *plan.Shared:
		x.measure(n.Expr, out, trace)
		return
	}
	out.Measured = trace.Of(n)
	for i, c := range plan.Children(n) {
		if i < len(out.Children) {
			x.measure(c, out.Children[i], trace)
		}
	}
}
