package scrape

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

func TestReloadTouchesOnlyWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		two := job() + "\n- job_name: other\n  metrics_path: %s\n"
		w := start(t, fmt.Sprintf(two, "/metrics"))
		w.says("a:1", "x 1\n")
		w.says("b:1", "x 1\n")
		g := func(a string) []*targetgroup.Group {
			return []*targetgroup.Group{{Source: "0", Targets: []model.LabelSet{{model.AddressLabel: model.LabelValue(a)}}}}
		}
		w.groups <- map[string][]*targetgroup.Group{"test": g("a:1"), "other": g("b:1")}
		wait(15 * time.Second)
		same := w.target()
		loop := w.m.allPools()["test"].loops[same.hash]
		settings := loop.settings.Load()
		w.apply(fmt.Sprintf(two, "/other"))
		require.Same(t, same, w.target())
		require.Same(t, loop, w.m.allPools()["test"].loops[same.hash])
		require.Same(t, settings, loop.settings.Load(), "a job that did not change is not touched")
		require.Equal(t, "/other", w.m.TargetsActive()["other"][0].URL().Path, "one that did is, at once")
		require.Equal(t, []string{"other", "test"}, w.m.ScrapePools())
		require.Equal(t, 1.0, w.metric("prometheus_target_scrape_pool_reloads_total"))
		wait(20 * time.Second)
		w.stop()
		require.Equal(t, []int64{10_000, 10_000}, []int64{w.times(up)[1] - w.times(up)[0], w.times(up)[2] - w.times(up)[1]})
	})
}

func TestIntervalChangesInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		w.says("a:1", "x 1\n")
		w.discover("a:1")
		wait(25 * time.Second)
		before := w.m.allPools()["test"].loops[w.target().hash]
		w.apply(job("scrape_interval: 5s"))
		require.Equal(t, 5*time.Second, w.target().Interval())
		require.Equal(t, HealthGood, w.target().Health(), "the state of the target is kept")
		require.Len(t, w.target().ListMetadata(), 0)
		require.Same(t, before, w.m.allPools()["test"].loops[w.target().hash], "the loop is kept")
		wait(60 * time.Second)
		w.stop()
		require.NotContains(t, w.samples(series("x")), "stale")
		require.NotContains(t, w.samples(up), "stale")
		times := w.times(up)
		last := len(times) - 1
		require.Equal(t, int64(5_000), times[last]-times[last-1])
		require.Equal(t, float64(1), w.content()[series("scrape_series_added")][0].V)
		require.Equal(t, "0", strings.Join(strings.Fields(w.samples(series("scrape_series_added")))[1:2], ""))
	})
}

func TestMetricRelabellingChangesInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		w.says("a:1", "x 1\ny 2\n")
		w.discover("a:1")
		wait(15 * time.Second)
		w.apply(job("metric_relabel_configs: [{source_labels: [__name__], regex: y, action: drop}]"))
		wait(10 * time.Second)
		w.stop()
		require.Equal(t, "1 1", w.samples(series("x")))
		require.Equal(t, "2 stale", w.samples(series("y")))
		require.Equal(t, "2 1", w.samples(series("scrape_samples_post_metric_relabeling")))
		require.Equal(t, "2 2", w.samples(series("scrape_samples_scraped")))
	})
}

func TestConversionChangesInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		w.says("a:1", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\n")
		w.discover("a:1")
		wait(15 * time.Second)
		w.apply(job("convert_classic_histograms_to_nhcb: true"))
		wait(10 * time.Second)
		w.apply(job())
		wait(10 * time.Second)
		w.stop()
		require.Equal(t, "2 stale 2", w.samples(series("h_count")))
		require.Regexp(t, `^\{count:2, sum:3,.*\} stale$`, w.samples(series("h")))
	})
}

func TestRemovedJobIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		w.says("a:1", "x 1\n")
		w.discover("a:1")
		wait(15 * time.Second)
		w.apply("scrape_configs: []")
		require.Empty(t, w.m.ScrapePools())
		require.Empty(t, w.m.TargetsActive())
		_, err := w.m.ScrapePoolConfig("test")
		require.Error(t, err)
		wait(60 * time.Second)
		require.Equal(t, "1 stale", w.samples(up))
		require.Zero(t, w.metric("prometheus_target_scrape_pool_targets"))
		w.stop()
	})
}

func TestBadConfigurationChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		w.says("a:1", "x 1\n")
		w.discover("a:1")
		wait(15 * time.Second)
		cfg, err := w.m.ScrapePoolConfig("test")
		require.NoError(t, err)
		bad := *cfg
		bad.HTTPClientConfig.TLSConfig.CAFile = "/does/not/exist"
		jobs := loadJobs(t, job("metrics_path: /other"))
		jobs.ScrapeConfigs[0].HTTPClientConfig = bad.HTTPClientConfig
		require.ErrorContains(t, w.m.ApplyConfig(jobs, SeriesLimits{}), `job "test"`)
		require.Equal(t, "/metrics", w.target().URL().Path)
		require.Equal(t, 1.0, w.metric("prometheus_target_scrape_pool_reloads_failed_total"))
		wait(10 * time.Second)
		w.stop()
		require.Equal(t, "1 1", w.samples(up))
	})
}

func TestCheckOfAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		load := func(lines ...string) *config.ScrapeConfig {
			c, err := config.Load(job(lines...), slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			return c.ScrapeConfigs[0]
		}
		require.NoError(t, w.m.Check(load()))
		require.ErrorContains(t, w.m.Check(load("tls_config: {ca: 'no certificate'}")), `HTTP client of job "test"`)
		w.stop()
	})
}

func TestTargetLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job("target_limit: 1"))
		w.says("a:1", "x 1\n")
		w.says("b:1", "x 1\n")
		w.discover("a:1")
		wait(15 * time.Second)
		w.discover("a:1", "b:1")
		wait(10 * time.Second)
		require.EqualError(t, w.target2("a:1").LastError(), "target_limit exceeded (number of targets: 2, limit: 1)")
		w.discover("a:1")
		wait(10 * time.Second)
		w.stop()
		require.Equal(t, "1 0 1", w.samples(up))
		require.Equal(t, "1 stale 1", w.samples(series("x")))
		require.Equal(t, 1.0, w.metric("prometheus_target_scrape_pool_exceeded_target_limit_total"))
		require.Equal(t, 1.0, w.metric("prometheus_target_scrape_pool_target_limit"))
	})
}

// target2 returns the active target with the address.
func (w *world) target2(address string) *Target {
	for _, target := range w.m.TargetsActive()["test"] {
		if target.GetValue(model.AddressLabel) == address {
			return target
		}
	}
	return nil
}

func TestDroppedTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job("relabel_configs: [{source_labels: [__address__], regex: 'b.*', action: drop}]")+"\n  keep_dropped_targets: 1\n")
		w.says("a:1", "x 1\n")
		w.discover("a:1", "b:1", "b:2", "a:1")
		wait(15 * time.Second)
		require.Len(t, w.m.TargetsActive()["test"], 1)
		require.Len(t, w.m.TargetsDropped()["test"], 1)
		require.Equal(t, 2, w.m.TargetsDroppedCounts()["test"])
		dropped := w.m.TargetsDropped()["test"][0]
		require.Equal(t, "b:1", dropped.DiscoveredLabels().Get(model.AddressLabel))
		require.True(t, dropped.Labels().IsEmpty())
		require.Equal(t, HealthUnknown, dropped.Health())
		require.Equal(t, 1.0, w.metric("prometheus_target_scrape_pool_targets"))
		w.stop()
	})
}

func TestPairOfServersScrapesAtDifferentTimes(t *testing.T) {
	a := offsetSeed("here", labels.FromStrings("replica", "a"))
	b := offsetSeed("here", labels.FromStrings("replica", "b"))
	require.NotEqual(t, newSchedule(time.Minute, 1, a), newSchedule(time.Minute, 1, b))
	require.NotEqual(t, a, offsetSeed("there", labels.FromStrings("replica", "a")))
}

func TestFailureLog(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job("scrape_failure_log_file: "+first))
		w.answer("a:1", func(*http.Request) answer { return answer{status: 503} })
		w.discover("a:1")
		wait(15 * time.Second)
		w.apply(job("scrape_failure_log_file: " + second))
		wait(10 * time.Second)
		w.stop()
	})
	for _, file := range []string{first, second} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(text), "\n"), file)
		require.Contains(t, string(text), `"msg":"server returned HTTP status 503 Service Unavailable"`)
		require.Contains(t, string(text), `"job_name":"test"`)
		require.Contains(t, string(text), `"target":"http://a:1/metrics"`)
	}
}
