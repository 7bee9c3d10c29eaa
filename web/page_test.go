package web

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/gnomonhq/gnomon/web/api"
)

// fakeTSDB, fakeTargets, fakeRules and fakeAlertmanagers show what they are
// told.
type fakeTSDB struct {
	stats api.TSDBStats
	err   error
}

func (f *fakeTSDB) Stats(context.Context, int) (api.TSDBStats, error) { return f.stats, f.err }
func (f *fakeTSDB) Blocks(context.Context) ([]api.Block, error)       { return nil, f.err }
func (f *fakeTSDB) WALReplay() api.WALReplay                          { return api.WALReplay{Min: 3, Max: 9, Current: 5} }

type fakeTargets map[string][]api.Target

func (f fakeTargets) ScrapePools() []string                      { return nil }
func (f fakeTargets) ActiveTargets() map[string][]api.Target     { return f }
func (f fakeTargets) DroppedTargets() map[string][]labels.Labels { return nil }
func (f fakeTargets) DroppedTargetCounts() map[string]int        { return map[string]int{"a": 2, "b": 3} }
func (f fakeTargets) ScrapePoolConfig(string) (api.ScrapePoolConfig, error) {
	return api.ScrapePoolConfig{}, nil
}
func (f fakeTargets) TargetMetadata(string) iter.Seq2[labels.Labels, []api.FamilyMetadata] {
	return func(func(labels.Labels, []api.FamilyMetadata) bool) {}
}

type fakeRules []api.RuleGroup

func (f fakeRules) RuleGroups(bool) []api.RuleGroup { return f }

type fakeAlertmanagers []string

func (f fakeAlertmanagers) Alertmanagers() []string        { return f }
func (f fakeAlertmanagers) DroppedAlertmanagers() []string { return nil }

// page returns a page of a server, after a look at its form.
func page(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	body := w.Body.String()
	require.NotContains(t, body, "<script")
	require.NotContains(t, body, "ZgotmplZ", "the template refused a value")
	_, err := html.Parse(strings.NewReader(body))
	require.NoError(t, err)
	for _, tag := range []string{"section", "table", "tbody", "div", "main", "html", "code", "pre", "span"} {
		require.Equal(t, strings.Count(body, "<"+tag+">")+strings.Count(body, "<"+tag+" "), strings.Count(body, "</"+tag+">"), tag)
	}
	return w.Code, body
}

func fullOptions() Options {
	now := time.Unix(10_000, 0)
	notifications := api.NewNotifications(api.NotificationsOptions{Now: func() time.Time { return now }})
	notifications.Set("The configuration is <broken>.")
	return Options{
		ExternalURL: &url.URL{Scheme: "http", Host: "x", Path: "/p"},
		PageTitle:   "My <Title>",
		RuntimeState: func() RuntimeState {
			return RuntimeState{ReloadConfigSuccess: true, LastConfigTime: now.Add(-time.Hour), StorageRetention: "15d"}
		},
		API: api.Options{
			Now:           func() time.Time { return now },
			BuildInfo:     api.BuildInfo{Version: "1.2.3", Revision: "abcdef"},
			Config:        func() string { return "global:\n  x: <secret>\n" },
			Notifications: notifications,
			TSDB:          &fakeTSDB{stats: api.TSDBStats{NumSeries: 1234, SeriesByMetricName: []api.Cardinality{{Name: "up<", Value: 17}}}},
			Alertmanagers: fakeAlertmanagers{"http://am:9093/api/v2/alerts"},
			Targets: fakeTargets{
				"node": {
					{URL: "http://good:1/metrics", Health: "up", LastScrape: now.Add(-15 * time.Second), LastScrapeDuration: 12345 * time.Microsecond},
					{URL: "http://bad:1/metrics?<x>", Health: "down", LastError: "connection <refused>"},
				},
				"new": {{URL: "http://new:1/metrics", Health: "unknown"}},
			},
			Rules: fakeRules{{Name: "g", Rules: []api.Rule{
				{Kind: api.AlertingRule, Name: "Down", Health: "ok", Alerts: []api.Alert{
					{Labels: labels.FromStrings("alertname", "Down"), State: "pending", ActiveAt: now.Add(-time.Minute)},
					{Labels: labels.FromStrings("alertname", "Down", "x", "<y>"), Annotations: labels.FromStrings("summary", "It is <down>."), State: "firing", ActiveAt: now.Add(-90 * time.Minute), Value: 0.5},
				}},
				{Name: "broken:rule", Query: "a < b", Health: "err", LastError: "many <to> many"},
			}}},
		},
	}
}

func TestStatusPage(t *testing.T) {
	s, err := New(fullOptions())
	require.NoError(t, err)
	code, body := page(t, s, "/p/status")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "segment 5 of 3 to 9", "it is shown while the log is replayed")
	s.SetReady(Ready)
	_, body = page(t, s, "/p/status")
	for _, text := range []string{
		"<title>My &lt;Title&gt;</title>", `<span class="pill ready">ready</span>`, "1.2.3 (abcdef)",
		"The configuration is &lt;broken&gt;.", "global:\n  x: &lt;secret&gt;",
		"1 up, 1 down, 1 not scraped yet, 5 dropped by relabelling", "http://bad:1/metrics?&lt;x&gt;", "connection &lt;refused&gt;",
		"15s ago", "12ms", ">never<", `<span class="pill firing">firing</span>`, "x=&#34;&lt;y&gt;&#34;", "It is &lt;down&gt;.", "1h30m ago",
		"broken:rule", "many &lt;to&gt; many", "http://am:9093/api/v2/alerts", "1234 series", "up&lt;", "kept for 15d",
		`href="/p/api/v1/targets"`, `action="/p/query"`,
	} {
		if text == `action="/p/query"` {
			continue // that of the other page
		}
		require.Contains(t, body, text)
	}
	require.Less(t, strings.Index(body, "http://bad:1"), strings.Index(body, "http://new:1"), "trouble first")
	require.Less(t, strings.Index(body, "http://new:1"), strings.Index(body, "http://good:1"))
	require.Less(t, strings.Index(body, `pill firing`), strings.Index(body, `pill pending`))
}

