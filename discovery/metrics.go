package discovery

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	upstream "github.com/prometheus/prometheus/discovery"
)

// Metrics holds the collectors of all linked mechanisms (prometheus_sd_*, and the
// request metrics of the Kubernetes client). Each mechanism has one set of collectors
// however many managers run it, so a process creates one Metrics and gives it to all
// of them. Safe for concurrent use.
type Metrics struct {
	sd *upstream.SDMetrics
}

// NewMetrics creates the collectors and registers them; reg may be nil. It fails if any
// is registered already, in particular when called twice with one registerer.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	if err := upstream.RegisterK8sClientMetricsWithPrometheus(reg); err != nil {
		return nil, fmt.Errorf("register discovery metrics: %w", err)
	}
	sd, err := upstream.CreateAndRegisterSDMetrics(reg)
	if err != nil {
		return nil, fmt.Errorf("register discovery metrics: %w", err)
	}
	return &Metrics{sd: sd}, nil
}
