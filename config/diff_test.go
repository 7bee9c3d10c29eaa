package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const diffBase = `
global:
  scrape_interval: 20s
  external_labels: {a: b}
rule_files: [r.yml]
alerting:
  alertmanagers:
    - static_configs: [{targets: ["am:9093"]}]
      relabel_configs: [{source_labels: [x], regex: "(a|b)+", action: keep}]
remote_write:
  - url: http://user:pw@host/write
scrape_configs:
  - job_name: one
    params: {module: [a]}
    static_configs: [{targets: ["a:1"], labels: {x: y}}]
    relabel_configs: [{source_labels: [x], regex: "a.*|[0-9]+", target_label: y}]
    metric_relabel_configs: [{regex: "tmp_.*", action: labeldrop}]
  - job_name: two
    scrape_interval: 5s
    basic_auth: {username: u, password: first}
    file_sd_configs: [{files: [x.json]}]
    http_sd_configs: [{url: "http://sd/"}]
  - job_name: three
    scrape_interval: 10s
`

func TestCompare(t *testing.T) {
	all := []string{"one", "two", "three"}
	for name, c := range map[string]struct {
		old, new string
		want     Changes
	}{
		"nothing":           {"job_name: one", "job_name: one", Changes{Unchanged: all}},
		"only the layout":   {"job_name: one\n", "job_name: one # the first\n", Changes{Unchanged: all}},
		"renamed":           {"job_name: one", "job_name: first", Changes{Added: []string{"first"}, Removed: []string{"one"}, Unchanged: []string{"two", "three"}}},
		"secret":            {"password: first", "password: second", Changes{Changed: []string{"two"}, Unchanged: []string{"one", "three"}}},
		"regex":             {"[0-9]+", "[0-8]+", Changes{Changed: []string{"one"}, Unchanged: []string{"two", "three"}}},
		"target":            {`"a:1"`, `"a:2"`, Changes{Changed: []string{"one"}, Unchanged: []string{"two", "three"}}},
		"discovery":         {"x.json", "y.json", Changes{Changed: []string{"two"}, Unchanged: []string{"one", "three"}}},
		"global, one job":   {"scrape_interval: 20s", "scrape_interval: 21s", Changes{Changed: []string{"one"}, Unchanged: []string{"two", "three"}, Sections: []string{"global"}}},
		"external labels":   {"{a: b}", "{a: c}", Changes{Unchanged: all, Sections: []string{"global"}}},
		"alertmanager":      {"am:9093", "am:9094", Changes{Unchanged: all, Sections: []string{"alerting"}}},
		"remote password":   {"user:pw", "user:other", Changes{Unchanged: all, Sections: []string{"remote_write"}}},
		"storage":           {"rule_files:", "storage: {tsdb: {out_of_order_time_window: 1h}}\nrule_files:", Changes{Unchanged: all, Sections: []string{"storage"}}},
		"list of rules":     {"[r.yml]", "[r.yml, s.yml]", Changes{Unchanged: all, Sections: []string{"rule_files"}}},
		"absent rules":      {"[r.yml]", "[r.yml, absent.yml]", Changes{Unchanged: all}},
		"own empty section": {"rule_files:", "gnomon: {}\nrule_files:", Changes{Unchanged: all}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, diffBase, c.old)
			rules := map[string]string{"r.yml": "groups: []", "s.yml": "groups: []"}
			before := parseWith(t, rules, diffBase)
			after := parseWith(t, rules, strings.Replace(diffBase, c.old, c.new, 1))
			got := Compare(before, after)
			require.Equal(t, c.want, got)
			require.Equal(t, len(c.want.Unchanged) == 3 && c.want.Sections == nil, got.None())
		})
	}
}

func TestCompareSeesContentOfRuleFiles(t *testing.T) {
	before := parseWith(t, map[string]string{"r.yml": "groups: []"}, diffBase)
	after := parseWith(t, map[string]string{"r.yml": "groups: [] "}, diffBase)
	got := Compare(before, after)
	require.True(t, got.Section("rule_files"))
	require.False(t, got.Section("global"))
	require.Len(t, got.Unchanged, 3)
}

func TestCompareWithNothing(t *testing.T) {
	c := parseWith(t, nil, diffBase)
	got := Compare(nil, c)
	require.Equal(t, []string{"one", "two", "three"}, got.Added)
	require.Contains(t, got.Sections, "global")
	require.False(t, got.None())
}

// parseWith loads text as the main file beside others.
func parseWith(t testing.TB, others map[string]string, text string) *Config {
	t.Helper()
	content := map[string]string{"prometheus.yml": text}
	for name, c := range others {
		content[name] = c
	}
	c, err := load(Source{Path: "prometheus.yml"}, memoryFiles(content), Options{})
	require.NoError(t, err)
	return c
}
