package kubernetes

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	upstreamdiscovery "github.com/prometheus/prometheus/discovery"

	"github.com/gnomonhq/gnomon/discovery"
)

// metrics are the collectors of a mechanism. Safe for concurrent use.
type metrics struct {
	// events and failures are upstream's, which count the same here; an event counts once
	// for each feed, not for each job.
	events   *prometheus.CounterVec
	failures prometheus.Counter

	lists, watches *prometheus.CounterVec

	mu struct {
		sync.Mutex
		running map[*watch]struct{}
	}
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: upstreamdiscovery.KubernetesMetricsNamespace, Name: "events_total",
			Help: "The number of Kubernetes events handled.",
		}, []string{"role", "event"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: upstreamdiscovery.KubernetesMetricsNamespace, Name: "failures_total",
			Help: "The number of failed WATCH/LIST requests.",
		}),
		lists: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gnomon_sd_kubernetes_lists_total",
			Help: "How often all objects were asked for in one request, by resource.",
		}, []string{"resource"}),
		watches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gnomon_sd_kubernetes_watches_total",
			Help: "How often a watch was opened, by resource. Servers end each after some minutes.",
		}, []string{"resource"}),
	}
	m.mu.running = map[*watch]struct{}{}
	var err error
	if m.events, err = registered(reg, m.events); err != nil {
		return nil, err
	}
	if m.failures, err = registered(reg, m.failures); err != nil {
		return nil, err
	}
	return m, errors.Join(reg.Register(m.lists), reg.Register(m.watches), reg.Register((*watchCollector)(m)))
}

// registered registers a collector, or returns the equal one that is registered.
func registered[C prometheus.Collector](reg prometheus.Registerer, c C) (C, error) {
	err := reg.Register(c)
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if existing, ok := known.ExistingCollector.(C); ok {
			return existing, nil
		}
	}
	return c, err
}

// begin shows a watch until end is called.
func (m *metrics) begin(w *watch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.running[w] = struct{}{}
}

func (m *metrics) end(w *watch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.mu.running, w)
}

// watchCollector collects the gauges of the running watches.
type watchCollector metrics

var watchLabels = []string{"server", "resource", "namespace", "selector"}

var (
	upDesc = prometheus.NewDesc("gnomon_sd_kubernetes_watch_up",
		"Whether changes of the objects are being followed (1) or the targets may be out of date (0).", watchLabels, nil)
	contactDesc = prometheus.NewDesc("gnomon_sd_kubernetes_watch_last_contact_timestamp_seconds",
		"When the API server last answered or sent something. It sends a sign of life about every minute.", watchLabels, nil)
	objectsDesc = prometheus.NewDesc("gnomon_sd_kubernetes_watch_objects",
		"Objects that are known.", watchLabels, nil)
)

// Describe implements prometheus.Collector.
func (*watchCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{upDesc, contactDesc, objectsDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. Watches with equal labels (two sets of
// credentials for one server, or one that ends as its successor begins) are shown as one:
// it is up if all are, and as old as the oldest.
func (c *watchCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	running := maps.Clone(c.mu.running)
	c.mu.Unlock()
	shown := map[[4]string]discovery.Source{}
	for w := range running {
		s := w.source()
		labels := [4]string{s.Server, s.Resource, s.Namespace, s.Selector}
		if other, ok := shown[labels]; ok {
			s.Up = s.Up && other.Up
			s.Objects += other.Objects
			if other.LastContact.Before(s.LastContact) {
				s.LastContact = other.LastContact
			}
		}
		shown[labels] = s
	}
	for labels, s := range shown {
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels[:]...)
		}
		up := 0.0
		if s.Up {
			up = 1
		}
		gauge(upDesc, up)
		gauge(objectsDesc, float64(s.Objects))
		contact := 0.0 // never
		if !s.LastContact.IsZero() {
			contact = float64(s.LastContact.UnixNano()) / float64(time.Second)
		}
		gauge(contactDesc, contact)
	}
}

// source describes the watch as it is now.
func (w *watch) source() discovery.Source {
	up, contact, err := w.health.state()
	s := discovery.Source{
		Mechanism: mechanism, Server: w.health.server, Resource: w.resource.name, Namespace: w.namespace,
		Selector: w.selector.String(), Up: up, LastContact: contact, Objects: len(w.informer.GetStore().ListKeys()),
	}
	if err != nil {
		s.Err = err
	}
	return s
}
