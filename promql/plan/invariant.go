package plan

// stepDependent are the functions that use the time of the step, so that their
// value changes even if that of their arguments does not.
var stepDependent = map[string]bool{
	"days_in_month": true, "day_of_month": true, "day_of_week": true, "day_of_year": true,
	"hour": true, "minute": true, "month": true, "year": true,
	"predict_linear": true, "time": true, "timestamp": true,
}

// wrapInvariant puts the largest parts that are the same at all steps below an
// [Invariant].
func wrapInvariant(root Node) Node {
	if _, wrap := invariant(root); wrap {
		return &Invariant{Expr: root}
	}
	return root
}

// invariant reports whether n is the same at all steps, and whether it is worth
// wrapping: literals are not, and what has ranges is looked at by the function
// around it. If n is not the same, its parts that are get wrapped.
func invariant(n Node) (same, wrap bool) {
	switch n := n.(type) {
	case *Selector:
		return n.At != nil, n.At != nil
	case *Window:
		return n.At != nil, false
	case *Number, *Text:
		return true, false
	case *Negate:
		return invariant(n.Expr)
	case *Aggregate:
		return invariant(n.Expr)
	case *Binary:
		return invariantBinary(n)
	case *Call:
		return invariantCall(n)
	case *Subquery:
		// What is inside is evaluated once at the first step of the subquery,
		// whether it has an @ of its own or not.
		if inner, _ := invariant(n.Expr); inner {
			n.Expr = &Invariant{Expr: n.Expr}
		}
		return n.At != nil, false
	}
	return false, false
}

func invariantBinary(n *Binary) (same, wrap bool) {
	lhs, wrapLHS := invariant(n.LHS)
	rhs, wrapRHS := invariant(n.RHS)
	if lhs && rhs {
		return true, true
	}
	if wrapLHS {
		n.LHS = &Invariant{Expr: n.LHS}
	}
	if wrapRHS {
		n.RHS = &Invariant{Expr: n.RHS}
	}
	return false, false
}

func invariantCall(n *Call) (same, wrap bool) {
	same = !stepDependent[n.Name]
	// The timestamp of a selector with @ is the same, that of an expression is the
	// time of the step.
	fixedTimestamp := n.Name == "timestamp"
	wraps := make([]bool, len(n.Args))
	for i, arg := range n.Args {
		var argSame bool
		argSame, wraps[i] = invariant(arg)
		if n.Name == "info" && i == 1 {
			wraps[i] = false // says which series are meant, and is not evaluated
			continue
		}
		same = same && argSame
		if _, selector := arg.(*Selector); !selector || !argSame {
			fixedTimestamp = false
		}
	}
	if n.Name == "info" {
		_, _, uniform := reference(n.Args[0])
		same = same && uniform
	}
	if same || fixedTimestamp {
		return true, true
	}
	for i, w := range wraps {
		if w {
			n.Args[i] = &Invariant{Expr: n.Args[i]}
		}
	}
	return false, false
}
