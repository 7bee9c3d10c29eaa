package e2e

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

const reloadInterval = time.Second

// reloadConfig has one job that no reload touches and as many others as wanted.
func reloadConfig(load *harness.Load, others ...string) string {
	config := "global: {scrape_interval: 500ms}\nscrape_configs:\n" + load.ScrapeConfig("kept", reloadInterval)
	for _, job := range others {
		config += load.ScrapeConfig(job, reloadInterval)
	}
	return config
}

// jobs returns the number of jobs that have targets.
func jobs(t *testing.T, server *harness.Gnomon) int {
	t.Helper()
	result, err := server.API(t).Targets(t.Context())
	require.NoError(t, err)
	pools := make(map[string]bool)
	for _, target := range result.Active {
		pools[target.ScrapePool] = true
	}
	return len(pools)
}

func waitJobs(t *testing.T, server *harness.Gnomon, n int) {
	t.Helper()
	harness.Eventually(t, soon, fmt.Sprintf("%d jobs", n), func() error {
		if got := jobs(t, server); got != n {
			return fmt.Errorf("there are %d", got)
		}
		return nil
	})
}

func TestReloadBySignal(t *testing.T) {
	t.Parallel()
	load := harness.StartLoad(t, 1, 1)
	server := harness.StartGnomon(t, harness.Options{Config: reloadConfig(load)})
	waitJobs(t, server, 1)
	server.WriteConfig(t, reloadConfig(load, "added"))
	server.Signal(t, syscall.SIGHUP)
	waitJobs(t, server, 2)
}

// Whoever can reach the port can reload and stop the server only if the operator said so.
func TestReloadByHTTPNeedsLifecycleFlag(t *testing.T) {
	t.Parallel()
	load := harness.StartLoad(t, 1, 1)
	server := harness.StartGnomon(t, harness.Options{Config: reloadConfig(load)})
	for _, path := range []string{"/-/reload", "/-/quit"} {
		status, body := server.Post(t, path, nil)
		require.Equal(t, http.StatusForbidden, status, "%s: %s", path, body)
	}
	status, _ := server.Get(t, "/-/healthy", nil)
	require.Equal(t, http.StatusOK, status)
}

func TestReloadByHTTP(t *testing.T) {
	t.Parallel()
	load := harness.StartLoad(t, 1, 1)
	server := harness.StartGnomon(t, harness.Options{
		Config: reloadConfig(load),
		Args:   []string{"--web.enable-lifecycle"},
	})
	server.WriteConfig(t, reloadConfig(load, "added"))
	status, body := server.Post(t, "/-/reload", nil)
	require.Equal(t, http.StatusOK, status, body)
	waitJobs(t, server, 2)

	status, body = server.Get(t, "/-/reload", nil)
	require.Equal(t, http.StatusMethodNotAllowed, status, body)

	status, body = server.Post(t, "/-/quit", nil)
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, 0, server.Wait(t))
}

func TestReloadByFileChange(t *testing.T) {
	t.Parallel()
	load := harness.StartLoad(t, 1, 1)
	server := harness.NewGnomon(t, harness.Options{
		Config: "rule_files: [rules.yml]\n" + reloadConfig(load),
		Args:   []string{"--config.auto-reload", "--config.auto-reload-interval=1s"},
	})
	server.WriteFile(t, "rules.yml", "groups: []\n")
	server.Start(t)
	server.WriteConfig(t, "rule_files: [rules.yml]\n"+reloadConfig(load, "added"))
	waitJobs(t, server, 2)

	// The files that the configuration names are watched with it.
	server.WriteFile(t, "rules.yml", "groups: [{name: new, interval: 500ms, rules: [{record: answer, expr: vector(42)}]}]\n")
	server.WaitFor(t, soon, "answer", 42)
}

// A configuration that does not hold changes nothing, and whoever asked for it is told
// where it is wrong.
func TestReloadOfBrokenConfigKeepsTheOld(t *testing.T) {
	t.Parallel()
	load := harness.StartLoad(t, 1, 1)
	server := harness.NewGnomon(t, harness.Options{Args: []string{"--web.enable-lifecycle"}})
	good := "rule_files: [rules.yml]\n" + reloadConfig(load) + selfScrape(server)
	server.WriteConfig(t, good)
	server.WriteFile(t, "rules.yml", "groups: [{name: good, interval: 500ms, rules: [{record: answer, expr: vector(42)}]}]\n")
	server.Start(t)
	server.WaitFor(t, soon, "prometheus_config_last_reload_successful", 1)
	before, err := server.API(t).Config(t.Context())
	require.NoError(t, err)

	server.WriteConfig(t, "global:\n  scrape_interval: 1s\n  scrape_intervall: 1s\n")
	requireReloadRefused(t, server, "prometheus.yml", 3)
	server.WriteConfig(t, good)
	server.WriteFile(t, "rules.yml", "groups:\n- name: bad\n  rules:\n  - record: x\n    expr: sum(\n")
	requireReloadRefused(t, server, "rules.yml", 5)

	server.WaitFor(t, soon, "prometheus_config_last_reload_successful", 0)
	after, err := server.API(t).Config(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after)
	waitJobs(t, server, 2)
	waitScrapes(t, load, 2)
	server.WaitFor(t, soon, "answer", 42)

	server.WriteFile(t, "rules.yml", "groups: []\n")
	status, body := server.Post(t, "/-/reload", nil)
	require.Equal(t, http.StatusOK, status, body)
	server.WaitFor(t, soon, "prometheus_config_last_reload_successful", 1)
}

func requireReloadRefused(t *testing.T, server *harness.Gnomon, file string, line int) {
	t.Helper()
	status, body := server.Post(t, "/-/reload", nil)
	require.Equal(t, http.StatusInternalServerError, status, body)
	require.Regexp(t, atLine(file, line), body)
}

// Reloads that add and remove other jobs neither delay nor repeat a scrape of this one, and
// the series it has are not new to it.
func TestReloadLeavesOtherJobsAlone(t *testing.T) {
	t.Parallel()
	load := harness.StartLoad(t, 1, 50)
	server := harness.StartGnomon(t, harness.Options{Config: reloadConfig(load), Args: []string{"--web.enable-lifecycle"}})
	server.WaitFor(t, soon, `max_over_time(scrape_series_added{job="kept"}[1m])`, 51)
	for i := range 6 {
		waitScrapes(t, load, 1)
		others := []string{"a", "b"}[:i%3]
		server.WriteConfig(t, reloadConfig(load, others...))
		status, body := server.Post(t, "/-/reload", nil)
		require.Equal(t, http.StatusOK, status, body)
		waitJobs(t, server, 1+len(others))
	}
	server.WaitFor(t, soon, `sum_over_time(scrape_series_added{job="kept"}[5m])`, 51)

	matrix, err := server.Matrix(t, `up{job="kept"}[5m]`, time.Now())
	require.NoError(t, err)
	require.Len(t, matrix, 1)
	for i, sample := range matrix[0].Values {
		require.EqualValues(t, 1, sample.Value)
		if i == 0 {
			continue
		}
		gap := sample.Timestamp.Sub(matrix[0].Values[i-1].Timestamp)
		require.InDelta(t, reloadInterval, gap, float64(reloadInterval)*0.8, "scrapes at %v", matrix[0].Values)
	}
}
