package promql

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/promql/exec"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb"
)

// TestCachedAnswersAreCurrent asks dashboards of random queries again and again while
// samples come, some of them late, and others are deleted: what the cache answers
// is what an evaluation of all steps does, to the bit but for the order of sums.
func TestCachedAnswersAreCurrent(t *testing.T) {
	hits, asked := 0.0, 0
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		r := rand.New(rand.NewPCG(seed, 23))
		db, err := tsdb.Open(context.Background(), "data", tsdb.Options{
			FS: vfs.NewMem(), MaintenanceInterval: -1, WALSync: tsdb.WALSync{Never: true},
			Reloadable: tsdb.Reloadable{Retention: -1, OutOfOrderWindow: time.Hour},
		})
		require.NoError(t, err)
		opts := randomOptions(r)
		opts.ResultCacheBytes = 1 << 20
		e := newTestEngine(t, db, func(o *Options) { *o = opts })
		q := newQueryMaker(r)
		var dashboard []string
		for range 10 {
			dashboard = append(dashboard, q.expression())
		}
		dashboard = append(dashboard, "sum by (job) (rate(requests_total[5m]))", "temperature", "native", "latency_bucket offset -1m")
		step := time.Duration([]int{10, 15, 60}[r.IntN(3)]) * time.Second
		late := randomSamples(r)
		for at := 0; at < len(late.samples); {
			late.move(db, &at, dataStart+r.Int64N(120_000))
			if r.IntN(10) == 0 {
				from := dataStart + r.Int64N(3_600_000)
				m := labels.MustNewMatcher(labels.MatchEqual, "job", []string{"a", "b"}[r.IntN(2)])
				require.NoError(t, db.Delete(context.Background(), from, from+r.Int64N(100_000), m))
			}
			end := time.UnixMilli(late.now).Truncate(step)
			for _, expr := range dashboard {
				d := &differential{expr: expr, start: end.Add(-20 * time.Minute), end: end, step: step}
				if r.IntN(10) == 0 { // another stretch
					d.start = d.start.Add(time.Duration(r.IntN(60)-50) * step)
				}
				asked++
				cached, want := d.ask(e), d.ask(uncached{e})
				if strings.HasPrefix(want.err, exec.ErrTooManySamples.Error()) {
					continue // a limit is for what is evaluated
				}
				what := cached.difference(want, rounding)
				require.Empty(t, what, "seed %d: %s", seed, d)
			}
		}
		require.LessOrEqual(t, e.results.held(), opts.ResultCacheBytes)
		hits += testutil.ToFloat64(e.metrics.cacheUse.WithLabelValues(cacheHit))
		require.NoError(t, db.Close())
	}
	t.Logf("the cache had steps of %g of %d answers", hits, asked)
	require.Greater(t, hits, 0.1*float64(asked))
}

// uncached is an engine that evaluates all steps.
type uncached struct{ *Engine }

func (e uncached) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts QueryOptions) (*Result, error) {
	opts.NoCache = true
	return e.Engine.Range(ctx, expr, start, end, step, opts)
}

// comingSamples are random samples in the order in which they come.
type comingSamples struct {
	storage.Appender
	samples []comingSample
	now     int64
}

type comingSample struct {
	ls     labels.Labels
	t, due int64
	f      float64
	h      *histogram.FloatHistogram
}

func randomSamples(r *rand.Rand) *comingSamples {
	c := &comingSamples{}
	w := &dataWriter{r: r, app: c, interval: 15_000}
	for _, m := range randomMetrics {
		names := m.labels
		if m.kind == 'b' {
			names = append(names[:len(names):len(names)], "le")
		}
		w.eachSeries(m, names, labels.NewBuilder(labels.FromStrings("__name__", m.name)))
	}
	for i := range c.samples {
		if s := &c.samples[i]; r.IntN(300) == 0 {
			s.due += r.Int64N(1_200_000)
		}
	}
	slices.SortStableFunc(c.samples, func(a, b comingSample) int { return cmp.Compare(a.due, b.due) })
	return c
}

