package scrape

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// limited starts a manager whose job has a limit of series.
func limited(t *testing.T, limit int, lines ...string) *world {
	w := start(t, job(lines...))
	w.applyLimits(job(lines...), SeriesLimits{PerTarget: 1, ByJob: map[string]int{"test": limit}})
	return w
}

func TestSeriesLimitKeepsWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := limited(t, 3)
		w.says("a:1", "a 1\nb 1\n")
		w.says("b:1", "other 1\n")
		w.discover("a:1", "b:1")
		wait(15 * time.Second)
		w.says("a:1", "new_1 2\na 2\nnew_2 2\nb 2\nnew_3 2\n")
		wait(20 * time.Second)
		target := w.target2("a:1")
		require.Equal(t, RefusedSeries{OverLimit: 2, Limit: 3, Series: []string{
			`{__name__="new_2", instance="a:1", job="test"}`, `{__name__="new_3", instance="a:1", job="test"}`,
		}}, target.Refused())
		require.Equal(t, HealthGood, target.Health())
		require.Equal(t, RefusedSeries{Limit: 3}, w.target2("b:1").Refused(), "the other target has room")
		w.says("a:1", "new_1 3\na 3\nnew_2 3\n")
		wait(10 * time.Second)
		require.Zero(t, target.Refused().OverLimit)
		w.stop()
		require.Equal(t, "1 2 2 3", w.samples(series("a")))
		require.Equal(t, "1 2 2 stale", w.samples(series("b")))
		require.Equal(t, "2 2 3", w.samples(series("new_1")), "there was room for one")
		require.Equal(t, "3", w.samples(series("new_2")), "as soon as another is gone there is room for it")
		require.Empty(t, w.samples(series("new_3")))
		require.Equal(t, "1 1 1 1", w.samples(up))
		require.Equal(t, "2 1 0 1", w.samples(series("scrape_series_added")))
		require.Equal(t, "2 5 5 3", w.samples(series("scrape_samples_post_metric_relabeling")))
		require.Equal(t, 2.0, w.metric("gnomon_target_scrapes_exceeded_series_limit_total"))
		require.Equal(t, 4.0, w.metric("gnomon_target_scrapes_series_over_limit_total"))
		require.Equal(t, 3.0, w.metric("gnomon_target_scrape_pool_series_limit"))
		require.Zero(t, w.metric("gnomon_target_scrapes_series_refused_total"), "the store refused nothing")
		require.Equal(t, 1, strings.Count(w.logs.String(), `level=WARN msg="the target exposes more series than it may`))
	})
}

func TestSeriesLimitChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		w.says("a:1", "a 1\nb 1\nc 1\n")
		w.discover("a:1")
		wait(15 * time.Second)
		settings := func() *settings { return w.m.allPools()["test"].loops[w.target().hash].settings.Load() }
		before := settings()
		w.applyLimits(job(), SeriesLimits{PerTarget: 2})
		require.NotSame(t, before, settings())
		require.Same(t, before.client, settings().client, "the job is not touched otherwise")
		before = settings()
		w.applyLimits(job(), SeriesLimits{PerTarget: 2})
		require.Same(t, before, settings())
		w.says("a:1", "d 2\na 2\nb 2\nc 2\n")
		wait(10 * time.Second)
		require.Equal(t, 1, w.target().Refused().OverLimit)
		// New rules make all lines new to the loop, but not to the store.
		w.applyLimits(job("metric_relabel_configs: [{source_labels: [__name__], regex: nothing, action: drop}]"), SeriesLimits{PerTarget: 2})
		wait(10 * time.Second)
		require.Equal(t, 1, w.target().Refused().OverLimit)
		w.applyLimits(job(), SeriesLimits{PerTarget: 4})
		wait(10 * time.Second)
		w.stop()
		require.Equal(t, "1 2 2 2", w.samples(series("a")), "a limit below what there is ends nothing")
		require.Equal(t, "1 2 2 2", w.samples(series("c")))
		require.Equal(t, "2", w.samples(series("d")))
		require.Equal(t, 4.0, w.metric("gnomon_target_scrape_pool_series_limit"))
	})
}

// TestSeriesLimitAfterRestart has a server that does not know which series of a
// target are new but by its store.
func TestSeriesLimitAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storagetest.NewModel(0)
		for _, body := range []string{"a 1\nb 1\n", "x 2\ny 2\na 2\nb 2\n"} {
			w := startWith(t, store, job())
			w.store = store
			w.applyLimits(job(), SeriesLimits{PerTarget: 3})
			w.says("a:1", body)
			w.discover("a:1")
			wait(15 * time.Second)
			w.stop()
			if body[0] == 'x' {
				require.Equal(t, "1 2 2", w.samples(series("a")))
				require.Equal(t, "1 2 2", w.samples(series("b")), "it was there before the restart")
				require.Equal(t, "2 2", w.samples(series("x")))
				require.Empty(t, w.samples(series("y")))
			}
		}
	})
}

func TestSeriesLimitOfTimedSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := limited(t, 3, "track_timestamps_staleness: true")
		at := time.Now().UnixMilli()
		body := func(second int, names ...string) (b string) {
			for _, name := range names {
				b += fmt.Sprintf("%s %d %d\n", name, second, at+int64(second)*1000)
			}
			return b
		}
		w.says("a:1", body(1, "a")+body(2, "a")+"row 1\n")
		w.discover("a:1")
		wait(15 * time.Second)
		w.says("a:1", body(11, "x", "y", "a")+body(12, "x", "y")+"row 2\nmore 2\n")
		wait(10 * time.Second)
		require.Equal(t, 4, w.target().Refused().OverLimit, "x and y twice each")
		w.stop()
		require.Equal(t, "1 2 11", w.samples(series("a")))
		require.Equal(t, "1 2", w.samples(series("row")))
		require.Equal(t, "2", w.samples(series("more")))
		require.Empty(t, w.samples(series("x")))
		require.Empty(t, w.samples(series("y")))
		require.Equal(t, "2 1", w.samples(series("scrape_series_added")), "a is new once")
	})
}

// TestRefusedSeriesAreNamedInBounds has more refused series, with longer labels,
// than a report may have.
func TestRefusedSeriesAreNamedInBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := limited(t, 1)
		var body strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&body, "x{i=\"%d\",long=\"%s\"} 1\n", i, strings.Repeat("ä", 10_000))
		}
		w.says("a:1", body.String())
		w.discover("a:1")
		wait(15 * time.Second)
		refused := w.target().Refused()
		w.stop()
		require.Equal(t, 999, refused.OverLimit)
		require.Len(t, refused.Series, maxNamedSeries)
		for _, name := range refused.Series {
			require.LessOrEqual(t, len(name), maxNamedBytes)
		}
	})
}
