package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	grafanaregexp "github.com/grafana/regexp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/features"
	"github.com/prometheus/prometheus/util/notifications"
	"github.com/prometheus/prometheus/util/teststorage"
	upstream "github.com/prometheus/prometheus/web/api/v1"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// fixtureLoad is the data of the fixture: plain series, odd values, odd labels,
// native histograms of both kinds.
const fixtureLoad = `
	up{job="node",instance="a:9100"} 1 1 1 0 0 0 1 1 1 1 1
	up{job="node",instance="b:9100"} 1x10
	http_requests_total{job="api",code="200",handler="/"} 0+10x10
	http_requests_total{job="api",code="500",handler="/"} 0+1x10
	http_request_duration_seconds_bucket{job="api",le="0.1"} 0+5x10
	http_request_duration_seconds_bucket{job="api",le="+Inf"} 0+9x10
	odd_values{v="nan"} NaN NaN NaN NaN NaN NaN NaN NaN NaN NaN NaN
	odd_values{v="inf"} Inf Inf Inf Inf Inf Inf Inf Inf Inf Inf Inf
	odd_values{v="neginf"} -Inf -Inf -Inf -Inf -Inf -Inf -Inf -Inf -Inf -Inf -Inf
	odd_values{v="tiny"} 0.0000001x10
	odd_values{v="fraction"} 0.1+0.1x10
	odd_values{v="huge"} 1e21x10
	odd_values{v="large"} 123456789012345678x10
	odd_values{v="negzero"} -0x10
	odd_labels{html="<a href=\"x\">&</a>",unicode="héé→",quote="\"\\",control="\u0001\b\f\n\r\t\u007f",sep="\u2028\u2029"} 1x10
	{"metric.with.dots","label with space"="x"} 3x10
	native{job="api"} {{schema:1 count:10 sum:12.5 z_bucket:2 z_bucket_w:0.001 buckets:[1 0 2 5] n_buckets:[1 1]}}x10
	native_custom{job="api"} {{schema:-53 count:6 sum:8 custom_values:[0.5 1 2] buckets:[1 2 0 3]}}x10
	mixed{job="api"} 1 2 3 {{schema:0 count:4 sum:4 buckets:[1 2 1]}} {{schema:0 count:5 sum:5 buckets:[1 3 1]}} 4
	gaps{job="api"} 1 _ _ 4 _ stale 7 _ _ _ 11
`

// fixture is one set of data and fakes in upstream's types. Both servers answer
// from it.
type fixture struct {
	storage *teststorage.TestStorage
	engine  *promql.Engine
	parser  parser.Parser
	targets map[string][]*scrape.Target
	dropped map[string][]*scrape.Target
	pools   map[string]*config.ScrapeConfig
	groups  []*rules.Group
	model   *storagetest.Model
}

// at is a time of the fixture, seconds after its first sample.
func at(seconds int) time.Time { return time.Unix(int64(seconds), 0).UTC() }

func newFixture(t testing.TB) *fixture {
	f := &fixture{
		// One load per series, since a load appends its series in random order
		// and upstream's results have the order of the index.
		storage: promqltest.LoadedStorage(t, strings.ReplaceAll(fixtureLoad, "\n\t", "\n\nload 1m\n\t")),
		parser:  parser.NewParser(promqltest.TestParserOpts),
	}
	f.engine = promqltest.NewTestEngineWithOpts(t, promql.EngineOpts{
		MaxSamples:               2000,
		Timeout:                  30 * time.Second,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		EnablePerStepStats:       true,
		LookbackDelta:            5 * time.Minute,
		Parser:                   f.parser,
	})
	app := f.storage.Appender(t.Context())
	_, err := app.AppendExemplar(0, labels.FromStrings("__name__", "http_requests_total", "job", "api", "code", "200", "handler", "/"),
		exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "<abc>"), Value: 0.25, Ts: 61_500, HasTs: true})
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	f.addTargets(t)
	f.addRules(t)
	f.fillModel(t)
	return f
}

// fixtureMetadata is what the targets expose, by job.
var fixtureMetadata = map[string][]scrape.MetricMetadata{
	"api": {
		{MetricFamily: "http_requests_total", Type: model.MetricTypeCounter, Help: "Requests & <more>.", Unit: ""},
		{MetricFamily: "http_request_duration_seconds", Type: model.MetricTypeHistogram, Help: "", Unit: "seconds"},
	},
}

type metadataStore []scrape.MetricMetadata

func (m metadataStore) ListMetadata() []scrape.MetricMetadata { return m }
func (m metadataStore) SizeMetadata() int                     { return 0 }
func (m metadataStore) LengthMetadata() int                   { return len(m) }
func (m metadataStore) GetMetadata(name string) (scrape.MetricMetadata, bool) {
	for _, x := range m {
		if x.MetricFamily == name {
			return x, true
		}
	}
	return scrape.MetricMetadata{}, false
}