// TestEmptyStatusPage: a server without any part, and one whose storage fails.
func TestEmptyStatusPage(t *testing.T) {
	s, err := New(Options{ExternalURL: &url.URL{}})
	require.NoError(t, err)
	_, body := page(t, s, "/status")
	require.Contains(t, body, "not loaded")

	s, err = New(Options{ExternalURL: &url.URL{}, API: api.Options{
		TSDB: &fakeTSDB{err: errors.New("index <damaged>")}, Targets: fakeTargets{}, Rules: fakeRules{}, Alertmanagers: fakeAlertmanagers{},
	}})
	require.NoError(t, err)
	s.SetReady(Stopping)
	_, body = page(t, s, "/status")
	for _, text := range []string{"index &lt;damaged&gt;", "No target is watched", "Nothing is firing", "None is failing", "sent nowhere", "pill stopping"} {
		require.Contains(t, body, text)
	}
}

// TestStatusPageIsBounded: it does not grow with what is watched.
func TestStatusPageIsBounded(t *testing.T) {
	opts := fullOptions()
	targets := make([]api.Target, 3000)
	for i := range targets {
		targets[i] = api.Target{URL: fmt.Sprintf("http://t%d/", i), Health: "up"}
	}
	opts.API.Targets = fakeTargets{"many": targets}
	opts.API.Rules = fakeRules{{Rules: []api.Rule{{Alerts: make([]api.Alert, 1000)}}}}
	s, err := New(opts)
	require.NoError(t, err)
	_, body := page(t, s, "/p/status")
	require.Equal(t, maxTargetRows, strings.Count(body, "<code>http://t"))
	require.Contains(t, body, "2500 more are not shown")
	require.Contains(t, body, "800 more are not shown")
}

func TestQueryPage(t *testing.T) {
	var res *api.Result
	var fail error
	opts := fullOptions()
	opts.API.Engine = engineFunc(func() (*api.Result, error) { return res, fail })
	s, err := New(opts)
	require.NoError(t, err)
	s.SetReady(Ready)
	ask := func() (int, string) { return page(t, s, "/p/query?g0.expr="+url.QueryEscape(`up{a="<b>"}`)) }

	code, body := page(t, s, "/p/query")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, `action="/p/query"`)
	require.NotContains(t, body, "results")

	m := labels.FromStrings("__name__", "up", "a", "<b>")
	h := &histogram.FloatHistogram{Count: 3, Sum: 4}
	released := 0
	for _, c := range []struct {
		res  *api.Result
		want []string
	}{
		{&api.Result{Type: parser.ValueTypeVector, Vector: []api.Sample{{Metric: m, F: 0.5}, {Metric: m, H: h}}}, []string{"2 results", "up{a=&#34;&lt;b&gt;&#34;}", "0.5", "count:3"}},
		{&api.Result{Type: parser.ValueTypeVector}, []string{"no value at this moment"}},
		{&api.Result{Type: parser.ValueTypeVector, Vector: make([]api.Sample, 2000)}, []string{"1500 more are not shown"}},
		{&api.Result{Type: parser.ValueTypeScalar, Scalar: api.FloatPoint{F: 7}}, []string{"scalar", "7"}},
		{&api.Result{Type: parser.ValueTypeString, String: api.StringPoint{V: "<x>"}}, []string{"&lt;x&gt;"}},
		{&api.Result{Type: parser.ValueTypeMatrix, Matrix: []api.Series{{Metric: m, Floats: make([]api.FloatPoint, 30), Histograms: []api.HistogramPoint{{H: h}}}}}, []string{"…", "0 @0", "1 histograms"}},
	} {
		res = c.res
		res.Annotations.Add(errors.New("careful <here>"))
		res.Release = func() { released++ }
		code, body = ask()
		require.Equal(t, http.StatusOK, code)
		require.Contains(t, body, `value="up{a=&#34;&lt;b&gt;&#34;}"`)
		require.Contains(t, body, "careful &lt;here&gt;")
		for _, text := range c.want {
			require.Contains(t, body, text)
		}
	}
	require.Equal(t, 6, released)

	fail = &api.QueryError{Kind: api.QueryInvalid, Err: errors.New("1:3: parse error: <what>")}
	code, body = ask()
	require.Equal(t, http.StatusBadRequest, code)
	require.Contains(t, body, "1:3: parse error: &lt;what&gt;")
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 1500: "2µs", 1234567: "1ms", 1234 * time.Millisecond: "1.2s",
		90 * time.Second: "1m30s", 47 * time.Hour: "1d23h", 100*time.Hour + time.Minute: "4d4h",
	} {
		require.Equal(t, want, shortDuration(d))
	}
}
