package plan

import "github.com/prometheus/prometheus/promql/parser"

// markStatistics marks the selectors of whose native histograms only count and
// sum are used: a function that wants no more stands above, and nothing between
// or above it wants the buckets. A subquery needs them to find counter resets.
// above is what stands above n.
func markStatistics(n Node, above statisticsUse) {
	switch n := n.(type) {
	case *Selector:
		n.StatisticsOnly = above.suffice && !above.buckets
		return
	case *Window:
		n.StatisticsOnly = above.suffice && !above.buckets
		return
	case *Subquery:
		above.buckets = true
	case *Binary:
		above.buckets = above.buckets || n.Op == parser.TRIM_LOWER || n.Op == parser.TRIM_UPPER
	case *Call:
		switch n.Name {
		case "histogram_count", "histogram_sum", "histogram_avg":
			above.suffice = true
		case "histogram_quantile", "histogram_quantiles", "histogram_fraction", "histogram_stddev", "histogram_stdvar":
			above.buckets = true
		}
	}
	n.children(func(c *Node) { markStatistics(*c, above) })
}

// statisticsUse says that something wants count and sum, and that something wants
// the buckets.
type statisticsUse struct{ suffice, buckets bool }
