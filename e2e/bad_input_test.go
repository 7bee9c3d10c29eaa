package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// A server is not started on files that do not say what it should do. It names the file,
// the line and what is wrong there.
func TestBrokenFilesStopTheStart(t *testing.T) {
	t.Parallel()
	const job = "scrape_configs:\n- job_name: a\n"
	const rule = "groups:\n- name: g\n  rules:\n"
	for _, test := range []struct {
		name   string
		config string
		rules  string // rules.yml, if the configuration is not to blame.
		line   int
		says   string
	}{
		{name: "syntax", config: "global:\n  scrape_interval: [1s\n", line: 2, says: ""},
		{name: "tab", config: "global:\n\tscrape_interval: 1s\n", line: 2, says: "tab|character"},
		{name: "unknown field", config: "global:\n  scrape_interval: 1s\n  scrape_intervall: 1s\n", line: 3, says: "scrape_intervall"},
		{name: "wrong type", config: "scrape_configs:\n  job_name: a\n", line: 2, says: ""},
		{name: "bad duration", config: "global:\n  scrape_interval: 1 parsec\n", line: 2, says: "parsec"},
		{name: "job twice", config: job + "- job_name: a\n", line: 3, says: `"a"`},
		{name: "timeout over interval", config: job + "  scrape_interval: 1s\n  scrape_timeout: 2s\n", line: 4, says: "timeout"},
		{name: "relabel regex", config: job + "  relabel_configs:\n  - regex: '('\n", line: 4, says: "regex|missing closing"},
		{name: "relabel action", config: job + "  relabel_configs:\n  - action: explode\n", line: 4, says: "explode"},
		{name: "bad target", config: job + "  static_configs:\n  - targets: ['http://a/metrics']\n", line: 4, says: "http://a/metrics"},
		{name: "etcd without endpoints", config: job + "  etcd_sd_configs:\n  - prefix: /a/\n", line: 4, says: "endpoints"},
		{name: "password twice", config: job + "  basic_auth:\n    username: a\n    password: secret\n    password_file: f\n", line: 5, says: "password"},

		{name: "rules syntax", rules: "groups:\n- name: [g\n", line: 2, says: ""},
		{name: "rules unknown field", rules: rule + "  - record: a\n    exprr: up\n", line: 5, says: "exprr"},
		{name: "rules expression", rules: rule + "  - record: a\n    expr: sum(up\n", line: 5, says: "parenthesis"},
		{name: "rules record name", rules: rule + "  - record: ''\n    expr: up\n", line: 4, says: "record|alert"},
		{name: "rules template", rules: rule + "  - alert: A\n    expr: up\n    annotations:\n      s: '{{ .Nope'\n", line: 7, says: "template|unclosed"},
		{name: "rules group twice", rules: "groups:\n- name: g\n- name: g\n", line: 3, says: `g`},
		{name: "rules for of a record", rules: rule + "  - record: a\n    expr: up\n    for: 1m\n", line: 6, says: "for"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			file := "prometheus.yml"
			if test.rules != "" {
				file, test.config = "rules.yml", "rule_files: [rules.yml]\n"
			}
			server := harness.NewGnomon(t, harness.Options{Config: test.config})
			server.WriteFile(t, "rules.yml", test.rules)
			server.Launch(t)
			require.NotZero(t, server.Wait(t), "the exit status")
			output := server.Output(t)
			require.Regexp(t, atLine(file, test.line), output)
			require.Regexp(t, test.says, output)
			require.NotContains(t, output, "secret", "secrets do not belong on the terminal")
			require.NotContains(t, output, "goroutine ", "this is a crash")
		})
	}
}