// Append notes a sample.
func (c *comingSamples) Append(_ storage.SeriesRef, ls labels.Labels, t int64, f float64) (storage.SeriesRef, error) {
	c.samples = append(c.samples, comingSample{ls: ls, t: t, due: t, f: f})
	return 0, nil
}

// AppendHistogram notes a sample.
func (c *comingSamples) AppendHistogram(_ storage.SeriesRef, ls labels.Labels, t int64, _ *histogram.Histogram, h *histogram.FloatHistogram) (storage.SeriesRef, error) {
	c.samples = append(c.samples, comingSample{ls: ls, t: t, due: t, h: h})
	return 0, nil
}

// SetStartTime forgets a start timestamp.
func (c *comingSamples) SetStartTime(storage.SeriesRef, int64, int64) error { return nil }

// move appends the samples of some time more, from number at on.
func (c *comingSamples) move(db *tsdb.DB, at *int, more int64) {
	c.now = max(c.now, dataStart) + more - dataStart
	app := db.Appender(context.Background())
	w := &dataWriter{app: app}
	for ; *at < len(c.samples) && c.samples[*at].due <= c.now; *at++ {
		s := &c.samples[*at]
		w.append(s.ls, s.t, s.f, s.h, 0)
	}
	_ = app.Commit()
}

// TestResultCache says what is evaluated.
func TestResultCache(t *testing.T) {
	store := randomData(t, rand.New(rand.NewPCG(1, 1)))
	e := newTestEngine(t, store, func(o *Options) { o.ResultCacheBytes = 1 << 20; o.Registerer = prometheus.NewRegistry() })
	start := time.UnixMilli(dataStart + 600_000)
	read := func(expr string, from, to int, opts QueryOptions) (steps int, samples int64) {
		r, err := e.Range(context.Background(), expr, start.Add(time.Duration(from)*time.Minute), start.Add(time.Duration(to)*time.Minute), time.Minute, opts)
		require.NoError(t, err)
		defer r.Close()
		for _, s := range r.Matrix {
			steps += len(s.Floats)
		}
		return steps, r.Stats.TotalSamples
	}
	steps, all := read("temperature", 0, 20, QueryOptions{})
	require.Positive(t, steps)
	require.Positive(t, all)

	again, none := read("temperature", 0, 20, QueryOptions{})
	require.Equal(t, steps, again)
	require.Zero(t, none, "all of it is known")

	_, part := read("temperature", 5, 15, QueryOptions{})
	require.Zero(t, part)

	_, few := read("temperature", 1, 21, QueryOptions{})
	require.Positive(t, few)
	require.Less(t, few, all/5, "one step is evaluated")

	_, bypassed := read("temperature", 1, 21, QueryOptions{NoCache: true})
	require.Greater(t, bypassed, all/2)

	_, other := read("temperature", 1, 21, QueryOptions{LookbackDelta: time.Minute})
	require.Positive(t, other, "another lookback is another query")

	_, far := read("temperature", 15, 35, QueryOptions{})
	require.Greater(t, far, all/2, "with few steps in common all are evaluated")
}

// TestResultCacheIsBounded fills a cache.
func TestResultCacheIsBounded(t *testing.T) {
	c := newResultCache(100_000)
	entry := func(i, points int) *cachedResult {
		s := Series{Metric: labels.FromStrings("a", "b"), Floats: make([]FloatPoint, points)}
		return &cachedResult{key: cacheKey{expr: fmt.Sprint(i)}, series: []Series{s}}
	}
	for i := range 100 {
		c.put(entry(i, 500))
		require.LessOrEqual(t, c.held(), int64(100_000))
		require.NotNil(t, c.get(cacheKey{expr: fmt.Sprint(i)}))
	}
	require.Nil(t, c.get(cacheKey{expr: "0"}))
	require.Greater(t, c.held(), int64(80_000))
	c.put(entry(99, 5000))
	require.Nil(t, c.get(cacheKey{expr: "99"}), "what is too large takes the place of nothing")
}
