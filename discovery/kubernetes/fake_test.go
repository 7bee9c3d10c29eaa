package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	upstreamdiscovery "github.com/prometheus/prometheus/discovery"
	upstream "github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v2"
	"k8s.io/apimachinery/pkg/runtime"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeCore says of the fake server that it cannot list by watching.
type fakeCore struct{ corev1.CoreV1Interface }

func (fakeCore) IsWatchListSemanticsUnSupported() bool { return true }

// world is a mechanism on a server that is only played.
type world struct {
	t         *testing.T
	server    *fake.Clientset
	dynamic   *dynamicfake.FakeDynamicClient
	mechanism *Mechanism
	registry  *prometheus.Registry
}

func newWorld(t *testing.T, objects ...runtime.Object) *world {
	w := &world{t: t, server: fake.NewClientset(objects...), registry: prometheus.NewRegistry()}
	w.dynamic = dynamicfake.NewSimpleDynamicClient(scheme.Scheme)
	m, err := New(w.registry, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	m.connect = func(c connection) (*api, string, error) {
		return &api{
			core: fakeCore{w.server.CoreV1()}, apps: w.server.AppsV1(), batch: w.server.BatchV1(),
			discovery: w.server.DiscoveryV1(), networking: w.server.NetworkingV1(), dynamic: w.dynamic,
		}, c.apiServer, nil
	}
	w.mechanism = m
	return w
}

// parse reads an entry of kubernetes_sd_configs.
func parse(t *testing.T, text string) *upstream.SDConfig {
	t.Helper()
	c := &upstream.SDConfig{}
	require.NoError(t, yaml.UnmarshalStrict([]byte("api_server: http://server.example\n"+text), c))
	return c
}

// job runs a discovery and has the groups that it found.
type job struct {
	t    *testing.T
	stop func()
	news chan struct{}

	mu     sync.Mutex
	groups map[string]*targetgroup.Group
	// sent counts the groups that were received, by source.
	sent map[string]int
}

func (w *world) run(text string) *job {
	w.t.Helper()
	d, err := w.mechanism.NewDiscoverer(parse(w.t, text), upstreamdiscovery.DiscovererOptions{})
	require.NoError(w.t, err)
	return watchJob(w.t, d)
}

func watchJob(t *testing.T, d upstreamdiscovery.Discoverer) *job {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{t: t, news: make(chan struct{}, 1), groups: map[string]*targetgroup.Group{}, sent: map[string]int{}}
	updates := make(chan []*targetgroup.Group)
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx, updates) })
	running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case groups := <-updates:
				j.take(groups)
			}
		}
	})
	j.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(j.stop)
	return j
}

func (j *job) take(groups []*targetgroup.Group) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, g := range groups {
		j.sent[g.Source]++
		if len(g.Targets) == 0 {
			delete(j.groups, g.Source)
		} else {
			j.groups[g.Source] = g
		}
	}
	select {
	case j.news <- struct{}{}:
	default:
	}
}

// until waits for a state of the groups, by their sources.
func (j *job) until(what string, ok func(map[string]*targetgroup.Group) bool) {
	j.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		j.mu.Lock()
		now := maps.Clone(j.groups)
		j.mu.Unlock()
		if ok(now) {
			return
		}
		select {
		case <-j.news:
		case <-timeout:
			require.FailNow(j.t, "not seen: "+what, "groups: %v", slices.Sorted(maps.Keys(now)))
		}
	}
}

func (j *job) untilSources(sources ...string) {
	j.t.Helper()
	slices.Sort(sources)
	j.until(fmt.Sprint(sources), func(groups map[string]*targetgroup.Group) bool {
		return slices.Equal(slices.Sorted(maps.Keys(groups)), sources)
	})
}

// requests counts what the server was asked for, such as "list pods in a".
func (w *world) requests() map[string]int {
	out := map[string]int{}
	for _, a := range w.server.Actions() {
		out[fmt.Sprintf("%s %s in %s", a.GetVerb(), a.GetResource().Resource, shownNamespace(a.GetNamespace()))]++
	}
	return out
}

func shownNamespace(namespace string) string {
	if namespace == "" {
		return "all"
	}
	return namespace
}

const (
	waitFor = 20 * time.Second
	tick    = 5 * time.Millisecond
)

// requestsOnce waits until the server was asked for that many things.
func (w *world) requestsOnce(n int) map[string]int {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return len(w.requests()) >= n }, waitFor, tick)
	return w.requests()
}

// gauge returns the value of a metric of the namespace.
func gauge(t *testing.T, g prometheus.Gatherer, name, namespace string) float64 {
	t.Helper()
	families, err := g.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			found := namespace == ""
			for _, l := range m.GetLabel() {
				found = found || l.GetName() == "namespace" && l.GetValue() == namespace
			}
			if f.GetName() == name && found {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	require.FailNow(t, "no metric", "%s of %q", name, namespace)
	return 0
}
