package block

import (
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// Compare orders series metric-major: by metric name, then by all labels. It is the order of
// the series of a block.
func Compare(a, b labels.Labels) int {
	if c := strings.Compare(a.Get(model.MetricNameLabel), b.Get(model.MetricNameLabel)); c != 0 {
		return c
	}
	return labels.Compare(a, b)
}
