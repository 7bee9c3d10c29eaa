package main

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/promql"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
	"github.com/gnomonhq/gnomon/web/api"
)

// testEngine answers over a float series and a histogram series, each with a
// sample every ten seconds for a minute.
func testEngine(t *testing.T) *promql.Engine {
	t.Helper()
	store := storagetest.NewModel(0)
	g, err := store.OpenGroup(storage.GroupOptions{})
	require.NoError(t, err)
	for _, name := range []string{"up", "latency"} {
		_, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, name))
		require.NoError(t, err)
	}
	for i := range int64(7) {
		require.NoError(t, g.AppendRow(&storage.Row{
			T: i * 10_000, Values: []float64{1, 0},
			Histograms: []storage.HistogramSample{{Column: 1, Histogram: tsdbutil.GenerateTestHistogram(i)}},
		}))
	}
	e := promql.New(promql.Options{PerStepStats: true}, store)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

func TestResultsReachTheAPI(t *testing.T) {
	e := apiEngine{testEngine(t)}
	ctx, at := context.Background(), time.UnixMilli(30_000)

	r, err := e.Instant(ctx, "up", at, api.QueryOptions{})
	require.NoError(t, err)
	require.Equal(t, parser.ValueTypeVector, r.Type)
	require.Equal(t, []api.Sample{{Metric: labels.FromStrings(model.MetricNameLabel, "up"), T: 30_000, F: 1}}, r.Vector)
	r.Release()

	r, err = e.Range(ctx, `{__name__=~"up|latency"}`, at, at.Add(20*time.Second), 10*time.Second, api.QueryOptions{PerStepStats: true})
	require.NoError(t, err)
	require.Len(t, r.Matrix, 2)
	points := 0
	for _, s := range r.Matrix {
		points += len(s.Floats) + len(s.Histograms)
		for _, h := range s.Histograms {
			require.NotNil(t, h.H)
		}
	}
	require.Equal(t, 6, points)
	require.Len(t, r.Stats.Samples.TotalQueryablePerStep, 3)
	require.Positive(t, r.Stats.ExecTotal)
	r.Release()

	for expr, kind := range map[string]api.QueryErrorKind{
		"up{":                                api.QueryInvalid,
		`up + on() {__name__=~"up|latency"}`: api.QueryFailed,
	} {
		_, err = e.Instant(ctx, expr, at, api.QueryOptions{})
		var q *api.QueryError
		require.ErrorAs(t, err, &q, expr)
		require.Equal(t, kind, q.Kind, "%s: %v", expr, err)
	}
}

func TestResultsReachTheRules(t *testing.T) {
	query := ruleQuery(testEngine(t))
	ctx, at := context.Background(), time.UnixMilli(30_000)

	v, err := query(ctx, "up", at)
	require.NoError(t, err)
	require.Equal(t, alerting.Vector{{Labels: labels.FromStrings(model.MetricNameLabel, "up"), T: 30_000, V: 1}}, v)

	v, err = query(ctx, "latency", at)
	require.NoError(t, err)
	require.NotNil(t, v[0].H)

	v, err = query(ctx, "1 + 1", at)
	require.NoError(t, err)
	require.Equal(t, alerting.Vector{{T: 30_000, V: 2}}, v)

	_, err = query(ctx, "up[1m]", at)
	require.ErrorIs(t, err, alerting.ErrNotVector)
	_, err = query(ctx, "up{", at)
	require.ErrorIs(t, err, promql.ErrParse)
}
