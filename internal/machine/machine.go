//go:build linux && !no_machine

package machine

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/node_exporter/collector"
)

// Available reports whether this build has the metrics of the machine.
const Available = true

// Machine makes pages with the metrics of the machine.
type Machine struct {
	collectors *collectors
	handler    http.Handler
}

// defaultFlags gives the node exporter's flags their default values. Without
// it, all its settings would be zero and no collector would be on.
var defaultFlags = sync.OnceValue(func() error {
	_, err := kingpin.CommandLine.Parse([]string{})
	return err
})

// New prepares the collectors that the node exporter runs by default.
func New(opts Options) (*Machine, error) {
	opts = opts.withDefaults()
	if err := defaultFlags(); err != nil {
		return nil, fmt.Errorf("defaults of the node exporter: %w", err)
	}
	quiet := slog.New(debugHandler{opts.Logger.Handler()})
	nodes, err := collector.NewNodeCollector(quiet)
	if err != nil {
		return nil, fmt.Errorf("collectors of the node exporter: %w", err)
	}
	m := &Machine{collectors: newCollectors(nodes.Collectors, opts.Logger, quiet)}
	registry := prometheus.NewRegistry()
	if err := registry.Register(m.collectors); err != nil {
		return nil, fmt.Errorf("collectors of the node exporter: %w", err)
	}
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(quiet.Handler(), slog.LevelDebug),
		// One collector with contradictory metrics must not cost the page.
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: opts.MaxRequests,
		Timeout:             opts.Timeout,
	})
	return m, nil
}

// Handler serves the page. All handlers of a Machine share its bounds.
func (m *Machine) Handler() http.Handler { return m.handler }

// Collectors returns the names of the collectors in use, sorted.
func (m *Machine) Collectors() []string {
	return slices.Sorted(maps.Keys(m.collectors.byName))
}
