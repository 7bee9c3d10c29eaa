package plan

import (
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// markStatistics marks the selectors of whose native histograms only count and
// sum are used: a function that wants no more stands above, and nothing between
// or above it wants the buckets. A subquery needs them to find counter resets.
// path has the nodes above n, the root first.
func markStatistics(n Node, path []Node) {
	var s *Selector
	switch n := n.(type) {
	case *Selector:
		s = n
	case *Window:
		s = n.Selector
	}
	if s != nil {
		s.StatisticsOnly = statisticsSuffice(path)
		return
	}
	path = append(path, n)
	n.children(func(c *Node) { markStatistics(*c, path) })
}

func statisticsSuffice(path []Node) bool {
	suffice := false
	for _, above := range slices.Backward(path) {
		switch n := above.(type) {
		case *Subquery:
			return false
		case *Binary:
			if n.Op == parser.TRIM_LOWER || n.Op == parser.TRIM_UPPER {
				return false
			}
		case *Call:
			switch n.Name {
			case "histogram_count", "histogram_sum", "histogram_avg":
				suffice = true
			case "histogram_quantile", "histogram_quantiles", "histogram_fraction", "histogram_stddev", "histogram_stdvar":
				return false
			}
		}
	}
	return suffice
}
