package scrape

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	upstream "github.com/prometheus/prometheus/scrape"
	"github.com/stretchr/testify/require"
)

// targetCases are target labels and what they are to become. That Prometheus
// makes the same of them is checked besides.
var targetCases = []struct {
	name   string
	job    []string
	target model.LabelSet
	url    string
	err    string
}{
	{"plain", nil, model.LabelSet{"__address__": "a:1", "x": "y"}, "http://a:1/metrics", ""},
	{"no port", nil, model.LabelSet{"__address__": "a"}, "http://a/metrics", ""},
	{"https", []string{"scheme: https"}, model.LabelSet{"__address__": "a"}, "https://a/metrics", ""},
	{"own scheme and path", nil, model.LabelSet{"__address__": "a", "__scheme__": "https", "__metrics_path__": "/m"}, "https://a/m", ""},
	{"parameters", []string{"params: {a: [b, c], d: [e]}"}, model.LabelSet{"__address__": "a:1", "__param_a": "x", "__param_f": "g"}, "http://a:1/metrics?a=x&a=c&d=e&f=g", ""},
	{"no address", nil, model.LabelSet{"x": "y"}, "", "no address"},
	{"path in address", nil, model.LabelSet{"__address__": "a:1/b"}, "", "\"a:1/b\" is not a valid hostname"},
	{"job and instance", nil, model.LabelSet{"__address__": "a:1", "job": "j", "instance": "i"}, "http://a:1/metrics", ""},
	{"own interval", nil, model.LabelSet{"__address__": "a:1", "__scrape_interval__": "20s", "__scrape_timeout__": "15s"}, "http://a:1/metrics", ""},
	{"bad interval", nil, model.LabelSet{"__address__": "a:1", "__scrape_interval__": "x"}, "", "error parsing scrape interval: not a valid duration string: \"x\""},
	{"no interval", nil, model.LabelSet{"__address__": "a:1", "__scrape_interval__": "0s"}, "", "scrape interval cannot be 0"},
	{"bad timeout", nil, model.LabelSet{"__address__": "a:1", "__scrape_timeout__": "x"}, "", "error parsing scrape timeout: not a valid duration string: \"x\""},
	{"no timeout", nil, model.LabelSet{"__address__": "a:1", "__scrape_timeout__": "0s"}, "", "scrape timeout cannot be 0"},
	{"long timeout", nil, model.LabelSet{"__address__": "a:1", "__scrape_timeout__": "20s"}, "", `scrape timeout cannot be greater than scrape interval ("20s" > "10s")`},
	{"bad switch", nil, model.LabelSet{"__address__": "a:1", "__scrape_native_histograms__": "perhaps"}, "", `error parsing scrape native histograms: strconv.ParseBool: parsing "perhaps": invalid syntax`},
	{"bad value", nil, model.LabelSet{"__address__": "a:1", "x": "\xff"}, "", `invalid label value for "x": "\xff"`},
	{"socket", nil, model.LabelSet{"__address__": "a:1", "__unix_socket__": "/s"}, "http://a:1/metrics", ""},
	{"relabelled", []string{"relabel_configs: [{source_labels: [__meta_x], target_label: x}, {target_label: __tmp, replacement: t}]"},
		model.LabelSet{"__address__": "a:1", "__meta_x": "m"}, "http://a:1/metrics", ""},
	{"dropped", []string{"relabel_configs: [{source_labels: [__address__], regex: 'a.*', action: drop}]"}, model.LabelSet{"__address__": "a:1"}, "", ""},
}

