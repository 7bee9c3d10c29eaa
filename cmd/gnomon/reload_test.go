package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/config"
	"github.com/gnomonhq/gnomon/tsdb"
	"github.com/gnomonhq/gnomon/web/api"
)

// testReloader returns a reloader of a file with the given text, and a function
// that replaces the text.
func testReloader(t *testing.T, text string) (*reloader, func(string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prometheus.yml")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write(text)
	r := newReloader(config.Source{Path: path}, config.Options{}, api.NewNotifications(api.NotificationsOptions{}), prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	r.check = func(*config.Config) error { return nil }
	return r, write
}

func TestBrokenConfigurationKeepsTheOldOne(t *testing.T) {
	r, write := testReloader(t, "scrape_configs: [{job_name: a}]")
	var applied []string
	r.appliers = []applier{{"test", func(c *config.Config) error {
		applied = append(applied, c.ScrapeConfigs[0].JobName)
		return nil
	}}}
	require.NoError(t, r.reload(context.Background()))
	require.Equal(t, 1.0, testutil.ToFloat64(r.succeeded))

	write("scrape_configs: [{job_name: b, scrape_interval: 1x}]")
	err := r.reload(context.Background())
	require.ErrorContains(t, err, "prometheus.yml:1")
	require.Equal(t, []string{"a"}, applied, "nothing of a broken file is applied")
	require.Equal(t, "a", r.current.Load().ScrapeConfigs[0].JobName)
	require.Equal(t, 0.0, testutil.ToFloat64(r.succeeded))
	require.False(t, r.state.Load().ok)
	require.Len(t, r.notes.List(), 1)
	require.False(t, r.state.Load().at.IsZero(), "the time of the last success stays")

	write("scrape_configs: [{job_name: b}]")
	require.NoError(t, r.reload(context.Background()))
	require.Equal(t, []string{"a", "b"}, applied)
	require.True(t, r.state.Load().ok)
	require.Empty(t, r.notes.List())
}

func TestRefusedConfigurationIsNotApplied(t *testing.T) {
	r, _ := testReloader(t, "rule_files: [broken.yml]")
	r.check = func(*config.Config) error { return errors.New("broken.yml:3: no such thing") }
	r.appliers = []applier{{"test", func(*config.Config) error {
		t.Error("applied")
		return nil
	}}}
	require.ErrorContains(t, r.reload(context.Background()), "broken.yml:3")
	require.Nil(t, r.current.Load())
}

func TestFailedPartIsNamedAndTheOthersAreApplied(t *testing.T) {
	r, _ := testReloader(t, "scrape_configs: [{job_name: a}]")
	rest := false
	r.appliers = []applier{
		{"the scraper", func(*config.Config) error { return errors.New("no certificate") }},
		{"the rules", func(*config.Config) error { rest = true; return nil }},
	}
	require.EqualError(t, r.reload(context.Background()), "apply the configuration to the scraper: no certificate")
	require.True(t, rest)
	require.Equal(t, 0.0, testutil.ToFloat64(r.succeeded))
}

func TestChecksumIsTold(t *testing.T) {
	r, _ := testReloader(t, "scrape_configs: [{job_name: a}]")
	told := ""
	r.applied = func(checksum string) { told = checksum }
	checksum, err := r.load(context.Background())
	require.NoError(t, err)
	require.NotEmpty(t, told)
	require.Equal(t, checksum, told)
}

func TestStorageSettings(t *testing.T) {
	load := func(text string) tsdb.Reloadable {
		c, err := config.Parse([]byte(text), "prometheus.yml", config.Options{})
		require.NoError(t, err)
		return reloadableStorage(c)
	}
	r := load("")
	require.Equal(t, "15d", retentionText(r))
	require.Zero(t, r.MaxSeries)

	r = load("storage: {tsdb: {retention: {percentage: 12.5}}}")
	require.Equal(t, tsdb.Reloadable{Retention: -1, RetentionPercentage: 12.5, MaxExemplars: r.MaxExemplars}, r)
	require.Equal(t, "12.5%", retentionText(r))

	r = load(`
storage: {tsdb: {retention: {time: 30d, size: 1GB}}}
gnomon:
  storage:
    retention_rules: [{match: 'x{job="a"}', time: 2d}]
    rollups: [{resolution: 5m, after: 6h, retention: 90d}, {resolution: 1h}]
    limits: {series: 1, series_per_job: 2, labels_per_series: 3, label_name_length: -1, label_value_length: 5}
`)
	require.Equal(t, "30d or 1GiB", retentionText(r))
	require.Len(t, r.RetentionRules, 1)
	require.Equal(t, 48*time.Hour, r.RetentionRules[0].Time)
	require.Len(t, r.RetentionRules[0].Matchers, 2)
	require.Equal(t, []tsdb.Rollup{{Resolution: 5 * time.Minute, After: 6 * time.Hour, Retention: 90 * 24 * time.Hour}, {Resolution: time.Hour}}, r.Rollups)
	require.Equal(t, []int{1, 2, 3, -1, 5}, []int{r.MaxSeries, r.MaxSeriesPerJob, r.MaxLabels, r.MaxLabelNameBytes, r.MaxLabelValueBytes})
}
