package e2e

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

const appPage = `# HELP app_requests Requests answered.
# TYPE app_requests counter
app_requests_total{path="/a"} 10 # {trace_id="4bf92f"} 0.25
app_requests_total{path="/b"} 20
# HELP app_latency_seconds Time to answer.
# TYPE app_latency_seconds gauge
# UNIT app_latency_seconds seconds
app_latency_seconds 0.5
# EOF
`

const appConfig = `
global: {scrape_interval: 500ms, evaluation_interval: 500ms}
rule_files: [rules.yml]
alerting:
  alertmanagers:
  - static_configs: [{targets: ['127.0.0.1:1']}]
scrape_configs:
- job_name: app
  static_configs: [{targets: ['SITE', 'dropped.invalid:80'], labels: {zone: eu}}]
  relabel_configs: [{source_labels: [__address__], regex: 'dropped.*', action: drop}]
`

const appRules = `
groups:
- name: app
  rules:
  - {record: app:requests, expr: sum(app_requests_total), labels: {level: global}}
  - {alert: Slow, expr: app_latency_seconds > 0.1, labels: {severity: ticket}, annotations: {summary: 'takes {{ $value }} s'}}
`

// apiCase is a server with known content and the client under test.
type apiCase struct {
	v1.API
	server *harness.Gnomon
	site   *harness.Site
	begin  time.Time // When the server was started.
}

// apiMethods has a test for every method of the official client. Those that change the
// data come last.
var apiMethods = []struct {
	name string
	test func(*testing.T, *apiCase)
}{
	{"Alerts", testAlerts},
	{"AlertManagers", testAlertManagers},
	{"Config", testConfig},
	{"Flags", testFlags},
	{"LabelNames", testLabelNames},
	{"LabelValues", testLabelValues},
	{"Query", testQuery},
	{"QueryRange", testQueryRange},
	{"QueryExemplars", testQueryExemplars},
	{"Buildinfo", testBuildinfo},
	{"Runtimeinfo", testRuntimeinfo},
	{"Series", testSeries},
	{"Rules", testRules},
	{"Targets", testTargets},
	{"TargetsMetadata", testTargetsMetadata},
	{"Metadata", testMetadata},
	{"TSDB", testTSDB},
	{"TSDBBlocks", testTSDBBlocks},
	{"WalReplay", testWalReplay},
	{"FormatQuery", testFormatQuery},
	{"Snapshot", testSnapshot},
	{"DeleteSeries", testDeleteSeries},
	{"CleanTombstones", testCleanTombstones},
}

// The official client works against the server, method by method.
func TestOfficialClient(t *testing.T) {
	t.Parallel()
	site := harness.StartSite(t)
	site.Set("/metrics", harness.Page{ContentType: "application/openmetrics-text; version=1.0.0", Body: appPage})
	begin := time.Now()
	server := harness.NewGnomon(t, harness.Options{
		Config: strings.ReplaceAll(appConfig, "SITE", site.Address()),
		Args:   []string{"--web.enable-admin-api", "--enable-feature=exemplar-storage"},
	})
	server.WriteFile(t, "rules.yml", appRules)
	server.Start(t)
	server.WaitFor(t, soon, `app:requests`, 30)
	waitAlert(t, server, "Slow", v1.AlertStateFiring)

	c := &apiCase{API: server.API(t), server: server, site: site, begin: begin}
	for _, method := range apiMethods {
		t.Run(method.name, func(t *testing.T) { method.test(t, c) })
	}
}

// No method of the client that this module uses is left out above.
func TestOfficialClientIsCovered(t *testing.T) {
	t.Parallel()
	covered := make(map[string]bool)
	for _, method := range apiMethods {
		covered[method.name] = true
	}
	client := reflect.TypeFor[v1.API]()
	for i := range client.NumMethod() {
		name := client.Method(i).Name
		require.True(t, covered[name], "%s has no test", name)
		delete(covered, name)
	}
	require.Empty(t, covered, "the client has no such methods")
}

