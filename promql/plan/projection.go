package plan

import (
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// folding are the aggregations that look at the labels of the grouping only.
// Others return some of the series, or number them.
var folding = []parser.ItemType{
	parser.SUM, parser.AVG, parser.COUNT, parser.MIN, parser.MAX, parser.GROUP, parser.STDDEV, parser.STDVAR, parser.QUANTILE,
}

// labelled are the functions of one vector that look at labels, or read others.
// Those of native histograms do as well: see onlyLabelled.
var labelled = []string{"absent", "absent_over_time", "info", "label_join", "label_replace", "scalar", "sort_by_label", "sort_by_label_desc"}

// markLabels tells selectors which labels are used of what they find: those that
// an aggregation groups by, and the name, if between the two there is nothing that
// looks at labels. Series stay apart that differ in other labels. If the selector
// does not pin the name, labels tell whether two series become the same when it is
// dropped, so that all are used.
func markLabels(root Node) {
	Walk(root, func(n Node) bool {
		a, ok := n.(*Aggregate)
		if !ok || a.Without || !slices.Contains(folding, a.Op) {
			return true
		}
		if s := onlyLabelled(a.Expr); s != nil && pinsName(s) {
			s.Labels = append(slices.Clone(a.Grouping), model.MetricNameLabel)
		}
		return true
	})
}

// onlyLabelled returns the selector whose series an expression has one by one,
// with what it makes of their values; nil if it is not such an expression.
func onlyLabelled(n Node) *Selector {
	switch n := n.(type) {
	case *Selector:
		return n
	case *Window:
		return n.Selector
	case *Negate:
		return onlyLabelled(n.Expr)
	case *Invariant:
		return onlyLabelled(n.Expr)
	case *Binary:
		switch parser.ValueTypeScalar {
		case n.LHS.Type():
			return onlyLabelled(n.RHS)
		case n.RHS.Type():
			return onlyLabelled(n.LHS)
		}
	case *Call:
		if operand := n.labelled(); operand != nil {
			return onlyLabelled(operand)
		}
	}
	return nil
}

// pinsName reports whether all series of a selector have the same name.
func pinsName(n *Selector) bool {
	return slices.ContainsFunc(n.Matchers, func(m *labels.Matcher) bool {
		return m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual && m.Value != ""
	})
}
