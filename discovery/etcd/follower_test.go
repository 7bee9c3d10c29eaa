package etcd

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"
)

// follower runs a Discovery and keeps what it sends, as upstream's manager would.
type follower struct {
	t   *testing.T
	d   *Discovery
	reg *prometheus.Registry
	log *syncBuffer

	mu struct {
		sync.Mutex
		// targets maps the key of each group to its addresses.
		targets map[string]string
		// sent counts how often each key's group was sent.
		sent    map[string]int
		updates int
		changed chan struct{}
	}
	stop func()
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// baseConfig is a valid configuration of one endpoint.
func baseConfig(endpoint string) *SDConfig {
	c := DefaultSDConfig
	c.Endpoints = []string{endpoint}
	c.Prefix = "/s/"
	c.RefreshInterval = model.Duration(time.Hour)
	return &c
}

// follow runs a discovery until the test ends, or until stop is called.
func follow(t *testing.T, cfg *SDConfig, tune ...func(*tuning)) *follower {
	t.Helper()
	require.NoError(t, cfg.Validate())
	f := &follower{t: t, reg: prometheus.NewRegistry(), log: &syncBuffer{}}
	f.mu.targets, f.mu.sent = make(map[string]string), make(map[string]int)
	f.mu.changed = make(chan struct{})

	refresh := discovery.NewRefreshMetrics(f.reg)
	require.NoError(t, refresh.Register())
	m := cfg.NewDiscovererMetrics(f.reg, refresh)
	require.NoError(t, m.Register())
	d, err := cfg.NewDiscoverer(discovery.DiscovererOptions{
		Logger:  slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics: m,
		SetName: "job",
	})
	require.NoError(t, err)
	f.d = d.(*Discovery)
	f.d.tuning.probeInterval = 50 * time.Millisecond
	f.d.tuning.minBackoff = 10 * time.Millisecond
	f.d.tuning.maxBackoff = 100 * time.Millisecond
	for _, o := range tune {
		o(&f.d.tuning)
	}

	ctx, cancel := context.WithCancel(context.Background())
	up := make(chan []*targetgroup.Group)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(up)
		f.d.Run(ctx, up)
	})
	wg.Go(func() {
		for groups := range up {
			f.receive(groups)
		}
	})
	f.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
	t.Cleanup(func() {
		f.stop()
		if t.Failed() {
			t.Logf("log of the discovery:\n%s", f.log)
		}
	})
	return f
}

func (f *follower) receive(groups []*targetgroup.Group) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.updates++
	for _, g := range groups {
		key := g.Source[strings.Index(g.Source, ":/")+1:]
		f.mu.sent[key]++
		if len(g.Targets) == 0 {
			delete(f.mu.targets, key)
			continue
		}
		var addresses []string
		for _, t := range g.Targets {
			addresses = append(addresses, string(t[model.AddressLabel]))
		}
		f.mu.targets[key] = strings.Join(addresses, " ")
	}
	close(f.mu.changed)
	f.mu.changed = make(chan struct{})
}

// targets returns the known targets by key.
func (f *follower) targets() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.mu.targets)
}

// sent returns how often the group of key was sent.
func (f *follower) sent(key string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.sent[key]
}

// await waits until the known targets are those given.
func (f *follower) await(want map[string]string) {
	f.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		f.mu.Lock()
		equal, changed := maps.Equal(want, f.mu.targets) && f.mu.updates > 0, f.mu.changed
		f.mu.Unlock()
		if equal {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			require.Equal(f.t, want, f.targets(), "targets that were awaited")
			require.FailNow(f.t, "no update came")
		}
	}
}

// until polls a condition that no update announces.
func (f *follower) until(what string, condition func() bool) {
	f.t.Helper()
	require.Eventually(f.t, condition, patience, 5*time.Millisecond, what)
}

// awaitUp waits until changes are followed.
func (f *follower) awaitUp() {
	f.t.Helper()
	f.until("followed", func() bool { return f.d.gauges.up.Load() })
}

// awaitFailure waits until reaching etcd has failed again.
func (f *follower) awaitFailure() {
	f.t.Helper()
	before := f.failures()
	f.until("failed", func() bool { return f.failures() > before && !f.d.gauges.up.Load() })
}

func (f *follower) failures() float64 {
	return testutil.ToFloat64(f.d.metrics.refresh.Instantiate(mechanism, "job").Failures)
}

// lists returns how often all keys were read for the reason.
func (f *follower) lists(reason string) float64 {
	return testutil.ToFloat64(f.d.metrics.relists.WithLabelValues("job", reason))
}
