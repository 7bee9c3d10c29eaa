package scrape

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// once scrapes a body twice with further lines in the configuration of the job.
func once(t *testing.T, body string, lines []string, check func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job(lines...))
		w.says("a:1", body)
		w.discover("a:1")
		wait(15 * time.Second)
		check(w)
		w.stop()
	})
}

func TestLimitsFailTheScrape(t *testing.T) {
	long := strings.Repeat("n", 60)
	for name, c := range map[string]struct {
		line, body, err, metric string
		scraped, kept           string
	}{
		"samples": {"sample_limit: 2", "a 1\nb 2\nc 3\nd 4\n", "sample limit exceeded",
			"prometheus_target_scrapes_exceeded_sample_limit_total", "4", "4"},
		"labels": {"label_limit: 3", "a 1\nb{c=\"d\"} 2\ne 3\n",
			"line 2: label_limit exceeded (metric: b, number of labels: 4, limit: 3)",
			"prometheus_target_scrape_pool_exceeded_label_limits_total", "2", "1"},
		"label names": {"label_name_length_limit: 10", "a{" + long + "=\"d\"} 2\n",
			"line 1: label_name_length_limit exceeded (metric: a, label name: " + long[:50] + ", length: 60, limit: 10)",
			"prometheus_target_scrape_pool_exceeded_label_limits_total", "1", "0"},
		"label values": {"label_value_length_limit: 10", "a{b=\"" + long + "\"} 2\n",
			`line 1: label_value_length_limit exceeded (metric: a, label name: b, value: "` + long[:50] + `", length: 60, limit: 10)`,
			"prometheus_target_scrape_pool_exceeded_label_limits_total", "1", "0"},
		"body": {"body_size_limit: 10B", "a 1\nb 2\nc 3\nd 4\n", "body size limit exceeded",
			"prometheus_target_scrapes_exceeded_body_size_limit_total", "0", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			once(t, c.body, []string{c.line, "extra_scrape_metrics: true"}, func(w *world) {
				require.EqualError(t, w.target().LastError(), c.err)
				require.Equal(t, "0", w.samples(up))
				require.Equal(t, c.scraped, w.samples(series("scrape_samples_scraped")))
				require.Equal(t, c.kept, w.samples(series("scrape_samples_post_metric_relabeling")))
				require.Len(t, w.content(), 8, "only the synthetic series are stored")
				require.Equal(t, 1.0, w.metric(c.metric))
				size := "0"
				if name == "body" {
					size = "-1"
				} else {
					size = strings.TrimSpace(w.samples(series("scrape_body_size_bytes")))
				}
				require.Equal(t, size, w.samples(series("scrape_body_size_bytes")))
			})
		})
	}
}

func TestSampleLimitCountsAfterRelabelling(t *testing.T) {
	lines := []string{"sample_limit: 2", "metric_relabel_configs: [{source_labels: [__name__], regex: 'c|d', action: drop}]"}
	once(t, "c 3\na 1\nb 2\nd 4\n", lines, func(w *world) {
		require.Equal(t, "1", w.samples(up))
		require.Equal(t, "4", w.samples(series("scrape_samples_scraped")))
		require.Equal(t, "2", w.samples(series("scrape_samples_post_metric_relabeling")))
	})
}

func TestSampleLimitWithKnownSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job("sample_limit: 2"))
		bodies := []string{"a 1\nb 1\n", "a 2\nc 2\nb 2\n", "a 3\nb 3\n"}
		n := 0
		w.answer("a:1", func(*http.Request) answer { n++; return answer{body: bodies[n-1]} })
		w.discover("a:1")
		wait(35 * time.Second)
		w.stop()
		require.Equal(t, "1 0 1", w.samples(up))
		require.Equal(t, "1 stale 3", w.samples(series("a")))
		require.Equal(t, "1 stale 3", w.samples(series("b")))
		require.Empty(t, w.samples(series("c")))
	})
}

func TestDuplicates(t *testing.T) {
	once(t, "a 1\na 2\nb{c=\"\"} 3\nb 4\n", nil, func(w *world) {
		require.Equal(t, "1", w.samples(up))
		require.Equal(t, "1", w.samples(series("a")))
		require.Equal(t, "3", w.samples(series("b")))
		require.Equal(t, "4", w.samples(series("scrape_samples_post_metric_relabeling")))
		require.Equal(t, 2.0, w.metric("prometheus_target_scrapes_sample_duplicate_timestamp_total"))
	})
}

func TestLabelConflicts(t *testing.T) {
	body := `a{job="x",exported_job="y",instance="",other="z"} 1` + "\n"
	once(t, body, nil, func(w *world) {
		require.Equal(t, "1", w.samples(`{__name__="a", exported_exported_job="x", exported_job="y", instance="a:1", job="test", other="z"}`),
			"%v", w.content())
	})
	once(t, body, []string{"honor_labels: true"}, func(w *world) {
		require.Equal(t, "1", w.samples(`{__name__="a", exported_job="y", job="x", other="z"}`), "%v", w.content())
	})
}

func TestClientTimestamps(t *testing.T) {
	body := "a 1 946684700000\nb 2\n"
	for _, c := range []struct {
		lines    []string
		a, times string
	}{
		{nil, "1", "own"},
		{[]string{"honor_timestamps: false"}, "1 stale", "slot"},
		{[]string{"track_timestamps_staleness: true"}, "1 stale", "own"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := start(t, job(c.lines...))
			n := 0
			w.answer("a:1", func(*http.Request) answer {
				if n++; n == 1 {
					return answer{body: body}
				}
				return answer{body: "b 2\n"}
			})
			w.discover("a:1")
			wait(25 * time.Second)
			w.stop()
			require.Equal(t, c.a, w.samples(series("a")), "%v", c.lines)
			require.Equal(t, c.times == "own", w.times(series("a"))[0] == 946684700000, "%v", c.lines)
			require.Equal(t, "2 2", w.samples(series("b")))
			require.Equal(t, "2 0", w.samples(series("scrape_series_added")))
			require.Equal(t, "2 1", w.samples(series("scrape_samples_scraped")))
		})
	}
}

func TestClientTimestampsOutOfBoundsAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		bodies := []string{"a 1 946684700000\nb 1 4000000000000\n", "a 2 946684600000\nb 2 946684600000\n", "a 3 946684700000\n", "a 1 946684700000\n"}
		n := 0
		w.answer("a:1", func(*http.Request) answer { n++; return answer{body: bodies[n-1]} })
		w.discover("a:1")
		wait(45 * time.Second)
		w.stop()
		require.Equal(t, "1 1 1 1", w.samples(up))
		require.Equal(t, "1", w.samples(series("a")))
		require.Equal(t, "2", w.samples(series("b")))
		require.Equal(t, 1.0, w.metric("prometheus_target_scrapes_sample_out_of_order_total"))
		require.Equal(t, 1.0, w.metric("prometheus_target_scrapes_sample_out_of_bounds_total"))
		require.Equal(t, 1.0, w.metric("prometheus_target_scrapes_sample_duplicate_timestamp_total"))
		require.Equal(t, "1 1 0 0", w.samples(series("scrape_series_added")))
	})
}