func testAlerts(t *testing.T, c *apiCase) {
	result, err := c.Alerts(t.Context())
	require.NoError(t, err)
	require.Len(t, result.Alerts, 1)
	got := result.Alerts[0]
	require.Equal(t, model.LabelSet{
		"alertname": "Slow", "instance": model.LabelValue(c.site.Address()), "job": "app", "severity": "ticket", "zone": "eu",
	}, got.Labels)
	require.Equal(t, model.LabelSet{"summary": "takes 0.5 s"}, got.Annotations)
	require.Equal(t, v1.AlertStateFiring, got.State)
	require.Equal(t, "5e-01", got.Value)
	require.WithinRange(t, got.ActiveAt, c.begin, time.Now())
}

func testAlertManagers(t *testing.T, c *apiCase) {
	result, err := c.AlertManagers(t.Context())
	require.NoError(t, err)
	require.Equal(t, []v1.AlertManager{{URL: "http://127.0.0.1:1/api/v2/alerts"}}, result.Active)
	require.Empty(t, result.Dropped)
}

func testConfig(t *testing.T, c *apiCase) {
	result, err := c.Config(t.Context())
	require.NoError(t, err)
	require.Contains(t, result.YAML, "job_name: app")
	require.Contains(t, result.YAML, "scrape_timeout: 500ms", "defaults are filled in")
}

func testFlags(t *testing.T, c *apiCase) {
	flags, err := c.Flags(t.Context())
	require.NoError(t, err)
	require.Contains(t, flags["web.listen-address"], c.server.Address)
	require.Equal(t, "true", flags["web.enable-admin-api"])
	require.Equal(t, "false", flags["web.enable-lifecycle"])
	require.Equal(t, "5m", flags["query.lookback-delta"])
}

func testLabelNames(t *testing.T, c *apiCase) {
	names, warnings, _, err := c.LabelNames(t.Context(), []string{"app_requests_total"}, time.Time{}, time.Time{})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, model.LabelNames{"__name__", "instance", "job", "path", "zone"}, names)

	names, warnings, _, err = c.LabelNames(t.Context(), nil, c.begin, time.Now(), v1.WithLimit(2))
	require.NoError(t, err)
	require.Len(t, names, 2)
	require.NotEmpty(t, warnings, "the list is cut off")
}

func testLabelValues(t *testing.T, c *apiCase) {
	values, _, _, err := c.LabelValues(t.Context(), "path", nil, c.begin, time.Now())
	require.NoError(t, err)
	require.Equal(t, model.LabelValues{"/a", "/b"}, values)
	values, _, _, err = c.LabelValues(t.Context(), "__name__", []string{`{zone="eu", __name__=~"app_.*", path=""}`}, c.begin, time.Now())
	require.NoError(t, err)
	require.Equal(t, model.LabelValues{"app_latency_seconds"}, values)
	values, _, _, err = c.LabelValues(t.Context(), "path", nil, c.begin.Add(-2*time.Hour), c.begin.Add(-time.Hour))
	require.NoError(t, err)
	require.Empty(t, values, "before the first sample")
}

