package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/config"
	upstream "github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/util/features"
)

// Defaults of [Options].
const (
	// DefaultName names a manager that was given no name.
	DefaultName = "scrape"
	// DefaultUpdateInterval is the longest time that updates are gathered before they
	// are delivered.
	DefaultUpdateInterval = 5 * time.Second
	// DefaultStopTimeout is the longest time that Run waits for mechanisms to stop.
	DefaultStopTimeout = 10 * time.Second
)

// ErrStopped is returned by ApplyConfig once Run has returned or is about to.
var ErrStopped = errors.New("discovery manager is stopped")

// Configs is upstream's list of mechanism configurations of one target set, as the
// configuration loader produces it.
type Configs = upstream.Configs

// Options configures a [Manager]. The zero value is usable.
type Options struct {
	// Name tells managers apart in metrics (the label "name"); managers on one
	// registerer need different names. Default: DefaultName.
	Name string

	// Logger receives the manager's and its mechanisms' messages. Default: discard.
	Logger *slog.Logger

	// Registerer takes the manager's own prometheus_sd_* metrics. Default: none.
	Registerer prometheus.Registerer

	// Metrics holds the collectors of the mechanisms, shared by all managers of a
	// process. Default: created on Registerer, which only works for one manager.
	Metrics *Metrics

	// Mechanisms take the place of the configurations that they serve in making
	// discoverers. Default: none.
	Mechanisms []Mechanism

	// HTTPClientOptions are handed to mechanisms that speak HTTP.
	HTTPClientOptions []config.HTTPClientOption

	// Features, if set, is told the name of every linked mechanism.
	Features features.Collector

	// UpdateInterval is the longest time between deliveries while changes come. The
	// first change after a quiet time is delivered within about 100 ms, further ones
	// every 500 ms, and less often only if the receiver takes long to apply them.
	// Default: DefaultUpdateInterval.
	UpdateInterval time.Duration

	// StopTimeout bounds how long Run waits for mechanisms to return once its context
	// has ended. Default: DefaultStopTimeout.
	StopTimeout time.Duration
}

// Manager runs discovery mechanisms and delivers the target groups they find. All
// methods are safe for concurrent use.
//
// Lock order: mu before the locks of providers.
type Manager struct {
	name        string
	logger      *slog.Logger
	httpOptions []config.HTTPClientOption
	mechanisms  []Mechanism
	sdMetrics   *upstream.SDMetrics
	metrics     *upstream.Metrics
	runs        *runs
	pacer       *pacer
	stopTimeout time.Duration
	syncCh      chan map[string][]*targetgroup.Group
	// changed holds at most one sign that something is to be delivered.
	changed chan struct{}

	// ctx is the lifetime of the mechanisms, which start with the first configuration,
	// before the caller of Run can give one.
	ctx    context.Context
	cancel context.CancelFunc

	started atomic.Bool

	mu        sync.Mutex
	sets      map[string]*targetSet
	providers []*provider
	// byConfig has the providers of the configurations in force, by the configuration's
	// address: comparing their content with that of all others takes a second for a few
	// thousand jobs. Those that have no address are not in it.
	byConfig map[upstream.Config]*provider
	// resend is set if the next delivery is due whatever has changed.
	resend bool
}

