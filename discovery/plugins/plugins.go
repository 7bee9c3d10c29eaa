// Package plugins links the discovery mechanisms into a binary: upstream's, and our own
// from the packages beside it. Only cmd/gnomon imports it, because linking everything costs
// about 100 MB. Package discovery documents the build tags that leave mechanisms out.
//
// Upstream's set lives in its plugins package, one file per mechanism under the same
// tags, so that a mechanism that upstream adds appears here with the next version.
package plugins

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	// The mechanisms of upstream, each under its build tag.
	_ "github.com/prometheus/prometheus/plugins"

	"github.com/gnomonhq/gnomon/discovery"
)

// mechanisms make those that jobs share, each under its build tag.
var mechanisms []func(prometheus.Registerer, *slog.Logger) (discovery.Mechanism, error)

// Mechanisms creates those that all managers of a process share. It is called once, after
// [discovery.NewMetrics] with the same registerer.
func Mechanisms(reg prometheus.Registerer, logger *slog.Logger) ([]discovery.Mechanism, error) {
	var out []discovery.Mechanism
	for _, create := range mechanisms {
		m, err := create(reg, logger)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}
