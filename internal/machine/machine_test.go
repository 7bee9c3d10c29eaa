//go:build linux && !no_machine

package machine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/node_exporter/collector"
	"github.com/stretchr/testify/require"
)

// get fetches a page.
func get(t testing.TB, h http.Handler) (status int, body []byte) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	require.NoError(t, err)
	return w.Code, body
}

// families parses a page in the text format.
func families(t testing.TB, page []byte) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	require.NoError(t, err)
	return all
}

func TestPage(t *testing.T) {
	// Arguments of the process must not reach the node exporter's flags.
	old := os.Args
	os.Args = []string{"gnomon", "--config.file=x", "--collector.disable-defaults", "word"}
	defer func() { os.Args = old }()

	require.True(t, Available)
	m, err := New(Options{})
	require.NoError(t, err)
	require.Contains(t, m.Collectors(), "meminfo")
	status, page := get(t, m.Handler())
	require.Equal(t, http.StatusOK, status)
	all := families(t, page)
	for _, name := range []string{
		"node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes", "node_load1", "node_boot_time_seconds",
		"node_uname_info", "node_time_seconds", "node_context_switches_total", "node_scrape_collector_success",
	} {
		require.Contains(t, all, name)
		require.NotEmpty(t, all[name].Metric)
	}
	require.Greater(t, all["node_memory_MemTotal_bytes"].Metric[0].Gauge.GetValue(), 1e6)
	success := all["node_scrape_collector_success"].Metric
	require.Len(t, success, len(m.Collectors()))
	require.Len(t, all["node_scrape_collector_duration_seconds"].Metric, len(m.Collectors()))
	ok := 0
	for _, one := range success {
		ok += int(one.Gauge.GetValue())
	}
	require.Greater(t, ok, 5)
}

func TestNewTwice(t *testing.T) {
	for range 2 {
		m, err := New(Options{})
		require.NoError(t, err)
		status, _ := get(t, m.Handler())
		require.Equal(t, http.StatusOK, status)
	}
}

// Nothing that a collector says reaches the log above level debug.
func TestLogLevels(t *testing.T) {
	var records recorder
	logger := slog.New(debugHandler{&records}).With("a", 1).WithGroup("g")
	logger.Error("loud")
	logger.Info("calm")
	require.Equal(t, []slog.Level{slog.LevelDebug, slog.LevelDebug}, records.levels)
	require.False(t, slog.New(debugHandler{slog.NewTextHandler(io.Discard, nil)}).Enabled(t.Context(), slog.LevelError))
}

// recorder is a slog.Handler that keeps levels.
type recorder struct {
	mu     sync.Mutex
	levels []slog.Level
}

func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *recorder) WithGroup(string) slog.Handler            { return r }
func (r *recorder) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.levels = append(r.levels, record.Level)
	return nil
}

// updateFunc is a collector made of a function.
type updateFunc func(to chan<- prometheus.Metric) error

func (f updateFunc) Update(to chan<- prometheus.Metric) error { return f(to) }

// Failing and panicking collectors cost only themselves.
func TestCollectorsAreGuarded(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	desc := prometheus.NewDesc("node_fine", "A metric.", nil, nil)
	calls := 0
	c := newCollectors(map[string]collector.Collector{
		"fails":  updateFunc(func(chan<- prometheus.Metric) error { return errors.New("no such file") }),
		"panics": updateFunc(func(chan<- prometheus.Metric) error { calls++; panic("out of range") }),
		"fine": updateFunc(func(to chan<- prometheus.Metric) error {
			to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, 1)
			return nil
		}),
	}, logger, slog.New(debugHandler{logger.Handler()}))
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(c))
	for range 3 {
		all, err := registry.Gather()
		require.NoError(t, err)
		got := map[string]float64{}
		for _, family := range all {
			for _, m := range family.Metric {
				if family.GetName() == "node_scrape_collector_success" {
					got[m.Label[0].GetValue()] = m.Gauge.GetValue()
				} else if family.GetName() == "node_fine" {
					got["node_fine"] = m.Gauge.GetValue()
				}
			}
		}
		require.Equal(t, map[string]float64{"fails": 0, "panics": 0, "fine": 1, "node_fine": 1}, got)
	}
	require.Equal(t, 1, calls, "a collector that panicked is not called again")
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), "out of range")
}

// A collector that hangs costs its requests, never more than MaxRequests.
func TestHangingCollector(t *testing.T) {
	release := make(chan struct{})
	m, err := New(Options{MaxRequests: 2, Timeout: 20 * time.Millisecond})
	require.NoError(t, err)
	done := make(chan struct{}, 2)
	m.collectors.byName["hangs"] = &guarded{Collector: updateFunc(func(chan<- prometheus.Metric) error {
		<-release
		done <- struct{}{}
		return nil
	})}
	for range 2 {
		status, body := get(t, m.Handler())
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Contains(t, string(body), "timeout")
	}
	status, body := get(t, m.Handler())
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, string(body), "concurrent requests")
	close(release)
	<-done
	<-done
}

func BenchmarkPage(b *testing.B) {
	m, err := New(Options{})
	require.NoError(b, err)
	b.ReportAllocs()
	size, lines := 0, 0
	for b.Loop() {
		_, page := get(b, m.Handler())
		size = len(page)
		lines = 0
		for line := range bytes.Lines(page) {
			if line[0] != '#' {
				lines++
			}
		}
	}
	b.ReportMetric(float64(size), "bytes/page")
	b.ReportMetric(float64(lines), "samples/page")
}