// brokenPages has one body for each way a scrape can go wrong, and a part of the error that
// the target must then show.
var brokenPages = []struct {
	name string
	page harness.Page
	says string
}{
	{"name", text("ok 1\n9bad 1\n"), ""},
	{"no value", text("ok 1\nbad\n"), ""},
	{"value", text("ok 1\nbad one\n"), "one"},
	{"value overflow", text("ok 1\nbad 1e999\n"), "1e999"},
	{"two values", text("ok 1\nbad 1 2 3\n"), ""},
	{"timestamp", text("ok 1\nbad 1 noon\n"), "timestamp"},
	{"timestamp fraction", text("ok 1\nbad 1 1.5\n"), ""},
	{"open braces", text("ok 1\nbad{a=\"1\" 1\n"), ""},
	{"open quote", text("ok 1\nbad{a=\"1} 1\n"), ""},
	{"unquoted label", text("ok 1\nbad{a=1} 1\n"), ""},
	{"label name", text("ok 1\nbad{1a=\"1\"} 1\n"), ""},
	{"label twice", text("ok 1\nbad{a=\"1\",a=\"2\"} 1\n"), "label"},
	{"label without value", text("ok 1\nbad{a} 1\n"), ""},
	{"invalid UTF-8", text("ok 1\nbad{a=\"\xff\"} 1\n"), "UTF-8"},
	{"type", text("ok 1\n# TYPE bad speed\nbad 1\n"), "speed"},
	{"OpenMetrics no EOF", openMetrics("ok 1\n"), "EOF"},
	{"OpenMetrics after EOF", openMetrics("ok 1\n# EOF\nbad 1\n"), "EOF"},
	{"OpenMetrics exemplar", openMetrics("# TYPE ok counter\nok_total 1 # {a=\"1\" 1\n# EOF\n"), ""},
	{"OpenMetrics comment", openMetrics("ok 1\n# just words\n# EOF\n"), ""},
	{"OpenMetrics unit", openMetrics("# TYPE ok gauge\n# UNIT ok seconds\nok 1\n# EOF\n"), "unit"},
	{"protobuf", harness.Page{ContentType: protobufType, Body: "\x05\xff\xff\xff\xff\xff"}, ""},
	{"protobuf cut", harness.Page{ContentType: protobufType, Body: "\x7f\x0a\x02ok"}, ""},
	{"no content type", harness.Page{Body: "ok 1\n"}, "Content-Type"},
	{"content type", harness.Page{ContentType: "text/html", Body: "ok 1\n"}, "text/html"},
	{"status", harness.Page{Status: http.StatusTeapot, ContentType: textType, Body: "ok 1\n"}, "418"},
	{"too long", text("ok 1\n" + strings.Repeat("# no samples, just bytes\n", 100)), "body"},
	{"too many samples", text(manySamples(21)), "sample"},
	{"too many labels", text(`bad{a="",b="1",c="2",d="3",e="4",f="5"} 1` + "\n"), "label"},
	{"label name too long", text(`bad{` + strings.Repeat("a", 31) + `="1"} 1` + "\n"), "label"},
	{"label value too long", text(`bad{a="` + strings.Repeat("v", 101) + `"} 1` + "\n"), "label"},
}

const (
	textType        = "text/plain; version=0.0.4"
	openMetricsType = "application/openmetrics-text; version=1.0.0"
	protobufType    = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

// manySamples returns a body of n samples.
func manySamples(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "ok{i=\"%d\"} 1\n", i)
	}
	return b.String()
}

func text(body string) harness.Page { return harness.Page{ContentType: textType, Body: body} }

func openMetrics(body string) harness.Page {
	return harness.Page{ContentType: openMetricsType, Body: body}
}

// A target that says something wrong is down, says why, stores nothing of it, and affects
// no other target. Once it speaks properly it is up.
func TestBrokenExposition(t *testing.T) {
	t.Parallel()
	site := harness.StartSite(t)
	site.Set("/good", text("ok 1")) // No newline at the end is no fault.
	targets := []string{target(site, "good", "/good")}
	for i, broken := range brokenPages {
		path := fmt.Sprintf("/%d", i)
		site.Set(path, broken.page)
		targets = append(targets, target(site, broken.name, path))
	}
	server := harness.StartGnomon(t, harness.Options{Config: `
global:
  scrape_interval: 500ms
  body_size_limit: 2KB
  sample_limit: 20
  label_limit: 7
  label_name_length_limit: 30
  label_value_length_limit: 100
scrape_configs:
- job_name: broken
  static_configs:
` + strings.Join(targets, "")})

	harness.Eventually(t, soon, "every broken target to be down with a reason", func() error {
		found := activeTargets(t, server, "broken")
		for _, broken := range brokenPages {
			got := found[broken.name]
			if got.Health != v1.HealthBad || got.LastError == "" || !containsFold(got.LastError, broken.says) {
				return fmt.Errorf("%q is %q, error %q, which should say %q", broken.name, got.Health, got.LastError, broken.says)
			}
		}
		return nil
	})
	server.WaitFor(t, soon, fmt.Sprintf(`count(up{instance!="good"} == 0) == bool %d`, len(brokenPages)), 1)
	server.WaitFor(t, soon, `up{instance="good"}`, 1)
	server.WaitFor(t, soon, `ok`, 1)
	vector, err := server.Vector(t, `{__name__=~"ok.*|bad"}`)
	require.NoError(t, err)
	require.Len(t, vector, 1, "a scrape that failed stores nothing of the body")

	for i := range brokenPages {
		site.Set(fmt.Sprintf("/%d", i), text("ok 1\n"))
	}
	server.WaitFor(t, soon, `count(up == 1)`, float64(len(brokenPages)+1))
	server.WaitFor(t, soon, `count(ok)`, float64(len(brokenPages)+1))
}

