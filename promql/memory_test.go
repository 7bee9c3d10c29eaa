package promql

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/promql/exec"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// wide has two metrics of n series, each second for a minute.
func wide(t testing.TB, n int) storage.Store {
	store := storagetest.NewModel(0)
	for _, name := range []string{"left", "right"} {
		g, err := store.OpenGroup(storage.GroupOptions{Origin: name})
		require.NoError(t, err)
		row := storage.Row{Values: make([]float64, n)}
		for i := range n {
			row.Values[i] = float64(i)
			_, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, name, "i", fmt.Sprint(i)))
			require.NoError(t, err)
		}
		for i := range 60 {
			row.T = int64(i+1) * 1000
			require.NoError(t, g.AppendRow(&row))
		}
	}
	return store
}

// TestMemoryOfAQuery has 1,000 series and 1,000 steps, 8 MB of values, and a query that may have
// 2 MiB.
func TestMemoryOfAQuery(t *testing.T) {
	store := wide(t, 1000)
	e := newTestEngine(t, store, func(o *Options) { o.MaxMemory, o.MaxSamples, o.Workers = 2<<20, 50_000_000, 1 })
	ctx := context.Background()
	ask := func(e *Engine, expr string) error {
		r, err := e.Range(ctx, expr, time.UnixMilli(1000), time.UnixMilli(60_940), 60*time.Millisecond, QueryOptions{})
		if err == nil {
			r.Close()
		}
		require.Zero(t, e.memory.Used(), "%s gives everything back", expr)
		require.Empty(t, e.Running())
		return err
	}
	free := newTestEngine(t, store, func(o *Options) { o.MaxSamples = 50_000_000 })
	failed := 0
	for _, expr := range []string{
		`left`, `sort(left)`, `left * on (i) right`, `left or right`, `left + ignoring (i) group_left sum(right)`, `topk(999, left)`,
		`count_values by (i) ("v", left)`, `label_replace(left, "j", "$1", "i", "(.*)")`, `sum by (i) (left)`, `quantile(0.5, left)`,
		`histogram_quantile(0.5, label_replace(left, "le", "$1", "i", "(.*)"))`, `last_over_time(left[1m])`, `max_over_time((left + 1)[1m:1s])`,
	} {
		err := ask(e, expr)
		require.ErrorIs(t, err, exec.ErrOverBudget, expr)
		require.ErrorContains(t, err, "may have 2.0 MiB (--query.max-memory)")
		require.Regexp(t, `for \d+ series of (left|right) at position \d+`, err.Error(), expr)
		failed++
		require.NoError(t, ask(free, expr), expr)
	}
	require.EqualValues(t, failed, testutil.ToFloat64(e.metrics.overBudget.WithLabelValues(limitQuery)))
	for _, expr := range []string{`sum(left)`, `avg(left + 1)`, `max(rate(left[1m]))`, `count(left and right)`, `sum(left) / sum(right)`} {
		require.NoError(t, ask(e, expr), "%s does not depend on the series", expr)
	}
}

// TestMemoryOfAChain has operators that collect, one after the other: what one of them is done with
// does not count for the next.
func TestMemoryOfAChain(t *testing.T) {
	e := newTestEngine(t, wide(t, 100), func(o *Options) { o.MaxSamples, o.Workers = 50_000_000, 1 })
	peak := func(expr string) int64 {
		r, err := e.Range(context.Background(), expr, time.UnixMilli(1000), time.UnixMilli(60_940), 60*time.Millisecond, QueryOptions{})
		require.NoError(t, err)
		defer r.Close()
		return r.Stats.PeakBytes
	}
	one := peak(`count(left * on (i) right)`)
	require.Greater(t, one, int64(2*100*8*1000), "both sides")
	require.Less(t, peak(`count(left * on (i) right * on (i) right * on (i) right * on (i) right)`), 2*one)
	require.Less(t, peak(`sum(left)`), one/20)
}

// TestMemoryOfAll has queries that hold what they read: together they may have less than they want.
func TestMemoryOfAll(t *testing.T) {
	blocked := &blockedStore{Queryable: wide(t, 500), entered: make(chan struct{}), release: make(chan struct{})}
	e := newTestEngine(t, blocked, func(o *Options) { o.MaxMemoryTotal, o.MaxSamples = 6<<20, 50_000_000 })
	close(blocked.release)
	ctx := context.Background()
	ask := func() error {
		r, err := e.Range(ctx, `sort(left)`, time.UnixMilli(1000), time.UnixMilli(60_940), 60*time.Millisecond, QueryOptions{})
		if err == nil {
			r.Close()
		}
		return err
	}
	errs := make(chan error)
	go func() { errs <- ask() }()
	<-blocked.entered
	err := <-errs
	require.ErrorIs(t, err, exec.ErrOverBudget)
	require.ErrorContains(t, err, "the 1 queries that run would have 6.")
	require.ErrorContains(t, err, "may have 6.0 MiB together (--query.max-memory-total)")
	require.Equal(t, 1.0, testutil.ToFloat64(e.metrics.overBudget.WithLabelValues(limitTotal)))
	require.Zero(t, e.memory.Used())
}

// brokenStore panics when it is read.
type brokenStore struct{ storage.Queryable }

func (brokenStore) Querier(int64, int64) (storage.Querier, error) { return brokenQuerier{}, nil }

type brokenQuerier struct{ storage.Querier }

func (brokenQuerier) Close() error { return nil }
func (brokenQuerier) Select(context.Context, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
	panic("broken")
}

func TestNothingStaysAfterAPanic(t *testing.T) {
	e := newTestEngine(t, brokenStore{})
	for range 2 * e.opts.MaxConcurrency {
		_, err := e.Instant(context.Background(), "up", time.UnixMilli(1000), QueryOptions{})
		require.ErrorContains(t, err, "broken")
	}
	require.Empty(t, e.Running())
	require.Zero(t, e.memory.Used())
}

// TestRunningQueries lists a query that reads and one that waits, and cancels both.
func TestRunningQueries(t *testing.T) {
	store := &blockedStore{Queryable: fill(t), entered: make(chan struct{}), release: make(chan struct{})}
	e := newTestEngine(t, store, func(o *Options) { o.MaxConcurrency = 1 })
	errs := make(chan error, 2)
	ask := func(expr string, opts QueryOptions) {
		_, err := e.Instant(context.Background(), expr, time.UnixMilli(30_000), opts)
		errs <- err
	}
	go ask("up", QueryOptions{Class: ClassDashboard, Origin: Origin{ClientIP: "127.0.0.1", Method: "GET", Path: "/x"}})
	<-store.entered
	go ask("sum(up)", QueryOptions{})
	require.Eventually(t, func() bool { return len(e.Running()) == 2 }, time.Minute, time.Millisecond)
	list := e.Running()
	require.Equal(t, "up", list[0].Query)
	require.Equal(t, ClassDashboard, list[0].Class)
	require.Equal(t, "/x", list[0].Origin.Path)
	require.False(t, list[0].Waiting)
	require.True(t, list[1].Waiting)

	require.True(t, e.Cancel(list[1].ID))
	err := <-errs
	require.ErrorIs(t, err, ErrCanceled)
	require.EqualError(t, err, "query was canceled on request")
	require.True(t, e.Cancel(list[0].ID))
	close(store.release)
	err = <-errs
	require.ErrorIs(t, err, ErrCanceled)
	require.False(t, e.Cancel(list[0].ID))
	require.False(t, errors.Is(err, ErrTimeout))
}
