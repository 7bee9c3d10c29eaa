package promql

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// TestSpreadMakesNoDifference computes by one goroutine and by several: results, annotations and
// statistics are the same.
func TestSpreadMakesNoDifference(t *testing.T) {
	store := wide(t, 300)
	ctx := context.Background()
	for _, expr := range []string{
		`left`, `sum(left)`, `sum(rate(left[30s])) / 3`, `topk(3, deriv(left[20s]))`, `left + ignoring () right`,
		`avg_over_time({__name__=~"left|right"}[10s])`, `quantile_over_time(2, left[10s])`, `count(timestamp(left) > 20)`,
	} {
		var want *Result
		for _, workers := range []int{1, 2, 7} {
			e := newTestEngine(t, store, func(o *Options) {
				o.Workers, o.spreadAfter, o.MaxSamples, o.DelayedNameRemoval = workers, 1, 1_000_000, false
			})
			got, err := e.Range(ctx, expr, time.UnixMilli(1000), time.UnixMilli(60_000), 5*time.Second, QueryOptions{})
			if expr == `avg_over_time({__name__=~"left|right"}[10s])` {
				require.ErrorContains(t, err, "same labelset", workers)
				continue
			}
			require.NoError(t, err, expr)
			if want == nil {
				want = got
				continue
			}
			require.Equal(t, want.Matrix, got.Matrix, expr)
			require.Equal(t, want.Annotations, got.Annotations, expr)
			require.Equal(t, []int64{want.Stats.TotalSamples, want.Stats.SamplesRead, want.Stats.PeakSamples},
				[]int64{got.Stats.TotalSamples, got.Stats.SamplesRead, got.Stats.PeakSamples}, expr)
		}
	}
}

// flawedStore has series whose samples cannot be read.
type flawedStore struct{ storage.Queryable }

func (s flawedStore) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := s.Queryable.Querier(mint, maxt)
	return flawedQuerier{q}, err
}

type flawedQuerier struct{ storage.Querier }

func (q flawedQuerier) Select(ctx context.Context, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	return &flawedSet{SeriesSet: q.Querier.Select(ctx, hints, ms...)}
}

type flawedSet struct {
	storage.SeriesSet
	n int
}

func (s *flawedSet) At() storage.Series {
	if s.n++; s.n > 200 {
		return flawedSeries{s.SeriesSet.At()}
	}
	return s.SeriesSet.At()
}

type flawedSeries struct{ storage.Series }

func (flawedSeries) Batches(storage.BatchIterator) storage.BatchIterator { panic("flawed") }

// TestSpreadEndsWithTheQuery has goroutines that meet a panic, a limit and the end of a query that
// somebody canceled: nothing stays.
func TestSpreadEndsWithTheQuery(t *testing.T) {
	store := wide(t, 300)
	ask := func(ctx context.Context, store storage.Queryable, maxSamples int) error {
		e := newTestEngine(t, store, func(o *Options) { o.Workers, o.spreadAfter, o.MaxSamples = 3, 1, maxSamples })
		r, err := e.Range(ctx, `sum(rate(left[30s]))`, time.UnixMilli(1000), time.UnixMilli(60_000), time.Second, QueryOptions{})
		if err == nil {
			r.Close()
		}
		require.Zero(t, e.memory.Used())
		return err
	}
	require.NoError(t, ask(context.Background(), store, 1_000_000))
	require.ErrorContains(t, ask(context.Background(), flawedStore{store}, 1_000_000), "flawed")
	require.ErrorContains(t, ask(context.Background(), store, 2_000), "too many samples")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, ask(ctx, store, 1_000_000), ErrCanceled)
}
