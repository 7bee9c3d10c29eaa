//go:build linux && !no_machine

package machine

import (
	"errors"
	"log/slog"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/node_exporter/collector"
)

// maxParallel bounds how many collectors of one page run at once. A few may
// wait for slow hardware or a file system that is gone; more would only
// contend for the CPU, as nearly all of them read from the kernel's memory.
const maxParallel = 4

var (
	durationDesc = prometheus.NewDesc("node_scrape_collector_duration_seconds",
		"Time that a collector took for this page.", []string{"collector"}, nil)
	successDesc = prometheus.NewDesc("node_scrape_collector_success",
		"Whether a collector succeeded for this page.", []string{"collector"}, nil)
)

// errBroken stands for the result of a collector that has panicked.
var errBroken = errors.New("collector has panicked")

// collectors runs the node exporter's collectors as one prometheus.Collector.
// It stands in for the node exporter's own, which starts all of them at once,
// logs failures as errors and passes panics on.
type collectors struct {
	byName map[string]*guarded
	logger *slog.Logger
	// quiet logs everything at level debug.
	quiet *slog.Logger
}

// guarded is a collector that is given up on once it has panicked.
type guarded struct {
	collector.Collector
	broken atomic.Bool
}

func newCollectors(byName map[string]collector.Collector, logger, quiet *slog.Logger) *collectors {
	c := &collectors{byName: map[string]*guarded{}, logger: logger, quiet: quiet}
	for name, one := range byName {
		c.byName[name] = &guarded{Collector: one}
	}
	return c
}

// Describe implements prometheus.Collector. Collectors do not know their
// metrics beforehand, so only those about themselves are described.
func (c *collectors) Describe(to chan<- *prometheus.Desc) {
	to <- durationDesc
	to <- successDesc
}

// Collect implements prometheus.Collector. It returns when all collectors have.
func (c *collectors) Collect(to chan<- prometheus.Metric) {
	names := make(chan string)
	var workers sync.WaitGroup
	for range min(maxParallel, max(2, runtime.GOMAXPROCS(0))) {
		workers.Go(func() {
			for name := range names {
				c.run(name, to)
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(c.byName)) {
		names <- name
	}
	close(names)
	workers.Wait()
}

// run runs one collector and reports on it.
func (c *collectors) run(name string, to chan<- prometheus.Metric) {
	start := time.Now()
	success := 1.0
	if err := c.update(name, to); err != nil {
		success = 0
		c.quiet.Debug("collector yielded nothing", "collector", name, "err", err)
	}
	to <- prometheus.MustNewConstMetric(durationDesc, prometheus.GaugeValue, time.Since(start).Seconds(), name)
	to <- prometheus.MustNewConstMetric(successDesc, prometheus.GaugeValue, success, name)
}

// update calls a collector unless it has panicked before.
func (c *collectors) update(name string, to chan<- prometheus.Metric) (err error) {
	one := c.byName[name]
	if one.broken.Load() {
		return errBroken
	}
	defer func() {
		if r := recover(); r != nil {
			one.broken.Store(true)
			err = errBroken
			c.logger.Error("collector of machine metrics panicked and is switched off",
				"collector", name, "panic", r, "stack", string(debug.Stack()))
		}
	}()
	return one.Update(to)
}
