package config

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/stretchr/testify/require"
)

// parse loads text as the only file there is.
func parse(t testing.TB, text string, opts Options) *Config {
	t.Helper()
	c, err := load(Source{Path: "prometheus.yml"}, memoryFiles(map[string]string{"prometheus.yml": text}), opts)
	require.NoError(t, err)
	return c
}

func TestLoadResolvesPaths(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.yml"), `
rule_files: [rules/*.yml]
scrape_config_files: [jobs/*.yml]
scrape_configs:
  - job_name: main
    basic_auth: {username: u, password_file: secret}
`)
	write(t, filepath.Join(dir, "rules", "a.yml"), "groups: []")
	write(t, filepath.Join(dir, "jobs", "b.yml"), "scrape_configs: [{job_name: other, bearer_token_file: token}]")

	c, err := Load(Source{Path: filepath.Join(dir, "main.yml")}, Options{})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "main.yml"), c.Path)
	require.Equal(t, []string{filepath.Join(dir, "rules", "a.yml")}, c.RuleFiles)
	require.Len(t, c.ScrapeConfigs, 2)
	require.Equal(t, filepath.Join(dir, "secret"), c.ScrapeConfigs[0].HTTPClientConfig.BasicAuth.PasswordFile)
	require.Equal(t, filepath.Join(dir, "jobs", "token"), c.ScrapeConfigs[1].HTTPClientConfig.Authorization.CredentialsFile)
}

func TestParseReadsOtherFilesFromDisk(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "b.yml"), "scrape_configs: [{job_name: other}]")
	c, err := Parse([]byte("scrape_config_files: [b.yml]"), filepath.Join(dir, "absent.yml"), Options{})
	require.NoError(t, err)
	require.Len(t, c.ScrapeConfigs, 1)
	require.NoFileExists(t, filepath.Join(dir, "absent.yml"))
}

// The same files yield the same jobs as upstream's own loader.
func TestLoadAgreesWithUpstream(t *testing.T) {
	dir := t.TempDir()
	main := filepath.Join(dir, "main.yml")
	write(t, main, `
global: {scrape_interval: 20s, sample_limit: 7, external_labels: {a: b$$c}}
scrape_config_files: [jobs/*.yml]
scrape_configs:
  - job_name: main
    static_configs: [{targets: ["a:1"]}]
    relabel_configs: [{source_labels: [x], regex: "a|b", target_label: y}]
`)
	write(t, filepath.Join(dir, "jobs", "b.yml"), "scrape_configs: [{job_name: other, file_sd_configs: [{files: [x.json]}]}]")

	c, err := Load(Source{Path: main}, Options{})
	require.NoError(t, err)
	want, err := promconfig.LoadFile(main, false, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	jobs, err := want.GetScrapeConfigs()
	require.NoError(t, err)
	require.Equal(t, jobs, c.ScrapeConfigs)
	require.Equal(t, want.GlobalConfig, c.Prometheus.GlobalConfig)
}

func TestLoadMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent.yml")
	_, err := Load(Source{Path: path}, Options{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, path)
	_, err = Checksum(Source{Path: path})
	require.ErrorIs(t, err, fs.ErrNotExist)

	src := Source{Path: path, Fallback: []byte("scrape_configs: [{job_name: self}]")}
	c, err := Load(src, Options{})
	require.NoError(t, err)
	require.Empty(t, c.Path)
	require.Empty(t, c.Files)
	require.Equal(t, "self", c.ScrapeConfigs[0].JobName)
	sum, err := Checksum(src)
	require.NoError(t, err)
	require.Equal(t, c.Checksum, sum)

	// A file that appears takes over.
	write(t, path, "scrape_configs: [{job_name: given}]")
	c, err = Load(src, Options{})
	require.NoError(t, err)
	require.Equal(t, "given", c.ScrapeConfigs[0].JobName)
	require.NotEqual(t, sum, c.Checksum)
}

// A folder in place of the file must not be taken for a missing one.
func TestLoadUnreadableFile(t *testing.T) {
	_, err := Load(Source{Path: t.TempDir(), Fallback: []byte("global: {}")}, Options{})
	require.Error(t, err)
	require.NotErrorIs(t, err, fs.ErrNotExist)
}

func TestReadBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "12345")
	content, err := readBounded(path, 5)
	require.NoError(t, err)
	require.Equal(t, "12345", string(content))
	_, err = readBounded(path, 4)
	require.ErrorContains(t, err, "larger than the limit of 4 bytes")
	if _, err := os.Stat("/dev/zero"); err == nil {
		_, err = readBounded("/dev/zero", 1000)
		require.ErrorContains(t, err, "larger than the limit")
	}
}

func TestOptionsFillGaps(t *testing.T) {
	opts := Options{
		Retention:          promconfig.TSDBRetentionConfig{Time: model.Duration(time.Hour), Size: 1 << 30},
		LogLevel:           "warn",
		ExtraScrapeMetrics: true,
	}
	for _, text := range []string{
		"",
		"global: {}\nruntime: {gogc: 50}\nstorage: {tsdb: {out_of_order_time_window: 1h}}\nscrape_configs: [{job_name: a}]",
		"storage:\n  tsdb:\n    retention:\nruntime:\nscrape_configs: [{job_name: a}]",
	} {
		c := parse(t, text, opts)
		require.Equal(t, opts.Retention, *c.Prometheus.StorageConfig.TSDBConfig.Retention, text)
		require.Equal(t, promconfig.LogLevel("warn"), c.Prometheus.Runtime.LogLevel, text)
		require.True(t, *c.Prometheus.GlobalConfig.ExtraScrapeMetrics, text)
		for _, job := range c.ScrapeConfigs {
			require.True(t, *job.ExtraScrapeMetrics, text)
		}
	}
	c := parse(t, `
global: {extra_scrape_metrics: false}
runtime: {log_level: debug}
storage: {tsdb: {retention: {size: 5GB}}}
scrape_configs: [{job_name: a}, {job_name: b, extra_scrape_metrics: true}]
`, opts)
	require.Equal(t, promconfig.TSDBRetentionConfig{Size: 5 << 30}, *c.Prometheus.StorageConfig.TSDBConfig.Retention)
	require.Equal(t, promconfig.LogLevel("debug"), c.Prometheus.Runtime.LogLevel)
	require.False(t, *c.ScrapeConfigs[0].ExtraScrapeMetrics)
	require.True(t, *c.ScrapeConfigs[1].ExtraScrapeMetrics)
}

// Defaults of one load must not show in another, as upstream's package
// variables would.
func TestOptionsDoNotLeak(t *testing.T) {
	parse(t, "scrape_configs: [{job_name: a}]", Options{ExtraScrapeMetrics: true, LogLevel: "error"})
	c := parse(t, "scrape_configs: [{job_name: a}]", Options{})
	require.False(t, *c.ScrapeConfigs[0].ExtraScrapeMetrics)
	require.Equal(t, promconfig.LogLevel("info"), c.Prometheus.Runtime.LogLevel)
	require.Equal(t, defaultRetention, c.Prometheus.StorageConfig.TSDBConfig.Retention.Time)
}

func TestExternalLabels(t *testing.T) {
	t.Setenv("GNOMON_TEST_REGION", "north")
	var log bytes.Buffer
	c := parse(t, "global: {external_labels: {region: '${GNOMON_TEST_REGION}', price: '5$$', none: '$GNOMON_TEST_UNSET'}}",
		Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.Equal(t, `{none="", price="5$", region="north"}`, c.Prometheus.GlobalConfig.ExternalLabels.String())
	require.Contains(t, log.String(), "GNOMON_TEST_UNSET")
}

func TestStringHidesSecrets(t *testing.T) {
	c := parse(t, "scrape_configs: [{job_name: a, basic_auth: {username: u, password: hunter2}}]", Options{})
	require.Contains(t, c.String(), "password: <secret>")
	require.NotContains(t, c.String(), "hunter2")
}

func TestChecksumFollowsEveryFile(t *testing.T) {
	dir := t.TempDir()
	main := filepath.Join(dir, "main.yml")
	src := Source{Path: main}
	sums := map[string]string{}
	changed := func(what string) {
		t.Helper()
		sum, err := Checksum(src)
		require.NoError(t, err)
		require.Emptyf(t, sums[sum], "%s has the checksum of %s", what, sums[sum])
		sums[sum] = what
		again, err := Checksum(src)
		require.NoError(t, err)
		require.Equal(t, sum, again)
	}
	text := "rule_files: [r/*.yml]\nscrape_config_files: [s/*.yml]\n"
	write(t, main, text)
	changed("the main file")
	write(t, filepath.Join(dir, "r", "a.yml"), "groups: []")
	changed("a rule file")
	write(t, filepath.Join(dir, "r", "a.yml"), "groups: []\n")
	changed("a longer rule file")
	write(t, filepath.Join(dir, "s", "a.yml"), "scrape_configs: []")
	changed("a scrape config file")
	require.NoError(t, os.Rename(filepath.Join(dir, "r", "a.yml"), filepath.Join(dir, "r", "b.yml")))
	changed("a renamed rule file")
	write(t, main, text+"global: {")
	changed("a broken main file")
	write(t, main, text+"gnomon: {}")
	changed("our section")

	c, err := Load(src, Options{})
	require.NoError(t, err)
	sum, err := Checksum(src)
	require.NoError(t, err)
	require.Equal(t, sum, c.Checksum)
	require.Len(t, c.Files, 3)
	for _, f := range c.Files {
		require.Len(t, f.Checksum, 64)
	}
}

// A fault in a configuration of thousands of lines is found within the bounds
// on a search.
func TestLocateInLargeFile(t *testing.T) {
	var b strings.Builder
	b.WriteString("scrape_configs:\n")
	line := 1
	for i := range 200 {
		fmt.Fprintf(&b, "  - job_name: job-%d\n    static_configs:\n", i)
		line += 2
		for j := range 10 {
			fmt.Fprintf(&b, "      - targets: ['host-%d:9100']\n", j)
			line++
		}
	}
	b.WriteString("  - job_name: last\n    relabel_configs:\n      - regex: '['\n")
	_, err := load(Source{Path: "prometheus.yml"}, memoryFiles(map[string]string{"prometheus.yml": b.String()}), Options{})
	require.ErrorContains(t, err, fmt.Sprintf(`prometheus.yml:%d: scrape_configs[200].relabel_configs[0].regex (job "last"): `, line+3))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
}
