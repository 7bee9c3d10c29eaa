package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

	// HTTPClientOptions are handed to mechanisms that speak HTTP.
	HTTPClientOptions []config.HTTPClientOption

	// Features, if set, is told the name of every linked mechanism.
	Features features.Collector

	// UpdateInterval bounds how long changes are gathered before they are delivered;
	// the first change after a quiet time arrives within about 100 ms.
	// Default: DefaultUpdateInterval.
	UpdateInterval time.Duration

	// StopTimeout bounds how long Run waits for mechanisms to return once its context
	// has ended. Default: DefaultStopTimeout.
	StopTimeout time.Duration
}

// Manager runs discovery mechanisms and delivers the target groups they find. All
// methods are safe for concurrent use.
type Manager struct {
	name        string
	logger      *slog.Logger
	upstream    *upstream.Manager
	runs        *runs
	stopTimeout time.Duration

	// ctx is the lifetime of the mechanisms; upstream wants it at construction, before
	// the caller of Run can give one.
	ctx    context.Context
	cancel context.CancelFunc

	started atomic.Bool
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

	m := &Manager{
		name:        opts.Name,
		logger:      opts.Logger,
		runs:        newRuns(),
		stopTimeout: opts.StopTimeout,
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())

	// Upstream's constructor logs the reason of a failure and returns nil.
	reg := &recordingRegisterer{Registerer: opts.Registerer}
	settings := []func(*upstream.Manager){
		upstream.Name(opts.Name),
		upstream.Updatert(opts.UpdateInterval),
		upstream.HTTPClientOptions(opts.HTTPClientOptions...),
	}
	if opts.Features != nil {
		settings = append(settings, upstream.FeatureRegistry(opts.Features))
	}
	m.upstream = upstream.NewManager(m.ctx, opts.Logger, reg, opts.Metrics.sd, settings...)
	if m.upstream == nil {
		m.cancel()
		return nil, fmt.Errorf("register metrics of discovery manager %q: %w", opts.Name, reg.err)
	}
	return m, nil
}

// Run delivers updates on SyncCh until ctx ends, then stops all mechanisms, waits for
// them and closes SyncCh. It returns nil on an orderly end, and an error that names the
// mechanisms which did not stop in time, or if it is called a second time.
func (m *Manager) Run(ctx context.Context) error {
	if !m.started.CompareAndSwap(false, true) {
		return fmt.Errorf("discovery manager %q: run was called twice", m.name)
	}
	defer m.cancel()
	stop := context.AfterFunc(ctx, m.cancel)
	defer stop()

	if err := m.upstream.Run(); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("run discovery manager %q: %w", m.name, err)
	}
	// Upstream leaves its sender behind; the closed channel is the sign of its end.
	for range m.upstream.SyncCh() {
	}
	if left := m.runs.stop(m.stopTimeout); len(left) > 0 {
		return fmt.Errorf("stop discovery manager %q: still running after %s: %v", m.name, m.stopTimeout, left)
	}
	return nil
}

// SyncCh delivers, for every target set, all groups that are known of it, whenever any
// of them changed. It is closed when Run ends. The values are shared with the manager:
// read only.
func (m *Manager) SyncCh() <-chan map[string][]*targetgroup.Group {
	return m.upstream.SyncCh()
}

// ApplyConfig makes the manager run exactly the mechanisms in sets, keyed by the name
// of the target set (the scrape job or the Alertmanager section). A mechanism whose
// configuration is unchanged goes on undisturbed and keeps its targets. One that cannot
// be created is logged and counted in prometheus_sd_failed_configs and leaves the rest
// alone. The configurations are retained and must not be modified afterwards.
func (m *Manager) ApplyConfig(sets map[string]Configs) error {
	if m.ctx.Err() != nil {
		return ErrStopped
	}
	owned := make(map[string]Configs, len(sets))
	for name, configs := range sets {
		owned[name] = m.runs.own(configs)
	}
	if err := m.upstream.ApplyConfig(owned); err != nil {
		return fmt.Errorf("apply configuration to discovery manager %q: %w", m.name, err)
	}
	return nil
}
