package promql

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

func newTestEngine(t testing.TB, store storage.Queryable, change ...func(*Options)) *Engine {
	opts := scriptOptions()
	for _, c := range change {
		c(&opts)
	}
	e := New(opts, store)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

// fill appends up{i="0"} = 1 and up{i="1"} = 2 each second for a minute.
func fill(t testing.TB) storage.Store {
	store := storagetest.NewModel(0)
	g, err := store.OpenGroup(storage.GroupOptions{})
	require.NoError(t, err)
	for _, i := range []string{"0", "1"} {
		_, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, "up", "i", i))
		require.NoError(t, err)
	}
	for i := range 60 {
		require.NoError(t, g.AppendRow(&storage.Row{T: int64(i+1) * 1000, Values: []float64{1, 2}}))
	}
	return store
}

func TestResults(t *testing.T) {
	e := newTestEngine(t, fill(t))
	ctx, at := context.Background(), time.UnixMilli(30_000)

	r, err := e.Instant(ctx, "up", at, QueryOptions{})
	require.NoError(t, err)
	require.Equal(t, parser.ValueTypeVector, r.Type)
	require.Len(t, r.Vector, 2)
	require.Equal(t, int64(30_000), r.Vector[0].T)
	require.Equal(t, int64(2), r.Stats.TotalSamples)
	r.Close()

	r, err = e.Instant(ctx, "up[10s]", at, QueryOptions{})
	require.NoError(t, err)
	require.Equal(t, parser.ValueTypeMatrix, r.Type)
	require.Len(t, r.Matrix[0].Floats, 10)
	r.Close()

	r, err = e.Instant(ctx, "scalar(sum(up))", at, QueryOptions{})
	require.NoError(t, err)
	require.Equal(t, FloatPoint{T: 30_000, F: 3}, r.Scalar)
	r.Close()

	r, err = e.Instant(ctx, `"text"`, at, QueryOptions{})
	require.NoError(t, err)
	require.Equal(t, StringPoint{T: 30_000, V: "text"}, r.String)
	r.Close()

	r, err = e.Range(ctx, "sum(up)", at, at.Add(20*time.Second), 10*time.Second, QueryOptions{PerStepStats: true})
	require.NoError(t, err)
	require.Equal(t, []FloatPoint{{T: 30_000, F: 3}, {T: 40_000, F: 3}, {T: 50_000, F: 3}}, r.Matrix[0].Floats)
	require.Equal(t, []StepCount{{30_000, 2}, {40_000, 2}, {50_000, 2}}, r.Stats.TotalPerStep)
	r.Close()
}

func TestErrors(t *testing.T) {
	store := fill(t)
	e := newTestEngine(t, store, func(o *Options) { o.MaxSamples = 5 })
	at := time.UnixMilli(30_000)
	kind := func(ctx context.Context, e *Engine, expr string) error {
		_, err := e.Instant(ctx, expr, at, QueryOptions{})
		var q *QueryError
		require.ErrorAs(t, err, &q)
		return q.Kind
	}
	ctx := context.Background()
	require.Equal(t, ErrParse, kind(ctx, e, "up{"))
	require.Equal(t, ErrParse, kind(ctx, e, "rate(up)"))
	require.NoError(t, kind(ctx, e, "up[1m]"), "too many samples is a failed evaluation")

	canceled, cancel := context.WithCancel(ctx)
	cancel()
	require.Equal(t, ErrCanceled, kind(canceled, e, "up"))

	slow := newTestEngine(t, store, func(o *Options) { o.Timeout = time.Nanosecond })
	require.Equal(t, ErrTimeout, kind(ctx, slow, "up"))

	require.NoError(t, store.Close())
	require.Equal(t, ErrStorage, kind(ctx, e, "up"))
}

// blockedStore opens a querier only after it was told to.
type blockedStore struct {
	storage.Queryable
	entered, release chan struct{}
}

func (s *blockedStore) Querier(mint, maxt int64) (storage.Querier, error) {
	s.entered <- struct{}{}
	<-s.release
	return s.Queryable.Querier(mint, maxt)
}

