package scrape

import (
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	upstream "github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/util/logging"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"
)

// notOurs has the metrics of Prometheus that have no meaning here: there are no
// caches to be flushed by force and no symbol tables.
var notOurs = map[string]bool{
	"prometheus_target_scrapes_cache_flush_forced_total": true,
	"prometheus_target_scrape_pool_symboltable_items":    true,
}

// TestMetricsAreThoseOfPrometheus holds that dashboards find what they look for.
func TestMetricsAreThoseOfPrometheus(t *testing.T) {
	want := map[string]string{}
	synctest.Test(t, func(t *testing.T) {
		dial := serveInMemory(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
		opts := &upstream.Options{DiscoveryReloadOnStartup: true,
			HTTPClientOptions: []config_util.HTTPClientOption{config_util.WithDialContextFunc(dial)}}
		setPrivate(opts, "skipJitterOffsetting", true)
		registry := prometheus.NewRegistry()
		m, err := upstream.NewManager(opts, slog.New(slog.DiscardHandler),
			func(string) (*logging.JSONFileLogger, error) { return nil, nil }, nil, teststorage.NewAppendable(), registry)
		require.NoError(t, err)
		require.NoError(t, m.ApplyConfig(loadJobs(t, job())))
		groups := make(chan map[string][]*targetgroup.Group)
		var run sync.WaitGroup
		run.Go(func() { _ = m.Run(groups) })
		groups <- oneTarget()
		wait(25 * time.Second)
		require.NoError(t, m.ApplyConfig(loadJobs(t, job("metrics_path: /other"))))
		want = familiesOf(t, registry)
		m.Stop()
		run.Wait()
	})
	require.Greater(t, len(want), 20)
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		w.says("a:1", "x 1\n")
		w.discover("a:1")
		wait(25 * time.Second)
		w.apply(job("metrics_path: /other"))
		got := familiesOf(t, w.registry)
		for name, help := range want {
			if !notOurs[name] {
				require.Equal(t, help, got[name], name)
			}
		}
		w.stop()
	})
}

// familiesOf returns the help texts of what a registry has, by name.
func familiesOf(t *testing.T, registry *prometheus.Registry) map[string]string {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	helps := map[string]string{}
	for _, f := range families {
		helps[f.GetName()] = f.GetType().String() + " " + f.GetHelp()
	}
	return helps
}