func testQuery(t *testing.T, c *apiCase) {
	at := time.Now().Truncate(time.Millisecond)
	for expr, want := range map[string]model.Value{
		`sum by (zone) (app_requests_total)`: model.Vector{{Metric: model.Metric{"zone": "eu"}, Value: 30, Timestamp: milliseconds(at)}},
		`count_over_time(app_nothing[1m])`:   model.Vector{},
		`scalar(app_latency_seconds)`:        &model.Scalar{Value: 0.5, Timestamp: milliseconds(at)},
	} {
		value, warnings, infos, err := c.Query(t.Context(), expr, at, v1.WithTimeout(soon), v1.WithStats(v1.AllStatsValue))
		require.NoError(t, err, expr)
		require.Empty(t, warnings, expr)
		require.Empty(t, infos, expr)
		require.Equal(t, want, value, expr)
	}
	_, _, _, err := c.Query(t.Context(), `count(app_requests_total[1m])`, at)
	require.ErrorContains(t, err, string(v1.ErrBadData))
	matrix, err := c.server.Matrix(t, `app_requests_total{path="/a"}[1m]`, time.Now())
	require.NoError(t, err)
	require.Len(t, matrix, 1)
	require.NotEmpty(t, matrix[0].Values)

	value, _, _, err := c.Query(t.Context(), "app_latency_seconds", c.begin.Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, model.Vector{}, value, "an hour before the first sample")
	value, warnings, _, err := c.Query(t.Context(), "app_requests_total", time.Now(), v1.WithLimit(1))
	require.NoError(t, err)
	require.Len(t, value, 1)
	require.NotEmpty(t, warnings, "the result is cut off")
}

func testQueryRange(t *testing.T, c *apiCase) {
	end := time.Now().Truncate(time.Millisecond)
	value, _, _, err := c.QueryRange(t.Context(), "vector(time()) + 0 * sum(up) or vector(-1)", v1.Range{
		Start: end.Add(-2 * time.Hour), End: end, Step: time.Hour,
	})
	require.NoError(t, err)
	at := func(d time.Duration) model.SamplePair {
		return model.SamplePair{Timestamp: milliseconds(end.Add(d)), Value: -1}
	}
	now := at(0)
	now.Value = model.SampleValue(end.UnixMilli()) / 1000
	require.Equal(t, model.Matrix{{
		Metric: model.Metric{},
		Values: []model.SamplePair{at(-2 * time.Hour), at(-time.Hour), now},
	}}, value)

	_, _, _, err = c.QueryRange(t.Context(), "up", v1.Range{Start: end.Add(-24 * time.Hour), End: end, Step: time.Second})
	require.ErrorContains(t, err, "11,000")
}

func testQueryExemplars(t *testing.T, c *apiCase) {
	result, err := c.QueryExemplars(t.Context(), `rate(app_requests_total[1m])`, c.begin, time.Now())
	require.NoError(t, err)
	require.Len(t, result, 1)
	require.Equal(t, model.LabelValue("/a"), result[0].SeriesLabels["path"])
	require.NotEmpty(t, result[0].Exemplars)
	require.Equal(t, model.LabelSet{"trace_id": "4bf92f"}, result[0].Exemplars[0].Labels)
	require.EqualValues(t, 0.25, result[0].Exemplars[0].Value)
}

func testBuildinfo(t *testing.T, c *apiCase) {
	info, err := c.Buildinfo(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, info.Version)
	require.Regexp(t, `^go1\.`, info.GoVersion)
}

func testRuntimeinfo(t *testing.T, c *apiCase) {
	info, err := c.Runtimeinfo(t.Context())
	require.NoError(t, err)
	dir, err := filepath.EvalSymlinks(c.server.Dir)
	require.NoError(t, err)
	require.Equal(t, dir, info.CWD)
	require.WithinRange(t, info.StartTime, c.begin, time.Now())
	require.True(t, info.ReloadConfigSuccess)
	require.WithinRange(t, info.LastConfigTime, c.begin.Truncate(time.Second), time.Now())
	require.Positive(t, info.GoroutineCount)
	require.Positive(t, info.GOMAXPROCS)
	require.NotEmpty(t, info.StorageRetention)
	require.Zero(t, info.CorruptionCount)
}

func testSeries(t *testing.T, c *apiCase) {
	series, warnings, _, err := c.Series(t.Context(), []string{"app_requests_total", "app_latency_seconds"}, c.begin, time.Now())
	require.NoError(t, err)
	require.Empty(t, warnings)
	instance := model.LabelValue(c.site.Address())
	require.ElementsMatch(t, []model.LabelSet{
		{"__name__": "app_requests_total", "job": "app", "instance": instance, "zone": "eu", "path": "/a"},
		{"__name__": "app_requests_total", "job": "app", "instance": instance, "zone": "eu", "path": "/b"},
		{"__name__": "app_latency_seconds", "job": "app", "instance": instance, "zone": "eu"},
	}, series)
	_, _, _, err = c.Series(t.Context(), nil, c.begin, time.Now())
	require.ErrorContains(t, err, string(v1.ErrBadData))
}

