package api

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// planRoom explains what it is asked.
type planRoom struct {
	asked      string
	start, end time.Time
	step       time.Duration
	err        error
}

func (p *planRoom) Explain(_ context.Context, expr string, start, end time.Time, step time.Duration, _ QueryOptions) (*Explanation, error) {
	p.asked, p.start, p.end, p.step = expr, start, end, step
	return &Explanation{Steps: 3, Plan: &PlanNode{Kind: "selector", Expr: expr, End: 2, Select: &PlanSelect{From: 1.5, To: 2, Estimate: &PlanEstimate{1, 2, 3}}}}, p.err
}

func (p *planRoom) Analyze(ctx context.Context, expr string, start, end time.Time, step time.Duration, o QueryOptions) (*Explanation, error) {
	x, err := p.Explain(ctx, expr, start, end, step, o)
	x.Plan.Measured, x.Result = &PlanMeasured{Time: 0.5, Own: 0.25, Series: 1}, &AnalyzedResult{Series: 1, TotalTime: 0.5}
	return x, err
}

func TestExplain(t *testing.T) {
	room := &planRoom{}
	h := serveMux(New(Options{Plans: room, Now: func() time.Time { return time.Unix(100, 0) }}))
	w := request(h, "GET", "/explain?query=up", "", "")
	require.Equal(t, 200, w.Code)
	require.JSONEq(t, `{"status":"success","data":{"steps":3,"plan":{"kind":"selector","expr":"up","start":0,"end":2,
		"select":{"from":1.5,"to":2,"labels":null,"estimate":{"series":1,"samples":2,"bytes":3}}}}}`, w.Body.String())
	require.Equal(t, time.Unix(100, 0), room.end.UTC().Local())
	require.Zero(t, room.step)
	w = request(h, "POST", "/analyze", form, "query=up&start=10&end=20&step=5")
	require.Equal(t, 200, w.Code)
	var got struct{ Data Explanation }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, 0.25, got.Data.Plan.Measured.Own)
	require.Equal(t, 1, got.Data.Result.Series)
	require.Equal(t, 5*time.Second, room.step)
	for path, status := range map[string]int{"/explain?query=up&start=1": 400, "/analyze?query=up&time=x": 400} {
		require.Equal(t, status, request(h, "GET", path, "", "").Code, path)
	}
	room.err = &QueryError{QueryInvalid, errors.New("no")}
	require.Equal(t, 400, request(h, "GET", "/explain?query=up", "", "").Code)
	require.Equal(t, 422, request(serveMux(New(Options{})), "GET", "/explain?query=up", "", "").Code)
}