func TestConcurrencyIsBounded(t *testing.T) {
	store := &blockedStore{Queryable: fill(t), entered: make(chan struct{}), release: make(chan struct{})}
	e := newTestEngine(t, store, func(o *Options) { o.MaxConcurrency = 1 })
	require.NoError(t, e.TrackQueries(t.TempDir()))
	first := make(chan error)
	go func() {
		_, err := e.Instant(context.Background(), "up", time.UnixMilli(30_000), QueryOptions{})
		first <- err
	}()
	<-store.entered

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := e.Instant(ctx, "up", time.UnixMilli(30_000), QueryOptions{})
	require.ErrorIs(t, err, ErrCanceled, "the second query waits for its place")

	close(store.release)
	require.NoError(t, <-first)
}

// TestAbsurdSteps asks for more steps than there is memory for.
func TestAbsurdSteps(t *testing.T) {
	e := newTestEngine(t, fill(t))
	ctx := context.Background()
	_, err := e.Range(ctx, "up", time.UnixMilli(0), time.UnixMilli(1<<50), time.Millisecond, QueryOptions{})
	require.ErrorContains(t, err, "too many samples")
	for _, expr := range []string{"max_over_time(up[200y:1ms])", "up[200y:1ms]", "max_over_time((1 + up)[292y:1ms])"} {
		_, err = e.Instant(ctx, expr, time.UnixMilli(1<<42), QueryOptions{})
		require.ErrorContains(t, err, "too many samples", expr)
	}
	_, err = e.Range(ctx, "up", time.UnixMilli(0), time.UnixMilli(1000), time.Microsecond, QueryOptions{})
	require.Error(t, err)
	_, err = e.Range(ctx, "up", time.UnixMilli(0), time.UnixMilli(1000), 0, QueryOptions{})
	require.ErrorIs(t, err, ErrParse)
	r, err := e.Range(ctx, "up", time.UnixMilli(2000), time.UnixMilli(1000), time.Second, QueryOptions{})
	require.NoError(t, err)
	require.Empty(t, r.Matrix)
	r.Close()
}

// TestSharedExpressions is counted, and explained, as if each place were evaluated.
func TestSharedExpressions(t *testing.T) {
	store := randomData(t, rand.New(rand.NewPCG(5, 11)))
	shared := newTestEngine(t, store, func(o *Options) { o.PerStepStats = true })
	literal := newTestEngine(t, store, func(o *Options) { o.PerStepStats, o.asWritten = true, true })
	start, end := time.UnixMilli(dataEnd-1_200_000), time.UnixMilli(dataEnd)
	for _, expr := range []string{
		`sum by (job) (requests_total) / (sum by (job) (requests_total) + 1)`,
		`sum(rate(requests_total[5m])) / (1 + sum(rate(requests_total[5m])) * sum(rate(requests_total[5m])))`,
		`sum by (job) (mixed) or sum by (job) (mixed) or sum by (job) (load)`, // has annotations
		`scalar(sum(load)) + scalar(sum(load))`,
		`(sum(load) + 1) / ((sum(load) + 1) * sum(load))`,
		`avg by (job) (native) - avg by (job) (native)`,
	} {
		for _, stepStats := range []bool{false, true} {
			opts := QueryOptions{PerStepStats: stepStats}
			got, err := shared.Range(context.Background(), expr, start, end, 30*time.Second, opts)
			require.NoError(t, err, expr)
			want, err := literal.Range(context.Background(), expr, start, end, 30*time.Second, opts)
			require.NoError(t, err, expr)
			require.NotEmpty(t, want.Matrix, expr)
			d := &differential{expr: expr}
			require.Empty(t, newAnswer(d, got).difference(newAnswer(d, want), 0), expr)
			for _, s := range []*Stats{&got.Stats, &want.Stats} {
				*s = Stats{TotalSamples: s.TotalSamples, SamplesRead: s.SamplesRead, PeakSamples: s.PeakSamples, TotalPerStep: s.TotalPerStep, ReadPerStep: s.ReadPerStep}
			}
			require.Equal(t, want.Stats, got.Stats, expr)
			got.Close()
			want.Close()
		}
		require.Zero(t, shared.memory.Used())
	}
	x, err := shared.Explain(context.Background(), `sum(load) / sum(load)`, start, end, time.Minute, QueryOptions{})
	require.NoError(t, err)
	require.True(t, x.Plan.Children[0].Shared)
	require.True(t, x.Plan.Children[1].Shared)
}