func testRules(t *testing.T, c *apiCase) {
	result, err := c.Rules(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, result.Groups, 1)
	group := result.Groups[0]
	require.Equal(t, "app", group.Name)
	require.Equal(t, "rules.yml", filepath.Base(group.File))
	require.InDelta(t, 0.5, group.Interval, 0)
	require.Len(t, group.Rules, 2)

	recording, ok := group.Rules[0].(v1.RecordingRule)
	require.True(t, ok)
	require.Equal(t, "app:requests", recording.Name)
	require.Equal(t, "sum(app_requests_total)", recording.Query)
	require.Equal(t, model.LabelSet{"level": "global"}, recording.Labels)
	require.EqualValues(t, v1.RuleHealthGood, recording.Health)
	require.WithinRange(t, recording.LastEvaluation, c.begin, time.Now())

	alerting, ok := group.Rules[1].(v1.AlertingRule)
	require.True(t, ok)
	require.Equal(t, "Slow", alerting.Name)
	require.Equal(t, "app_latency_seconds > 0.1", alerting.Query)
	require.Equal(t, "firing", alerting.State)
	require.EqualValues(t, v1.RuleHealthGood, alerting.Health)
	require.Len(t, alerting.Alerts, 1)
}

func testTargets(t *testing.T, c *apiCase) {
	result, err := c.Targets(t.Context())
	require.NoError(t, err)
	require.Len(t, result.Active, 1)
	target := result.Active[0]
	require.Equal(t, model.LabelSet{"job": "app", "instance": model.LabelValue(c.site.Address()), "zone": "eu"}, target.Labels)
	require.Equal(t, "app", target.ScrapePool)
	require.Equal(t, "http://"+c.site.Address()+"/metrics", target.ScrapeURL)
	require.Equal(t, c.site.Address(), target.DiscoveredLabels["__address__"])
	require.Equal(t, "500ms", target.DiscoveredLabels["__scrape_interval__"])
	require.Equal(t, v1.HealthGood, target.Health)
	require.Empty(t, target.LastError)
	require.WithinRange(t, target.LastScrape, c.begin, time.Now())
	require.Positive(t, target.LastScrapeDuration)
	require.Len(t, result.Dropped, 1)
	require.Equal(t, "dropped.invalid:80", result.Dropped[0].DiscoveredLabels["__address__"])
}

func testTargetsMetadata(t *testing.T, c *apiCase) {
	result, err := c.TargetsMetadata(t.Context(), `{job="app"}`, "app_latency_seconds", "")
	require.NoError(t, err)
	require.Equal(t, []v1.MetricMetadata{{
		Target: map[string]string{"job": "app", "instance": c.site.Address(), "zone": "eu"},
		Type:   v1.MetricTypeGauge, Help: "Time to answer.", Unit: "seconds",
	}}, result)
}

func testMetadata(t *testing.T, c *apiCase) {
	result, err := c.Metadata(t.Context(), "", "")
	require.NoError(t, err)
	require.Equal(t, []v1.Metadata{{Type: v1.MetricTypeGauge, Help: "Time to answer.", Unit: "seconds"}}, result["app_latency_seconds"])
	require.Equal(t, []v1.Metadata{{Type: v1.MetricTypeCounter, Help: "Requests answered."}}, result["app_requests"])
	result, err = c.Metadata(t.Context(), "", "1")
	require.NoError(t, err)
	require.Len(t, result, 1)
}

