package promql

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/promql/plan"
)

func TestExplain(t *testing.T) {
	store := randomData(t, rand.New(rand.NewPCG(5, 11)))
	e := New(Options{}, store)
	ctx := context.Background()
	end := time.UnixMilli(dataEnd)
	expr := `sum by (job) (rate(requests_total[5m])) / scalar(sum(limit offset 1m)) > 2 + max_over_time(load[10m:1m] @ 3600)`
	x, err := e.Explain(ctx, expr, end.Add(-10*time.Minute), end, time.Minute, QueryOptions{})
	require.NoError(t, err)
	require.Equal(t, 11, x.Steps)
	require.Nil(t, x.Stats)
	require.Equal(t, "binary >", x.Plan.Kind)
	require.Equal(t, expr, x.Plan.Expr)
	kinds := map[string]*PlanNode{}
	var walk func(n *PlanNode)
	walk = func(n *PlanNode) {
		kinds[n.Expr] = n
		require.Nil(t, n.Measured)
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(x.Plan)
	window := kinds["requests_total[5m]"]
	require.Equal(t, "window", window.Kind)
	require.Equal(t, []string{"job", "__name__"}, window.Labels)
	require.Equal(t, dataEnd-15*60_000+1, window.Mint)
	require.Equal(t, dataEnd, window.Maxt)
	require.Positive(t, window.Estimate.Series)
	require.Positive(t, window.Estimate.Samples)
	require.Positive(t, window.Estimate.Bytes)
	require.Equal(t, "selector", kinds["limit offset 1m"].Kind)
	require.Equal(t, dataEnd-60_000, kinds["limit offset 1m"].Maxt)
	require.True(t, kinds["2 + max_over_time(load[10m:1m] @ 3600)"].Once, "the same at all steps")
	require.Equal(t, "subquery", kinds["load[10m:1m] @ 3600"].Kind)
	require.Equal(t, int64(3_600_000), kinds["load"].Maxt, "the subquery is evaluated then")

	_, err = e.Explain(ctx, "sum(", end, end, 0, QueryOptions{})
	require.ErrorIs(t, err, ErrParse)
}

// TestAnalyze has measured what was computed: a result that is the same with and without.
func TestAnalyze(t *testing.T) {
	e := New(Options{}, randomData(t, rand.New(rand.NewPCG(5, 11))))
	ctx := context.Background()
	end := time.UnixMilli(dataEnd)
	for _, expr := range []string{`sum by (job) (rate(requests_total[5m])) > 0`, `topk(1, load) or limit`, `histogram_quantile(0.5, latency_bucket)`, `max_over_time(rate(requests_total[1m])[10m:30s])`} {
		r, err := e.Range(ctx, expr, end.Add(-10*time.Minute), end, time.Minute, QueryOptions{})
		require.NoError(t, err)
		x, err := e.Analyze(ctx, expr, end.Add(-10*time.Minute), end, time.Minute, QueryOptions{})
		require.NoError(t, err)
		require.Equal(t, len(r.Matrix), x.Series, expr)
		require.Equal(t, r.Stats.TotalSamples, x.Stats.TotalSamples, expr)
		root := x.Plan
		require.NotNil(t, root.Measured, expr)
		require.EqualValues(t, x.Series, root.Measured.Series, expr)
		require.Positive(t, root.Measured.Time, expr)
		require.LessOrEqual(t, root.Measured.Time, x.Stats.ExecTotal, expr)
		for _, c := range root.Children {
			if c.Measured != nil {
				require.LessOrEqual(t, c.Measured.Time, root.Measured.Time, expr)
			}
		}
		r.Close()
	}
}

func TestStepsOfTimes(t *testing.T) {
	at := time.UnixMilli(1000)
	require.Equal(t, 1, plan.Times{Start: at, End: at}.Steps())
	require.Equal(t, 3, plan.Times{Start: at, End: at.Add(29 * time.Second), Step: 10 * time.Second}.Steps())
	require.Zero(t, plan.Times{Start: at, End: at.Add(-1), Step: time.Second}.Steps())
}
