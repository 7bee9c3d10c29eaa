package etcd

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/discovery"
)

// The reasons for reading all keys: the label "reason" of the metric that counts it.
const (
	relistStart      = "start"      // Nothing was known.
	relistRefresh    = "refresh"    // refresh_interval has passed.
	relistCompaction = "compaction" // The next revision to follow was compacted.
	relistHistory    = "history"    // Another cluster, or one that went back in time.
	relistOversize   = "oversize"   // A change too large to be received.
)

// metrics are the collectors of all etcd discoveries of a process. Safe for concurrent
// use. The gauges are collected from the running discoveries, so that a reload that
// replaces one neither leaves its figures behind nor removes those of its successor.
type metrics struct {
	badValues  *prometheus.CounterVec
	relists    *prometheus.CounterVec
	reconnects *prometheus.CounterVec

	// refresh makes upstream's metrics of one configuration: failures and durations, by
	// the names that stock alerts know.
	refresh discovery.RefreshMetricsInstantiator

	registerer discovery.MetricRegisterer

	mu struct {
		sync.Mutex
		running map[*gauges]struct{}
	}
}

// gauges is what a running discovery shows of itself. Written by the discovery, read by
// the collector.
type gauges struct {
	config, prefix string

	up          atomic.Bool
	keys        atomic.Int64
	badKeys     atomic.Int64
	refusedKeys atomic.Int64
	revision    atomic.Int64
	// updated is in Unix nanoseconds; 0 before the first update.
	updated atomic.Int64
}

func newMetrics(reg prometheus.Registerer, rmi discovery.RefreshMetricsInstantiator) *metrics {
	m := &metrics{
		badValues: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gnomon_sd_etcd_bad_values_total",
			Help: "Values in etcd that were refused, by reason.",
		}, []string{"config", "reason"}),
		relists: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gnomon_sd_etcd_lists_total",
			Help: "How often all keys were read from etcd, by reason.",
		}, []string{"config", "reason"}),
		reconnects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gnomon_sd_etcd_reconnects_total",
			Help: "How often the connection to etcd was opened anew.",
		}, []string{"config"}),
		refresh: rmi,
	}
	m.mu.running = make(map[*gauges]struct{})
	m.registerer = discovery.NewMetricRegisterer(reg, []prometheus.Collector{
		m.badValues, m.relists, m.reconnects, (*gaugeCollector)(m),
	})
	return m
}

// Register implements discovery.DiscovererMetrics.
func (m *metrics) Register() error { return m.registerer.RegisterMetrics() }

// Unregister implements discovery.DiscovererMetrics.
func (m *metrics) Unregister() { m.registerer.UnregisterMetrics() }

// begin shows g until end is called, and makes the counters of its configuration exist,
// as an alert on an increase needs the zero before it.
func (m *metrics) begin(g *gauges) {
	for _, r := range reasons {
		m.badValues.WithLabelValues(g.config, r)
	}
	m.relists.WithLabelValues(g.config, relistStart)
	m.reconnects.WithLabelValues(g.config)
	m.refresh.Instantiate(mechanism, g.config)

	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.running[g] = struct{}{}
}

func (m *metrics) end(g *gauges) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.mu.running, g)
}

// failed counts a failure to follow etcd. The series is looked up each time: the manager
// deletes it when a configuration goes, and a pointer kept would count into the void.
func (m *metrics) failed(config string) {
	m.refresh.Instantiate(mechanism, config).Failures.Inc()
}

// listed notes that all keys were read.
func (m *metrics) listed(config, reason string, took time.Duration) {
	m.relists.WithLabelValues(config, reason).Inc()
	r := m.refresh.Instantiate(mechanism, config)
	r.Duration.Observe(took.Seconds())
	r.DurationHistogram.Observe(took.Seconds())
}

// gaugeCollector collects the gauges of the running discoveries.
type gaugeCollector metrics

var gaugeLabels = []string{"config", "prefix"}

var (
	upDesc = prometheus.NewDesc("gnomon_sd_etcd_up",
		"Whether changes in etcd are being followed (1) or etcd is out of reach (0).", gaugeLabels, nil)
	keysDesc = prometheus.NewDesc("gnomon_sd_etcd_keys",
		"Keys that are known.", gaugeLabels, nil)
	badKeysDesc = prometheus.NewDesc("gnomon_sd_etcd_bad_keys",
		"Keys whose present value was refused.", gaugeLabels, nil)
	refusedKeysDesc = prometheus.NewDesc("gnomon_sd_etcd_refused_keys",
		"Keys that were refused since the last list because of max_keys.", gaugeLabels, nil)
	revisionDesc = prometheus.NewDesc("gnomon_sd_etcd_revision",
		"Revision of etcd that the targets reflect.", gaugeLabels, nil)
	updatedDesc = prometheus.NewDesc("gnomon_sd_etcd_last_update_timestamp_seconds",
		"When keys were last read or changed.", gaugeLabels, nil)
)

// Describe implements prometheus.Collector.
func (*gaugeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{upDesc, keysDesc, badKeysDesc, refusedKeysDesc, revisionDesc, updatedDesc} {
		ch <- d
	}
}

// figures are the gauges of one label set.
type figures struct {
	up, keys, badKeys, refusedKeys, revision, updated float64
}

// Collect implements prometheus.Collector. Discoveries with equal labels (one job that
// reads the same prefix of two clusters) are shown as one: counts are added up, and it
// is up if all are.
func (c *gaugeCollector) Collect(ch chan<- prometheus.Metric) {
	for labels, f := range c.figures() {
		for desc, v := range map[*prometheus.Desc]float64{
			upDesc: f.up, keysDesc: f.keys, badKeysDesc: f.badKeys,
			refusedKeysDesc: f.refusedKeys, revisionDesc: f.revision, updatedDesc: f.updated,
		} {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels[0], labels[1])
		}
	}
}

func (c *gaugeCollector) figures() map[[2]string]figures {
	c.mu.Lock()
	running := maps.Clone(c.mu.running)
	c.mu.Unlock()

	sum := make(map[[2]string]figures, len(running))
	for g := range running {
		f := figures{
			keys:        float64(g.keys.Load()),
			badKeys:     float64(g.badKeys.Load()),
			refusedKeys: float64(g.refusedKeys.Load()),
			revision:    float64(g.revision.Load()),
			updated:     float64(g.updated.Load()) / float64(time.Second),
		}
		if g.up.Load() {
			f.up = 1
		}
		labels := [2]string{g.config, g.prefix}
		if s, ok := sum[labels]; ok {
			f.up = min(f.up, s.up)
			f.keys += s.keys
			f.badKeys += s.badKeys
			f.refusedKeys += s.refusedKeys
			f.revision = max(f.revision, s.revision)
			f.updated = min(f.updated, s.updated)
		}
		sum[labels] = f
	}
	return sum
}
