package scrape

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// world is a manager with a store, and targets in memory, in virtual time.
type world struct {
	t        *testing.T
	m        *Manager
	store    storage.Store
	registry *prometheus.Registry
	logs     *lockedBuffer
	groups   chan map[string][]*targetgroup.Group
	cancel   context.CancelFunc
	done     chan struct{}

	mu       sync.Mutex
	answers  map[string]func(*http.Request) answer // by host
	requests []*http.Request
}

// answer is what a target answers.
type answer struct {
	status      int    // 200 if 0
	contentType string // the text format's if empty, none if "-"
	encoding    string
	body        string
	delay       time.Duration
	err         error
}

// start starts a manager with the configuration. It has to be called in a
// bubble of synctest.
func start(t *testing.T, yaml string, change ...func(*Options)) *world {
	store := storagetest.NewModel(0)
	w := startWith(t, store, yaml, change...)
	w.store = store
	return w
}

// startWith is start with a store that is to be written to only.
func startWith(t *testing.T, store storage.Writer, yaml string, change ...func(*Options)) *world {
	w := &world{
		t: t, registry: prometheus.NewRegistry(), logs: &lockedBuffer{},
		groups: make(chan map[string][]*targetgroup.Group), done: make(chan struct{}),
		answers: map[string]func(*http.Request) answer{},
	}
	opts := Options{
		Logger:     slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer: w.registry, Hostname: "here", transport: w,
	}
	for _, f := range change {
		f(&opts)
	}
	var err error
	w.m, err = New(opts, store)
	require.NoError(t, err)
	w.apply(yaml)
	ctx, cancel := context.WithCancel(t.Context())
	w.cancel = cancel
	go func() {
		defer close(w.done)
		require.NoError(t, w.m.Run(ctx, w.groups))
	}()
	return w
}

// stop ends the manager.
func (w *world) stop() {
	w.cancel()
	<-w.done
}

func (w *world) apply(yaml string) {
	w.t.Helper()
	w.applyLimits(yaml, SeriesLimits{})
}

func (w *world) applyLimits(yaml string, limits SeriesLimits) {
	w.t.Helper()
	cfg, err := config.Load(yaml, slog.New(slog.DiscardHandler))
	require.NoError(w.t, err)
	require.NoError(w.t, w.m.ApplyConfig(cfg, limits))
}

// discover sends the targets of the job "test", each an address.
func (w *world) discover(addresses ...string) {
	g := &targetgroup.Group{Source: "0"}
	for _, a := range addresses {
		g.Targets = append(g.Targets, model.LabelSet{model.AddressLabel: model.LabelValue(a)})
	}
	w.groups <- map[string][]*targetgroup.Group{"test": {g}}
}

// answer sets what a target answers.
func (w *world) answer(host string, f func(*http.Request) answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[host] = f
}

// says makes a target answer with a body.
func (w *world) says(host, body string) {
	w.answer(host, func(*http.Request) answer { return answer{body: body} })
}

// RoundTrip implements http.RoundTripper.
func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	f := w.answers[req.URL.Host]
	w.requests = append(w.requests, req)
	w.mu.Unlock()
	if f == nil {
		return nil, fmt.Errorf("connection to %s refused", req.URL.Host)
	}
	a := f(req)
	select {
	case <-time.After(a.delay):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	status := a.status
	if status == 0 {
		status = http.StatusOK
	}
	resp := &http.Response{
		StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Request: req,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body)),
	}
	switch a.contentType {
	case "":
		resp.Header.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	case "-":
	default:
		resp.Header.Set("Content-Type", a.contentType)
	}
	if a.encoding != "" {
		resp.Header.Set("Content-Encoding", a.encoding)
	}
	return resp, nil
}

// wait lets time pass, and what is due then happen.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// samples returns the samples of a series as text: values with spaces between
// them. Timestamps are left out.
func (w *world) samples(series string) string {
	w.t.Helper()
	var out []string
	for _, s := range w.content()[series] {
		out = append(out, valueText(&s))
	}
	return strings.Join(out, " ")
}

// times returns the timestamps of a series.
func (w *world) times(series string) (times []int64) {
	for _, s := range w.content()[series] {
		times = append(times, s.T)
	}
	return times
}

func valueText(s *storagetest.Sample) string {
	switch {
	case s.H != nil:
		return s.H.String()
	case s.FH != nil:
		return s.FH.String()
	case value.IsStaleNaN(s.V):
		return "stale"
	case math.IsNaN(s.V):
		return "NaN"
	default:
		return fmt.Sprint(s.V)
	}
}

func (w *world) content() map[string][]storagetest.Sample {
	w.t.Helper()
	content := map[string][]storagetest.Sample{}
	for series, samples := range storagetest.ReadAll(w.t, w.store) {
		content[series] = samples
	}
	return content
}

// metric returns the sum of the series of one of the manager's metrics.
func (w *world) metric(name string) float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	require.NoError(w.t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		sum := 0.0
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetSummary().GetSampleCount())
		}
		return sum
	}
	return 0
}

// target returns the only active target.
func (w *world) target() *Target {
	w.t.Helper()
	active := w.m.TargetsActive()["test"]
	require.Len(w.t, active, 1)
	return active[0]
}

// lockedBuffer is a buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// job is a configuration with one job, whose further lines are given.
func job(lines ...string) string {
	return "global: {scrape_interval: 10s, scrape_timeout: 5s}\nscrape_configs:\n- job_name: test\n  " + strings.Join(lines, "\n  ")
}

func loadJobs(t testing.TB, yaml string) *config.Config {
	t.Helper()
	cfg, err := config.Load(yaml, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return cfg
}
