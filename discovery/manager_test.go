package discovery_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	upstream "github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/util/features"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/discovery"
)

// fakeConfig is a mechanism under the control of a test. Configurations are compared
// deeply by the manager, so that Name tells them apart.
type fakeConfig struct {
	ID   string
	fail bool
	// probe is shared by all copies and counts what happens to the mechanism.
	probe *fakeProbe
}

type fakeProbe struct {
	starts, ends atomic.Int32
	updates      chan []*targetgroup.Group
	// linger is how long a mechanism takes to stop.
	linger time.Duration
}

func newFake(id string) *fakeConfig {
	return &fakeConfig{ID: id, probe: &fakeProbe{updates: make(chan []*targetgroup.Group)}}
}

func (*fakeConfig) Name() string { return "fake" }

func (c *fakeConfig) NewDiscoverer(upstream.DiscovererOptions) (upstream.Discoverer, error) {
	if c.fail {
		return nil, errors.New("cannot be created")
	}
	return c.probe, nil
}

func (*fakeConfig) NewDiscovererMetrics(prometheus.Registerer, upstream.RefreshMetricsInstantiator) upstream.DiscovererMetrics {
	return &upstream.NoopDiscovererMetrics{}
}

func (p *fakeProbe) Run(ctx context.Context, up chan<- []*targetgroup.Group) {
	p.starts.Add(1)
	defer p.ends.Add(1)
	for {
		select {
		case groups := <-p.updates:
			select {
			case up <- groups:
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			time.Sleep(p.linger)
			return
		}
	}
}

func group(source string, addresses ...string) *targetgroup.Group {
	g := &targetgroup.Group{Source: source}
	for _, a := range addresses {
		g.Targets = append(g.Targets, model.LabelSet{model.AddressLabel: model.LabelValue(a)})
	}
	return g
}

// running is a manager in its Run method.
type running struct {
	*discovery.Manager
	cancel context.CancelFunc
	done   chan error
}

func start(t *testing.T, opts discovery.Options) *running {
	t.Helper()
	m, err := discovery.New(opts)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{Manager: m, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- m.Run(ctx) }()
	return r
}

func (r *running) stop() error {
	r.cancel()
	return <-r.done
}

// addresses reduces an update to its addresses per target set.
func addresses(sets map[string][]*targetgroup.Group) map[string][]string {
	out := make(map[string][]string)
	for name, groups := range sets {
		out[name] = []string{}
		for _, g := range groups {
			for _, t := range g.Targets {
				out[name] = append(out[name], string(t[model.AddressLabel]))
			}
		}
	}
	return out
}

func TestManagerDeliversAndKeepsUnchangedMechanisms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, discovery.Options{})
		kept, dropped := newFake("kept"), newFake("dropped")
		require.NoError(t, m.ApplyConfig(map[string]discovery.Configs{
			"a": {kept, dropped},
			"b": {upstream.StaticConfig{group("0", "static:1")}},
		}))
		kept.probe.updates <- []*targetgroup.Group{group("k", "kept:1")}
		dropped.probe.updates <- []*targetgroup.Group{group("d", "dropped:1")}
		synctest.Wait()
		got := addresses(<-m.SyncCh())
		require.ElementsMatch(t, []string{"kept:1", "dropped:1"}, got["a"])
		require.Equal(t, []string{"static:1"}, got["b"])

		// An equal configuration that was loaded anew is the same mechanism.
		again := *kept
		require.NoError(t, m.ApplyConfig(map[string]discovery.Configs{"a": {&again}}))
		require.Equal(t, map[string][]string{"a": {"kept:1"}}, addresses(<-m.SyncCh()))
		synctest.Wait()
		require.Equal(t, int32(1), kept.probe.starts.Load())
		require.Equal(t, int32(0), kept.probe.ends.Load())
		require.Equal(t, int32(1), dropped.probe.ends.Load())

		require.NoError(t, m.stop())
		require.Equal(t, int32(1), kept.probe.ends.Load())
		_, open := <-m.SyncCh()
		require.False(t, open)
		require.ErrorIs(t, m.ApplyConfig(nil), discovery.ErrStopped)
	})
}

func TestManagerReportsWhatDoesNotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quick, slow := newFake("quick"), newFake("slow")
		quick.probe.linger = time.Second
		slow.probe.linger = time.Minute
		for name, c := range map[string]struct {
			config *fakeConfig
			err    string
		}{
			"in time":  {quick, ""},
			"too late": {slow, `stop discovery manager "x": still running after 5s: [fake]`},
		} {
			m := start(t, discovery.Options{Name: "x", StopTimeout: 5 * time.Second})
			require.NoError(t, m.ApplyConfig(map[string]discovery.Configs{"a": {c.config}}))
			synctest.Wait()
			if err := m.stop(); c.err == "" {
				require.NoError(t, err, name)
				require.Equal(t, int32(1), c.config.probe.ends.Load(), name)
			} else {
				require.EqualError(t, err, c.err, name)
			}
		}
		// Let the slow one end before the bubble does.
		time.Sleep(time.Minute)
		require.Equal(t, int32(1), slow.probe.ends.Load())
	})
}

func TestManagerRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, discovery.Options{})
		synctest.Wait()
		require.ErrorContains(t, m.Run(t.Context()), "twice")
		require.NoError(t, m.stop())
	})
}

func TestManagerFailedMechanismLeavesTheRestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		log := &strings.Builder{}
		m := start(t, discovery.Options{
			Name: "notify", Registerer: reg,
			Logger: slog.New(slog.NewTextHandler(log, nil)),
		})
		broken := newFake("broken")
		broken.fail = true
		require.NoError(t, m.ApplyConfig(map[string]discovery.Configs{
			"bad":  {broken},
			"good": {upstream.StaticConfig{group("0", "good:1")}},
		}))
		got := addresses(<-m.SyncCh())
		require.Equal(t, map[string][]string{"bad": {}, "good": {"good:1"}}, got)
		require.NoError(t, m.stop())

		require.Contains(t, log.String(), "cannot be created")
		require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP prometheus_sd_failed_configs Current number of service discovery configurations that failed to load.
# TYPE prometheus_sd_failed_configs gauge
prometheus_sd_failed_configs{name="notify"} 1
# HELP prometheus_sd_discovered_targets Current number of discovered targets.
# TYPE prometheus_sd_discovered_targets gauge
prometheus_sd_discovered_targets{config="bad",name="notify"} 0
prometheus_sd_discovered_targets{config="good",name="notify"} 1
`), "prometheus_sd_failed_configs", "prometheus_sd_discovered_targets"))
	})
}

func TestMetricsAreSharedByManagers(t *testing.T) {
	reg := prometheus.NewRegistry()
	metrics, err := discovery.NewMetrics(reg)
	require.NoError(t, err)
	collector := features.NewRegistry()

	_, err = discovery.New(discovery.Options{Name: "scrape", Registerer: reg, Metrics: metrics, Features: collector})
	require.NoError(t, err)
	_, err = discovery.New(discovery.Options{Name: "notify", Registerer: reg, Metrics: metrics})
	require.NoError(t, err)
	require.True(t, collector.Get()[features.ServiceDiscoveryProviders]["static"])

	_, err = discovery.New(discovery.Options{Name: "notify", Registerer: reg, Metrics: metrics})
	require.ErrorContains(t, err, `register metrics of discovery manager "notify"`)
	var already prometheus.AlreadyRegisteredError
	require.ErrorAs(t, err, &already)

	_, err = discovery.NewMetrics(reg)
	require.ErrorAs(t, err, &already)
	_, err = discovery.New(discovery.Options{Name: "third", Registerer: reg})
	require.ErrorAs(t, err, &already)
}