func TestTargets(t *testing.T) {
	for _, c := range targetCases {
		t.Run(c.name, func(t *testing.T) {
			cfg := scrapeConfig(t, job(c.job...))
			g := &targetgroup.Group{Source: "src", Targets: []model.LabelSet{c.target}, Labels: model.LabelSet{"group": "g", "x": "of the group"}}
			lb := labels.NewBuilder(labels.EmptyLabels())
			want, wantErrs := upstream.TargetsFromGroup(g, cfg, nil, labels.NewBuilder(labels.EmptyLabels()))
			got, errs := targetsFromGroup(g, cfg, lb)
			require.Equal(t, wantErrs, orEmpty(errs))
			if c.err != "" {
				require.Len(t, errs, 1)
				require.EqualError(t, errs[0], "instance 0 in group src: "+c.err)
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			target := got[0]
			require.Equal(t, want[0].Labels(lb), target.Labels())
			require.Equal(t, want[0].DiscoveredLabels(lb), target.DiscoveredLabels())
			if c.url == "" {
				require.True(t, target.Labels().IsEmpty())
				return
			}
			require.Equal(t, c.url, target.String())
			require.Equal(t, want[0].URL(), target.URL())
			require.LessOrEqual(t, target.Timeout(), target.Interval())
		})
	}
}

func orEmpty(errs []error) []error {
	if errs == nil {
		return []error{}
	}
	return errs
}

// scrapeConfig returns the job of a configuration that has one.
func scrapeConfig(t testing.TB, yaml string) *config.ScrapeConfig {
	t.Helper()
	jobs, err := loadJobs(t, yaml).GetScrapeConfigs()
	require.NoError(t, err)
	require.Len(t, jobs, 1)
	return jobs[0]
}

func TestTargetHashDiffers(t *testing.T) {
	cfg := scrapeConfig(t, job())
	hashes := map[uint64]string{}
	for _, ls := range []model.LabelSet{
		{"__address__": "a:1"}, {"__address__": "a:2"}, {"__address__": "a:1", "x": "y"},
		{"__address__": "a:1", "__metrics_path__": "/m"}, {"__address__": "a:1", "__param_x": "y"},
		{"__address__": "a:1", "__scrape_interval__": "20s"}, {"__address__": "a:1", "__unix_socket__": "/s"},
	} {
		targets, _ := targetsFromGroup(&targetgroup.Group{Targets: []model.LabelSet{ls}}, cfg, labels.NewBuilder(labels.EmptyLabels()))
		require.Empty(t, hashes[targets[0].hash])
		hashes[targets[0].hash] = targets[0].String()
	}
}

func TestSchedule(t *testing.T) {
	s := schedule{interval: 100, offset: 30}
	for _, c := range []struct{ now, last, want int64 }{
		{0, 0, 30}, {29, 0, 30}, {30, 0, 130}, {31, 0, 130},
		{30, 30, 130},                   // a scrape that took no time
		{135, 30, 130},                  // just missed
		{141, 30, 230},                  // missed
		{129, 130, 230}, {40, 130, 230}, // the timer was early, or the clock stepped back
		{-500, 130, -470},  // a lot
		{9999, 130, 10030}, // the machine was suspended
	} {
		require.Equal(t, c.want, s.next(c.now, c.last), "%+v", c)
	}
	require.Equal(t, int64(-70), s.at(-1))
	require.Equal(t, int64(2), s.skipped(430, 130))
	require.Equal(t, int64(0), s.skipped(230, 130))
	require.Equal(t, int64(0), s.skipped(230, 0))
	require.Equal(t, int64(0), s.skipped(230, 200))
	require.Equal(t, int64(0), s.skipped(230, 300))
}

func TestTimestampTolerance(t *testing.T) {
	const ms = int64(time.Millisecond)
	s := schedule{interval: int64(10 * time.Second)}
	for _, c := range []struct {
		late, want int64
		tolerance  time.Duration
	}{
		{0, 5000, 2 * time.Millisecond}, {2 * ms, 5000, 2 * time.Millisecond}, {2*ms + 1, 5002, 2 * time.Millisecond},
		{-1 * ms, 5000, 2 * time.Millisecond}, {-3 * ms, 4997, 2 * time.Millisecond},
		{1 * ms, 5001, -1}, {100 * ms, 5000, time.Second}, {101 * ms, 5101, time.Second},
	} {
		require.Equal(t, c.want, s.timestamp(5000*ms, 5000*ms+c.late, c.tolerance), "%+v", c)
	}
}
