package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Plans explains queries.
type Plans interface {
	// Explain returns the plan of a query without running it; step is 0 for an
	// instant at end.
	Explain(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts QueryOptions) (*Explanation, error)
	// Analyze runs the query, and returns its plan with what was measured.
	Analyze(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts QueryOptions) (*Explanation, error)
}

// Explanation is a plan, and what running it came to.
type Explanation struct {
	Steps int       `json:"steps"`
	Plan  *PlanNode `json:"plan"`
	// Result is nil unless the query was run.
	Result *AnalyzedResult `json:"result,omitempty"`
}

// AnalyzedResult is what a query came to as a whole. Times are in seconds.
type AnalyzedResult struct {
	Series      int     `json:"series"`
	Samples     int64   `json:"samples"`
	SamplesRead int64   `json:"samplesRead"`
	PeakBytes   int64   `json:"peakBytes"`
	QueueTime   float64 `json:"queueTime"`
	TotalTime   float64 `json:"totalTime"`
}

// PlanNode is a part of a plan.
type PlanNode struct {
	Kind string `json:"kind"`
	// Expr is the text, from byte Start to End of the query.
	Expr  string `json:"expr"`
	Start int    `json:"start"`
	End   int    `json:"end"`
	// Once says that the value is the same at all steps.
	Once bool `json:"once,omitempty"`
	// Shared says that other places have the same expression, and that it is
	// evaluated, and measured, at the first of them.
	Shared bool `json:"shared,omitempty"`
	// Select is what a selector asks the store for.
	Select   *PlanSelect   `json:"select,omitempty"`
	Measured *PlanMeasured `json:"measured,omitempty"`
	Children []*PlanNode   `json:"children,omitempty"`
}

// PlanSelect is what a selector asks for. Times are in seconds.
type PlanSelect struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
	// Labels are those that are used; null for all.
	Labels []string `json:"labels"`
	// Estimate is about what it finds, by the index.
	Estimate *PlanEstimate `json:"estimate,omitempty"`
}

// PlanEstimate is about what a selector finds.
type PlanEstimate struct {
	Series  int64 `json:"series"`
	Samples int64 `json:"samples"`
	Bytes   int64 `json:"bytes"`
}

// PlanMeasured is what a node came to. Times are in seconds; Own leaves out the
// nodes below, Time and Samples do not.
type PlanMeasured struct {
	Time    float64 `json:"time"`
	Own     float64 `json:"ownTime"`
	Series  int64   `json:"series"`
	Samples int64   `json:"samples"`
	Bytes   int64   `json:"peakBytes"`
}

// explain serves /explain, analyze serves /analyze; Prometheus has neither. With
// start, end and step the query is one of a range, else of the instant time.
func (a *API) explain(r *http.Request) (response, error) { return a.explained(r, Plans.Explain) }

func (a *API) analyze(r *http.Request) (response, error) { return a.explained(r, Plans.Analyze) }

func (a *API) explained(r *http.Request, how func(Plans, context.Context, string, time.Time, time.Time, time.Duration, QueryOptions) (*Explanation, error)) (response, error) {
	if a.opts.Plans == nil {
		return response{}, unavailable("query engine")
	}
	var start, end time.Time
	var step time.Duration
	var err error
	if r.Form.Get("start") != "" || r.Form.Get("end") != "" || r.Form.Get("step") != "" {
		start, end, step, err = stepParams(r)
	} else {
		start, err = timeParam(r, "time", a.opts.Now())
		end = start
	}
	if err != nil {
		return response{}, err
	}
	ctx, cancel, opts, err := queryRequest(r)
	if err != nil {
		return response{}, err
	}
	defer cancel()
	expr := r.Form.Get("query")
	if err := checkExpr(expr); err != nil {
		return response{}, invalidParam("query", err)
	}
	out, err := how(a.opts.Plans, ctx, expr, start, end, step, opts)
	if err != nil {
		return response{}, queryError(err)
	}
	text, err := json.Marshal(out)
	if err != nil {
		return response{}, err
	}
	return response{data: func(e *encoder) { e.raw(string(text)) }}, nil
}