func (f *fixture) addTargets(t testing.TB) {
	const text = `
scrape_configs:
- job_name: api
  relabel_configs:
  - {source_labels: [__meta_zone], target_label: zone}
  - {action: drop, source_labels: [__meta_env], regex: test}
  - {target_label: after, replacement: drop}
- job_name: node
`
	c, err := config.Load(text, promslog.NewNopLogger())
	require.NoError(t, err)
	f.pools = map[string]*config.ScrapeConfig{}
	for _, sc := range c.ScrapeConfigs {
		f.pools[sc.JobName] = sc
	}
	target := func(pool, scheme, address, path string) *scrape.Target {
		target := scrape.NewTarget(
			labels.FromStrings("__address__", address, "__metrics_path__", path, "__scheme__", scheme,
				"__scrape_interval__", "15s", "__scrape_timeout__", "10s", "instance", address, "job", pool, "zone", "<z>"),
			f.pools[pool],
			model.LabelSet{"__address__": model.LabelValue(address), "__meta_zone": "<z>"},
			model.LabelSet{"job": model.LabelValue(pool)},
		)
		target.SetMetadataStore(metadataStore(fixtureMetadata[pool]))
		return target
	}
	good := target("api", "http", "api.example:80", "/metrics")
	good.Report(at(590), 70*time.Millisecond, nil)
	bad := target("node", "https", "localhost:9100", "/metrics")
	bad.Report(at(600), 100*time.Microsecond, errors.New(`server returned HTTP status 404 & "<nothing>"`))
	self := target("node", "http", "127.0.0.1:9090", "/metrics")
	ipv6 := target("node", "http", "[::1]", "/m?x=1&y=<2>")
	f.targets = map[string][]*scrape.Target{"api": {good}, "node": {bad, self, ipv6}}
	f.dropped = map[string][]*scrape.Target{"node": {target("node", "http", "gone:1", "/metrics")}}
}

func (f *fixture) addRules(t testing.TB) {
	expr := func(text string) parser.Expr {
		e, err := f.parser.ParseExpr(text)
		require.NoError(t, err)
		return e
	}
	down := rules.NewAlertingRule("Down", expr("up == 0"), time.Minute, 5*time.Minute,
		labels.FromStrings("severity", "page", "team", "a"),
		labels.FromStrings("summary", "{{ $labels.instance }} is <down>"), labels.EmptyLabels(), "", true, promslog.NewNopLogger())
	quiet := rules.NewAlertingRule("Quiet", expr("vector(0) > 1"), 0, 0,
		labels.EmptyLabels(), labels.EmptyLabels(), labels.EmptyLabels(), "", true, promslog.NewNopLogger())
	rate := rules.NewRecordingRule("job:rate", expr(`sum by(job) (rate(http_requests_total{code!="500"}[5m]))`), labels.FromStrings("team", "b"))
	broken := rules.NewRecordingRule("broken", expr(`up * on() up`), labels.EmptyLabels())

	query := rules.EngineQueryFunc(f.engine, f.storage)
	for _, seconds := range []int{180, 240, 300, 360} {
		_, err := down.Eval(t.Context(), 0, at(seconds), query, &url.URL{}, 0)
		require.NoError(t, err)
	}
	down.SetEvaluationTimestamp(at(360))
	down.SetEvaluationDuration(1500 * time.Microsecond)
	down.SetHealth(rules.HealthGood)
	rate.SetEvaluationTimestamp(at(361))
	rate.SetEvaluationDuration(3 * time.Nanosecond)
	rate.SetHealth(rules.HealthGood)
	broken.SetHealth(rules.HealthBad)
	broken.SetLastError(errors.New("many-to-many matching not allowed: <x>"))

	group := func(file, name string, limit int, list ...rules.Rule) *rules.Group {
		return rules.NewGroup(rules.GroupOptions{
			Name: name, File: file, Interval: 15 * time.Second, Limit: limit, Rules: list,
			Opts: &rules.ManagerOptions{Logger: promslog.NewNopLogger(), Registerer: prometheus.NewRegistry()},
		})
	}
	f.groups = []*rules.Group{
		group("/rules/a.yml", "availability", 0, down, rate),
		group("/rules/a.yml", "quiet", 7, quiet),
		group("/rules/b.yml", "availability", 0, broken),
	}
}

// fillModel copies the upstream storage into a store of ours.
func (f *fixture) fillModel(t testing.TB) {
	f.model = storagetest.NewModel(0)
	app := f.model.Appender(t.Context())
	q, err := f.storage.Querier(0, at(3600).UnixMilli())
	require.NoError(t, err)
	defer q.Close()
	set := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
	for set.Next() {
		ls := set.At().Labels()
		it := set.At().Iterator(nil)
		var ref storage.SeriesRef
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			switch kind {
			case chunkenc.ValFloat:
				ms, v := it.At()
				ref, err = app.Append(0, ls, ms, v)
			case chunkenc.ValHistogram:
				ms, h := it.AtHistogram(nil)
				ref, err = app.AppendHistogram(0, ls, ms, h, nil)
			default:
				ms, fh := it.AtFloatHistogram(nil)
				ref, err = app.AppendHistogram(0, ls, ms, nil, fh)
			}
			require.NoError(t, err)
		}
		require.NoError(t, it.Err())
		f.fillFamily(t, app, ref, ls)
	}
	require.NoError(t, set.Err())
	require.NoError(t, app.Commit())
}