func testTSDB(t *testing.T, c *apiCase) {
	result, err := c.TSDB(t.Context(), v1.WithLimit(3))
	require.NoError(t, err)
	require.GreaterOrEqual(t, result.HeadStats.NumSeries, 9, "3 of the page, the synthetic ones, 3 of the rules")
	require.Positive(t, result.HeadStats.NumLabelPairs)
	require.WithinRange(t, time.UnixMilli(int64(result.HeadStats.MinTime)), c.begin, time.Now())
	require.GreaterOrEqual(t, result.HeadStats.MaxTime, result.HeadStats.MinTime)
	require.Len(t, result.SeriesCountByMetricName, 3)
	require.Equal(t, v1.Stat{Name: "app_requests_total", Value: 2}, result.SeriesCountByMetricName[0])
	require.NotEmpty(t, result.LabelValueCountByLabelName)
	require.NotEmpty(t, result.MemoryInBytesByLabelName)
	require.NotEmpty(t, result.SeriesCountByLabelValuePair)
}

func testTSDBBlocks(t *testing.T, c *apiCase) {
	result, err := c.TSDBBlocks(t.Context())
	require.NoError(t, err)
	require.Empty(t, result.Blocks, "all is in the head")
}

func testWalReplay(t *testing.T, c *apiCase) {
	status, err := c.WalReplay(t.Context())
	require.NoError(t, err)
	require.Equal(t, status.Max, status.Current, "the server is ready, so replay is over")
}

func testFormatQuery(t *testing.T, c *apiCase) {
	text, err := c.FormatQuery(t.Context(), `sum  by(job)(rate( up [5m] ))  `)
	require.NoError(t, err)
	// The client hands out the JSON string as it is.
	require.Equal(t, `"sum by (job) (rate(up[5m]))"`, text)
	_, err = c.FormatQuery(t.Context(), `sum(`)
	require.ErrorContains(t, err, string(v1.ErrBadData))
}

// milliseconds returns a time as samples have it.
func milliseconds(t time.Time) model.Time { return model.Time(t.UnixMilli()) }

// A snapshot is a data folder that another server can be started on.
func testSnapshot(t *testing.T, c *apiCase) {
	at := time.Now()
	result, err := c.Snapshot(t.Context(), false)
	require.NoError(t, err)
	dir := filepath.Join(c.server.Dir, "data", "snapshots", result.Name)
	require.DirExists(t, dir)
	other := harness.StartGnomon(t, harness.Options{Config: "scrape_configs: []\n", Args: []string{"--storage.tsdb.path=" + dir}})
	matrix, err := other.Matrix(t, `app_requests_total{path="/b"}[1m]`, at)
	require.NoError(t, err)
	require.Len(t, matrix, 1)
	require.EqualValues(t, 20, matrix[0].Values[0].Value)
	other.Terminate(t)
}

func testDeleteSeries(t *testing.T, c *apiCase) {
	// The page loses the series first, or the next scrape would bring it back.
	c.site.Set("/metrics", harness.Page{ContentType: "application/openmetrics-text; version=1.0.0", Body: "# EOF\n"})
	c.server.WaitFor(t, soon, `scrape_samples_scraped{job="app"}`, 0)
	before, err := c.server.Matrix(t, `app_requests_total[5m]`, time.Now())
	require.NoError(t, err)
	require.Len(t, before, 2)
	require.NoError(t, c.DeleteSeries(t.Context(), []string{`app_requests_total{path="/a"}`}, c.begin, time.Now()))
	after, err := c.server.Matrix(t, `app_requests_total[5m]`, time.Now())
	require.NoError(t, err)
	require.Equal(t, before[1:], after)
}

func testCleanTombstones(t *testing.T, c *apiCase) {
	require.NoError(t, c.CleanTombstones(t.Context()))
	matrix, err := c.server.Matrix(t, `app_requests_total[5m]`, time.Now())
	require.NoError(t, err)
	require.Len(t, matrix, 1, "what was deleted stays away, the rest stays")
	require.Equal(t, model.LabelValue("/b"), matrix[0].Metric["path"])
}
