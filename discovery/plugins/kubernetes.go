//go:build !remove_all_sd || enable_kubernetes_sd

package plugins

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomonhq/gnomon/discovery"
	"github.com/gnomonhq/gnomon/discovery/kubernetes"
)

func init() {
	mechanisms = append(mechanisms, func(reg prometheus.Registerer, logger *slog.Logger) (discovery.Mechanism, error) {
		return kubernetes.New(reg, logger)
	})
}
