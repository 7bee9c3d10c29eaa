package kubernetes

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	upstreamdiscovery "github.com/prometheus/prometheus/discovery"
	upstream "github.com/prometheus/prometheus/discovery/kubernetes"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gnomonhq/gnomon/discovery"
)

// mechanism is the name of the configurations that are served here.
const mechanism = "kubernetes"

// Mechanism has the watches of all clusters that jobs look into. A process has one, so that
// all of its discovery managers share them. Safe for concurrent use.
type Mechanism struct {
	logger  *slog.Logger
	metrics *metrics
	in      *interner
	// connect makes the clients of a connection. Tests change it.
	connect func(connection) (*api, string, error)

	mu       sync.Mutex
	clusters []*cluster
	dynamic  map[schema.GroupVersionResource]*resource // that were ever followed
}

var _ discovery.Mechanism = (*Mechanism)(nil)

// New creates a mechanism that watches nothing yet. It fails if its metrics cannot be
// registered. Metrics that upstream's own mechanism has registered are taken over.
func New(reg prometheus.Registerer, logger *slog.Logger) (*Mechanism, error) {
	m, err := newMetrics(reg)
	if err != nil {
		return nil, fmt.Errorf("register metrics of Kubernetes discovery: %w", err)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Mechanism{logger: logger, metrics: m, in: &interner{}, connect: connection.connect, dynamic: map[schema.GroupVersionResource]*resource{}}, nil
}

// Name implements discovery.Mechanism.
func (*Mechanism) Name() string { return mechanism }

// NewDiscoverer implements discovery.Mechanism: it returns a [Discovery], which must be run,
// as it takes part in watches from now on. So those that a reload goes on needing are not
// ended in between. It opens no connection.
func (m *Mechanism) NewDiscoverer(c upstreamdiscovery.Config, _ upstreamdiscovery.DiscovererOptions) (upstreamdiscovery.Discoverer, error) {
	config, ok := c.(*upstream.SDConfig)
	if !ok {
		return nil, fmt.Errorf("kubernetes_sd_configs: the configuration is a %T", c)
	}
	switch config.Role {
	case upstream.RoleNode, upstream.RolePod, upstream.RoleService, upstream.RoleEndpoint, upstream.RoleEndpointSlice, upstream.RoleIngress:
	default:
		return nil, fmt.Errorf("kubernetes_sd_configs: there is no role %q", config.Role)
	}
	to, err := connectionOf(config)
	if err != nil {
		return nil, fmt.Errorf("kubernetes_sd_configs: %w", err)
	}
	names, err := namespacesOf(config)
	if err != nil {
		return nil, fmt.Errorf("kubernetes_sd_configs: %w", err)
	}
	if config.Role == upstream.RoleNode {
		names = []string{""} // nodes are in none
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	where, err := m.cluster(to)
	if err != nil {
		return nil, fmt.Errorf("kubernetes_sd_configs: %w", err)
	}
	d := &Discovery{mechanism: m, cluster: where}
	for _, name := range names {
		d.feeds = append(d.feeds, m.feed(where, feedKey{
			role: config.Role, namespace: name, selectors: selectorsOf(config), attach: attachedOf(config),
		}))
	}
	return d, nil
}

// cluster returns the cluster behind a connection.
func (m *Mechanism) cluster(to connection) (*cluster, error) {
	if i := slices.IndexFunc(m.clusters, func(c *cluster) bool { return c.connection.equal(to) }); i >= 0 {
		return m.clusters[i], nil
	}
	a, server, err := m.connect(to)
	if err != nil {
		return nil, err
	}
	c := &cluster{connection: to, api: a, server: server, watches: map[watchKey]*watch{}, feeds: map[feedKey]*feed{}}
	m.clusters = append(m.clusters, c)
	return c, nil
}

// feed returns the feed of a key with one user more.
func (m *Mechanism) feed(c *cluster, k feedKey) *feed {
	f := c.feeds[k]
	if f == nil {
		f = &feed{feedKey: k, in: m.in}
		get := func(r *resource, namespace string, s selector, indexes ...string) *lent {
			w := m.watch(c, watchKey{resource: r, namespace: namespace, selector: s})
			w.addIndexes(indexes)
			l := &lent{SharedIndexInformer: w.informer}
			f.watches, f.lent = append(f.watches, w), append(f.lent, l)
			return l
		}
		f.builder = newBuilder(k, get, m.metrics.events, m.logger)
		f.start(m.logger)
		c.feeds[k] = f
	}
	f.users++
	return f
}

// watch returns the watch of a key with one user more.
func (m *Mechanism) watch(c *cluster, k watchKey) *watch {
	w := c.watches[k]
	if w == nil {
		w = startWatch(k, c, m.in, m.metrics, m.logger)
		c.watches[k] = w
	}
	w.users++
	return w
}

// release takes a user off feeds, and ends what nobody uses any more before it returns.
func (m *Mechanism) release(c *cluster, feeds []*feed) {
	ended, idle := m.unuse(c, feeds)
	for _, f := range ended {
		f.stop()
	}
	for _, w := range idle {
		w.stop()
	}
}

// unuse takes a user off feeds, and those that have none left off their watches. It
// returns what is to be stopped.
func (m *Mechanism) unuse(c *cluster, feeds []*feed) (ended []*feed, idle []*watch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range feeds {
		if f.users--; f.users > 0 {
			continue
		}
		delete(c.feeds, f.feedKey)
		ended = append(ended, f)
		for _, w := range f.watches {
			if w.users--; w.users == 0 {
				delete(c.watches, w.watchKey)
				idle = append(idle, w)
			}
		}
	}
	m.forgetIdle(c)
	return ended, idle
}

// forgetIdle forgets a cluster that nobody uses.
func (m *Mechanism) forgetIdle(c *cluster) {
	if c.idle() {
		m.clusters = slices.DeleteFunc(m.clusters, func(other *cluster) bool { return other == c })
	}
}

// Sources implements discovery.Mechanism: the watches, in the order of their names.
func (m *Mechanism) Sources() []discovery.Source {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []discovery.Source
	for _, c := range m.clusters {
		for _, w := range c.watches {
			out = append(out, w.source())
		}
	}
	slices.SortFunc(out, func(a, b discovery.Source) int {
		return strings.Compare(a.Server+" "+a.Resource+" "+a.Namespace+" "+a.Selector, b.Server+" "+b.Resource+" "+b.Namespace+" "+b.Selector)
	})
	return out
}