// New creates a manager. It runs nothing until a configuration is applied, and
// delivers nothing until Run is called; one that has had a configuration must be run,
// as only Run stops its mechanisms. New fails if the metrics cannot be registered.
func New(opts Options) (*Manager, error) {
	if opts.Name == "" {
		opts.Name = DefaultName
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Registerer == nil {
		opts.Registerer = prometheus.NewRegistry()
	}
	if opts.UpdateInterval <= 0 {
		opts.UpdateInterval = DefaultUpdateInterval
	}
	if opts.StopTimeout <= 0 {
		opts.StopTimeout = DefaultStopTimeout
	}
	if opts.Metrics == nil {
		m, err := NewMetrics(opts.Registerer)
		if err != nil {
			return nil, err
		}
		opts.Metrics = m
	}
	metrics, err := upstream.NewManagerMetrics(opts.Registerer, opts.Name)
	if err != nil {
		return nil, fmt.Errorf("register metrics of discovery manager %q: %w", opts.Name, err)
	}
	if opts.Features != nil {
		for _, name := range upstream.RegisteredConfigNames() {
			opts.Features.Enable(features.ServiceDiscoveryProviders, name)
		}
	}
	m := &Manager{
		name: opts.Name, logger: opts.Logger, httpOptions: opts.HTTPClientOptions, mechanisms: opts.Mechanisms,
		sdMetrics: opts.Metrics.sd, metrics: metrics,
		runs: newRuns(), pacer: newPacer(opts.UpdateInterval), stopTimeout: opts.StopTimeout,
		syncCh: make(chan map[string][]*targetgroup.Group), changed: make(chan struct{}, 1),
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

// Run delivers updates on SyncCh until ctx ends, then stops all mechanisms, waits for
// them and closes SyncCh. It returns nil on an orderly end, and an error that names the
// mechanisms which did not stop in time, or if it is called a second time.
func (m *Manager) Run(ctx context.Context) error {
	if !m.started.CompareAndSwap(false, true) {
		return fmt.Errorf("discovery manager %q: run was called twice", m.name)
	}
	m.deliver(ctx)
	close(m.syncCh)
	// Under the lock, so that no mechanism starts afterwards.
	m.mu.Lock()
	m.cancel()
	m.mu.Unlock()
	if left := m.runs.stop(m.stopTimeout); len(left) > 0 {
		return fmt.Errorf("stop discovery manager %q: still running after %s: %v", m.name, m.stopTimeout, left)
	}
	return nil
}

// SyncCh delivers, for every target set, all groups that are known of it, whenever any
// of them changed. It is closed when Run ends. The values are shared with the manager:
// read only. Groups and slices that did not change are those of the delivery before, so
// that a receiver can tell them by their address.
func (m *Manager) SyncCh() <-chan map[string][]*targetgroup.Group { return m.syncCh }

// deliver sends what changed, as the pacer says, until ctx ends.
func (m *Manager) deliver(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.changed:
		}
		pause.Reset(m.pacer.wait(time.Now()))
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		sets := m.look()
		if sets == nil {
			continue
		}
		offered := time.Now()
		select {
		case <-ctx.Done():
			return
		case m.syncCh <- sets:
		}
		m.metrics.SentUpdates.Inc()
		if m.pacer.delivered(offered, time.Now()) {
			m.metrics.DelayedUpdates.Inc()
		}
	}
}

// look returns all groups of all target sets, or nil if none of them changed.
func (m *Manager) look() map[string][]*targetgroup.Group {
	// What is signalled from now on may be missed below; what was before is not.
	select {
	case <-m.changed:
	default:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	any := m.resend
	m.resend = false
	for _, set := range m.sets {
		changed, updated := set.look()
		if updated {
			set.updated.SetToCurrentTime()
		}
		any = any || changed
	}
	if !any {
		return nil
	}
	sets := make(map[string][]*targetgroup.Group, len(m.sets))
	for name, set := range m.sets {
		sets[name] = set.groups
	}
	return sets
}

// signal asks for a delivery.
func (m *Manager) signal() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// ApplyConfig makes the manager run exactly the mechanisms in sets, keyed by the name
// of the target set (the scrape job or the Alertmanager section). A mechanism whose
// configuration is unchanged goes on undisturbed and keeps its targets. One that cannot
// be created is logged and counted in prometheus_sd_failed_configs and leaves the rest
// alone. The configurations are retained and must not be modified afterwards.
func (m *Manager) ApplyConfig(sets map[string]Configs) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		return ErrStopped
	}
	p := plan{
		known: m.providers, knownByConfig: m.byConfig,
		sets: make(map[string]*targetSet, len(sets)), byConfig: make(map[upstream.Config]*provider, len(sets)), kept: make(map[*provider]bool, len(m.providers)),
	}
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		p.sets[name] = &targetSet{
			targets: m.metrics.DiscoveredTargets.WithLabelValues(name),
			updated: m.metrics.LastUpdated.WithLabelValues(name),
		}
		for _, c := range sets[name] {
			m.plan(&p, name, c)
		}
	}
	m.metrics.FailedConfigs.Set(float64(p.failed))
	for _, old := range m.providers {
		if !p.kept[old] {
			old.cancel()
		}
	}
	m.forgetMetrics(p.sets)
	m.sets, m.providers, m.byConfig, m.resend = p.sets, p.providers, p.byConfig, true
	for _, created := range p.created {
		m.start(created)
	}
	m.signal()
	return nil
}

