package exec

import (
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// newOperator makes the operator of a node.
func (sc *scope) newOperator(n plan.Node) (operator, error) {
	if sc.n == 0 {
		return &list{}, nil
	}
	switch n := n.(type) {
	case *plan.Invariant:
		return sc.newInvariant(n)
	case *plan.Shared:
		return sc.newShared(n), nil
	case *plan.Selector:
		if n.Smoothed {
			return sc.newSmoothed(n), nil
		}
		return sc.newSpread(sc.newInstant(n)), nil
	case *plan.Negate:
		return sc.newNegate(n)
	case *plan.Aggregate:
		return sc.newAggregate(n)
	case *plan.Binary:
		return sc.newBinary(n)
	case *plan.Call:
		return sc.newCall(n)
	}
	return nil, fmt.Errorf("a %T is no vector", n)
}

// newCall returns the operator of a function.
func (sc *scope) newCall(n *plan.Call) (operator, error) {
	if make, ok := calls[n.Name]; ok {
		return make(sc, n)
	}
	fn := functions.Lookup(n.Name)
	switch {
	case fn == nil:
	case fn.Range != nil:
		op, err := sc.newRangeCall(n, fn.Range)
		if err != nil {
			return nil, err
		}
		return sc.distinct(op.spreads(), n), nil
	case fn.Element != nil:
		return sc.newElement(n, fn.Element)
	case fn.Histogram != nil:
		return sc.newHistogramCall(n, fn.Histogram)
	}
	return nil, fmt.Errorf("the function %s is not known", n.Name)
}

// calls are the functions that see more than the values of one series, or less.
var calls map[string]func(*scope, *plan.Call) (operator, error)

func init() {
	calls = map[string]func(*scope, *plan.Call) (operator, error){
		"absent":              (*scope).newAbsent,
		"absent_over_time":    (*scope).newAbsentOverTime,
		"histogram_fraction":  (*scope).newHistogramFraction,
		"histogram_quantile":  (*scope).newHistogramQuantile,
		"histogram_quantiles": (*scope).newHistogramQuantiles,
		"info":                (*scope).newInfo,
		"label_join":          (*scope).newLabelJoin,
		"label_replace":       (*scope).newLabelReplace,
		"sort":                (*scope).newSort,
		"sort_by_label":       (*scope).newSort,
		"sort_by_label_desc":  (*scope).newSort,
		"sort_desc":           (*scope).newSort,
		"start_timestamp":     (*scope).newStartTimestamp,
		"timestamp":           (*scope).newTimestamp,
		"vector":              (*scope).newVector,
	}
}

// namesDiffer reports whether the series of a node may differ in nothing but
// their metadata labels, so that dropping the name makes them equal.
func (sc *scope) namesDiffer(n plan.Node) bool {
	switch n := n.(type) {
	case *plan.Selector:
		return sc.opts.TypeLabels || !pinsName(n)
	case *plan.Window:
		return sc.namesDiffer(n.Selector)
	case *plan.Subquery:
		return sc.namesDiffer(n.Expr)
	case *plan.Invariant:
		return sc.namesDiffer(n.Expr)
	case *plan.Shared:
		return sc.namesDiffer(n.Expr)
	case *plan.Negate:
		return sc.namesDiffer(n.Expr)
	case *plan.Binary:
		switch parser.ValueTypeScalar {
		case n.LHS.Type():
			return sc.namesDiffer(n.RHS)
		case n.RHS.Type():
			return sc.namesDiffer(n.LHS)
		}
	case *plan.Call:
		if fn := functions.Lookup(n.Name); fn != nil {
			for _, a := range n.Args {
				if t := a.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
					return sc.namesDiffer(a)
				}
			}
		}
	}
	return true
}