// fillFamily copies exemplars and metadata of a series.
func (f *fixture) fillFamily(t testing.TB, app storage.Appender, ref storage.SeriesRef, ls labels.Labels) {
	eq, err := f.storage.ExemplarQuerier(t.Context())
	require.NoError(t, err)
	var matchers []*labels.Matcher
	ls.Range(func(l labels.Label) {
		matchers = append(matchers, labels.MustNewMatcher(labels.MatchEqual, l.Name, l.Value))
	})
	found, err := eq.Select(0, at(3600).UnixMilli(), matchers)
	require.NoError(t, err)
	for _, s := range found {
		for _, x := range s.Exemplars {
			require.NoError(t, app.AppendExemplar(ref, x))
		}
	}
	for _, family := range fixtureMetadata["api"] {
		name := ls.Get("__name__")
		if name == family.MetricFamily || name == family.MetricFamily+"_bucket" {
			require.NoError(t, app.SetMetadata(ref, metadata.Metadata{Type: family.Type, Help: family.Help, Unit: family.Unit}))
		}
	}
}

const (
	fixtureConfig = "global:\n  scrape_interval: 15s\n  external_labels:\n    region: <eu>\n"
	listenAddress = "0.0.0.0:9090"
)

var (
	externalURL    = &url.URL{Scheme: "https", Host: "prom.example:8443", Path: "/p"}
	fixtureFlags   = map[string]string{"web.listen-address": "0.0.0.0:9090", "log.level": "info", "web.cors.origin": ".*"}
	fixtureVersion = upstream.PrometheusVersion{Version: "3.15.0", Revision: "abc", Branch: "main", BuildUser: "me@<host>", BuildDate: "20260101", GoVersion: "go1.26"}
	fixtureBlocks  = []tsdb.BlockMeta{
		{MinTime: 0, MaxTime: 7200000, Version: 1,
			Stats:      tsdb.BlockStats{NumSamples: 12, NumFloatSamples: 10, NumHistogramSamples: 2, NumSeries: 3, NumChunks: 4, NumTombstones: 1},
			Compaction: tsdb.BlockMetaCompaction{Level: 2, Deletable: true, Failed: true, Hints: []string{"from-out-of-order"}, Parents: []tsdb.BlockDesc{{MaxTime: 5}}}},
		{MinTime: 7200000, MaxTime: 14400000, Version: 1, Compaction: tsdb.BlockMetaCompaction{Level: 1}},
	}
)

func fixtureFeatures() features.Collector {
	r := features.NewRegistry()
	r.Enable("promql_operators", ">=")
	r.Disable("api", "admin")
	r.Enable("api", "a")
	return r
}

// upstreamHandler returns Prometheus's own API over the fixture.
func (f *fixture) upstreamHandler(t testing.TB) http.Handler {
	cfg, err := config.Load(fixtureConfig, promslog.NewNopLogger())
	require.NoError(t, err)
	chunks := prometheus.NewGauge(prometheus.GaugeOpts{Name: "prometheus_tsdb_head_chunks"})
	chunks.Set(42)
	gatherer := prometheus.NewRegistry()
	gatherer.MustRegister(chunks)
	fakes := &upstreamFakes{f}
	a := upstream.NewAPI(f.engine, f.storage, nil, nil, f.storage,
		func(context.Context) upstream.ScrapePoolsRetriever { return fakes },
		func(context.Context) upstream.TargetRetriever { return fakes },
		func(context.Context) upstream.AlertmanagerRetriever { return fakes },
		func() config.Config { return *cfg }, fixtureFlags,
		upstream.GlobalURLOptions{ListenAddress: listenAddress, Host: externalURL.Host, Scheme: externalURL.Scheme},
		func(h http.HandlerFunc) http.HandlerFunc { return h },
		fakes, t.TempDir(), true, false, 0, promslog.NewNopLogger(),
		func(context.Context) upstream.RulesRetriever { return fakes },
		0, 0, 0, false, grafanaregexp.MustCompile("^(?:https://good.example)$"), nil, &fixtureVersion,
		func() []notifications.Notification { return []notifications.Notification{} },
		func() (<-chan notifications.Notification, func(), bool) { return nil, nil, false },
		gatherer, nil, nil, false, nil, false, false, false, false, 5*time.Minute, false, false, nil,
		fixtureFeatures(), upstream.OpenAPIOptions{}, f.parser)
	router := route.New()
	a.Register(router.WithPrefix("/api/v1"))
	return router
}
