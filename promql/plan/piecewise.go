package plan

import (
	"github.com/prometheus/prometheus/promql/parser"
)

// Piecewise reports whether each step has the same value, and the same errors,
// whatever other steps are evaluated with it, so that the steps of a range can be
// evaluated piece by piece. It says no when in doubt.
//
// Not piecewise are what looks at the ends of the range, at fixed times or at the
// series of the range as a whole. The latter is so of labels that become equal:
// that is an error even if the series have no step in common. Names that go are
// no reason if selectors have one name only.
func (p *Plan) Piecewise() bool {
	ok, selectors := !p.usesEnds, 0
	Walk(p.Root, func(n Node) bool {
		switch n := n.(type) {
		case *Selector:
			selectors++
			ok = ok && n.piecewise()
		case *Window:
			selectors++
			ok = ok && n.piecewise()
		case *Subquery:
			ok = ok && n.At == nil
		case *Aggregate:
			switch n.Op {
			// Which of equal elements are taken depends on the order of series.
			case parser.TOPK, parser.BOTTOMK, parser.LIMITK:
				ok = false
			}
		case *Call:
			switch n.Name {
			case "info", "label_replace", "label_join":
				ok = false
			}
		}
		return ok
	})
	return ok && selectors > 0
}

func (n *Selector) piecewise() bool { return n.At == nil && pinsName(n) }

// usesRange reports whether a duration expression mentions range().
func usesRange(e *parser.DurationExpr) bool {
	if e == nil {
		return false
	}
	if e.Op == parser.RANGE {
		return true
	}
	for _, operand := range []parser.Expr{e.LHS, e.RHS} {
		if inner, ok := operand.(*parser.DurationExpr); ok && usesRange(inner) {
			return true
		}
	}
	return false
}