// target returns an entry of static_configs for a page of a site.
func target(site *harness.Site, instance, path string) string {
	return fmt.Sprintf("  - {targets: ['%s'], labels: {instance: '%s', __metrics_path__: '%s'}}\n", site.Address(), instance, path)
}

// A request that makes no sense is answered with what is wrong about it.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	server := harness.StartGnomon(t, harness.Options{Config: "scrape_configs: []\n"})
	const query, queryRange = "/api/v1/query", "/api/v1/query_range"
	for _, test := range []struct {
		path   string
		params url.Values
		says   string
	}{
		{query, form(), "query"},
		{query, form("query", ""), "query"},
		{query, form("query", "sum(up"), "1:"},
		{query, form("query", `up{job="a`), "1:"},
		{query, form("query", `{}`), "matcher"},
		{query, form("query", `up[5m`), "1:"},
		{query, form("query", `rate(up)`), "range vector"},
		{query, form("query", `nope(up)`), "nope"},
		{query, form("query", `up{job=~"("}`), "missing closing"},
		{query, form("query", "up", "time", "noon"), "time"},
		{query, form("query", "up", "timeout", "soon"), "timeout"},
		{query, form("query", "up", "lookback_delta", "x"), "lookback"},
		{query, form("query", "up", "limit", "-1"), "limit"},
		{queryRange, form("query", "up"), "start"},
		{queryRange, form("query", "up", "start", "0", "end", "x", "step", "1"), "end"},
		{queryRange, form("query", "up", "start", "10", "end", "0", "step", "1"), "end"},
		{queryRange, form("query", "up", "start", "0", "end", "10", "step", "0"), "step"},
		{queryRange, form("query", "up", "start", "0", "end", "10", "step", "-1"), "step"},
		{queryRange, form("query", "up", "start", "0", "end", "10", "step", "x"), "step"},
		{queryRange, form("query", "up", "start", "0", "end", "11001", "step", "1"), "11,000"},
		{queryRange, form("query", "up[1m]", "start", "0", "end", "10", "step", "1"), "range"},
		{"/api/v1/labels", form("match[]", "{"), ""},
		{"/api/v1/labels", form("start", "x"), "start"},
		{"/api/v1/label/a/values", form("match[]", `{a=~".*"}`), "matcher"},
		{"/api/v1/label/a/values", form("end", "x"), "end"},
		{"/api/v1/label/a/values", form("limit", "x"), "limit"},
		{"/api/v1/series", form(), "match"},
		{"/api/v1/series", form("match[]", `{a="`), ""},
		{"/api/v1/series", form("match[]", "up", "start", "x"), "start"},
		{"/api/v1/metadata", form("limit", "x"), "limit"},
		{"/api/v1/targets/metadata", form("match_target", "{"), ""},
		{"/api/v1/targets/metadata", form("limit", "x"), "limit"},
		{"/api/v1/rules", form("type", "x"), "type"},
		{"/api/v1/rules", form("match[]", "{"), ""},
		{"/api/v1/query_exemplars", form("query", "up", "start", "x"), "start"},
		{"/api/v1/query_exemplars", form("query", "sum(", "start", "0", "end", "1"), ""},
		{"/api/v1/format_query", form("query", "sum("), ""},
		{"/api/v1/parse_query", form("query", "sum("), ""},
		{"/api/v1/status/tsdb", form("limit", "x"), "limit"},
	} {
		t.Run(test.path+"?"+test.params.Encode(), func(t *testing.T) {
			status, body := server.Get(t, test.path, test.params)
			require.Equal(t, http.StatusBadRequest, status, body)
			var answer struct{ Status, ErrorType, Error string }
			require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
			require.Equal(t, "error", answer.Status)
			require.Equal(t, "bad_data", answer.ErrorType)
			require.NotEmpty(t, answer.Error)
			require.Contains(t, strings.ToLower(answer.Error), strings.ToLower(test.says))
		})
	}
	status, _ := server.Get(t, "/api/v1/nothing", nil)
	require.Equal(t, http.StatusNotFound, status)
	status, body := server.Post(t, "/api/v1/admin/tsdb/delete_series", form("match[]", "up"))
	require.NotEqual(t, http.StatusOK, status, "the admin API must be asked for: %s", body)
	require.NotEqual(t, http.StatusNoContent, status, "the admin API must be asked for: %s", body)
	status, _ = server.Get(t, "/-/healthy", nil)
	require.Equal(t, http.StatusOK, status)
}