// plan is what a configuration makes of the manager.
type plan struct {
	known         []*provider // those that run
	knownByConfig map[upstream.Config]*provider
	sets          map[string]*targetSet
	providers     []*provider
	byConfig      map[upstream.Config]*provider
	kept          map[*provider]bool // those of known that go on
	created       []*provider        // those of providers that do not run yet
	failed        int
}

// find returns the provider of a configuration that the plan has already or that runs.
func (p *plan) find(c upstream.Config) *provider {
	if reflect.TypeOf(c).Kind() == reflect.Pointer {
		if at := p.byConfig[c]; at != nil {
			return at
		}
		if at := p.knownByConfig[c]; at != nil {
			return at
		}
	}
	equal := func(other *provider) bool { return reflect.DeepEqual(c, other.config) }
	if i := slices.IndexFunc(p.providers, equal); i >= 0 {
		return p.providers[i]
	}
	if i := slices.IndexFunc(p.known, equal); i >= 0 {
		return p.known[i]
	}
	return nil
}

// add makes a set use a provider.
func (p *plan) add(set string, c upstream.Config, at *provider) {
	p.sets[set].add(at)
	if reflect.TypeOf(c).Kind() == reflect.Pointer {
		p.byConfig[c] = at
	}
}

// plan adds a mechanism to a set: the one that runs already if there is one.
func (m *Manager) plan(p *plan, set string, c upstream.Config) {
	if at := p.find(c); at != nil {
		if at.cancel != nil && !p.kept[at] { // It runs.
			p.kept[at] = true
			p.providers = append(p.providers, at)
		}
		p.add(set, c, at)
		return
	}
	d, err := m.newDiscoverer(c, upstream.DiscovererOptions{
		Logger:            m.logger.With("discovery", c.Name(), "config", set),
		HTTPClientOptions: m.httpOptions,
		Metrics:           m.sdMetrics.MechanismMetrics[c.Name()],
		SetName:           set,
	})
	if err != nil {
		m.logger.Error("a discovery mechanism was not created", "mechanism", c.Name(), "config", set, "err", err)
		p.failed++
		return
	}
	created := &provider{config: c, discoverer: d}
	p.created = append(p.created, created)
	p.providers = append(p.providers, created)
	p.add(set, c, created)
}

// newDiscoverer asks the mechanism that serves the configuration, or the configuration
// itself.
func (m *Manager) newDiscoverer(c upstream.Config, opts upstream.DiscovererOptions) (upstream.Discoverer, error) {
	i := slices.IndexFunc(m.mechanisms, func(x Mechanism) bool { return x.Name() == c.Name() })
	if i < 0 {
		return c.NewDiscoverer(opts)
	}
	return m.mechanisms[i].NewDiscoverer(c, opts)
}

// start runs a provider until it is cancelled or the manager stops.
func (m *Manager) start(p *provider) {
	ctx, cancel := context.WithCancel(m.ctx)
	p.cancel = cancel
	name := p.config.Name()
	if !m.runs.begin(name) {
		return
	}
	go func() {
		defer m.runs.end(name)
		p.run(ctx, func(n int) {
			m.metrics.ReceivedUpdates.Add(float64(n))
			m.signal()
		})
	}()
}

// forgetMetrics deletes the series of sets that next does not have, and those of
// mechanisms that left a set. A mechanism that only has another configuration now
// counts in the same series.
func (m *Manager) forgetMetrics(next map[string]*targetSet) {
	for name, old := range m.sets {
		set := next[name]
		if set == nil {
			m.metrics.DiscoveredTargets.DeleteLabelValues(name)
			m.metrics.LastUpdated.DeleteLabelValues(name)
		}
		for _, p := range old.providers {
			if set == nil || !set.uses(p.config.Name()) {
				m.sdMetrics.RefreshManager.DeleteLabelValues(p.config.Name(), name)
			}
		}
	}
}
