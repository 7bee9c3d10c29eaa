package plan

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// String returns the selector as PromQL, without range.
func (n *Selector) String() string { return n.expression().String() }

// expression is the selector as a syntax tree.
func (n *Selector) expression() *parser.VectorSelector {
	e := &parser.VectorSelector{
		LabelMatchers: n.Matchers, OriginalOffset: n.Offset, Timestamp: n.At, Anchored: n.Anchored, Smoothed: n.Smoothed,
	}
	for _, m := range n.Matchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			e.Name = m.Value
		}
	}
	return e
}
