package plan

import (
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// propagateMatchers lets each side of an operator between vectors read only what can
// match the other side: what a selector says of a label that is matched by holds
// for both sides. In node_filesystem_avail{mountpoint="/"} / node_filesystem_size the
// sizes of one mount point are read.
//
// Nothing that the result has, or fails with, may depend on what is left out: see
// joins. Annotations of series that cannot match are lost.
func propagateMatchers(n Node) {
	n.children(func(c *Node) { propagateMatchers(*c) })
	b, ok := n.(*Binary)
	if !ok || b.Matching == nil {
		return
	}
	left, right := b.joins()
	if left {
		for _, m := range implied(b.RHS) {
			if b.matchesBy(m.Name) {
				restrict(b.LHS, m)
			}
		}
	}
	if right {
		for _, m := range implied(b.LHS) {
			if b.matchesBy(m.Name) {
				restrict(b.RHS, m)
			}
		}
	}
}

// joins reports of which sides elements without a match on the other do not matter.
// Arithmetic and comparisons fail if several elements of the side that each
// element of the other may match once have the labels in common, whether anything
// matches them or not, so that this side must not be able to.
func (n *Binary) joins() (left, right bool) {
	switch n.Op {
	case parser.LAND:
		return true, true
	case parser.LUNLESS:
		return false, true
	case parser.LOR:
		return false, false
	}
	one := n.RHS
	if n.Matching.Card == parser.CardOneToMany {
		one = n.LHS
	}
	ok := n.Matching.FillValues.LHS == nil && n.Matching.FillValues.RHS == nil && n.distinguishes(one)
	return ok, ok
}

// matchesBy reports whether elements that match have the same value of a label.
func (n *Binary) matchesBy(label string) bool {
	if strings.HasPrefix(label, "__") {
		return false // the name, and what may go with it
	}
	return slices.Contains(n.Matching.MatchingLabels, label) == n.Matching.On
}

// distinguishes reports whether elements of a side differ in labels that are matched by.
func (n *Binary) distinguishes(side Node) bool {
	if a, ok := side.(*Aggregate); ok {
		return !a.Without && slices.Contains(folding, a.Op) && !slices.ContainsFunc(a.Grouping, func(l string) bool { return !n.matchesBy(l) })
	}
	s := onlyLabelled(side)
	return s != nil && pinsName(s) && !n.Matching.On && len(n.Matching.MatchingLabels) == 0
}

// implied returns matchers that all elements of an expression fulfil.
func implied(n Node) []*labels.Matcher {
	switch n := n.(type) {
	case *Selector:
		return n.Matchers
	case *Window:
		return n.Matchers
	case *Subquery:
		return implied(n.Expr)
	case *Negate:
		return implied(n.Expr)
	case *Aggregate:
		if n.Op == parser.COUNT_VALUES {
			return nil // makes a label
		}
		var kept []*labels.Matcher
		for _, m := range implied(n.Expr) {
			if !slices.Contains(folding, n.Op) || slices.Contains(n.Grouping, m.Name) != n.Without {
				kept = append(kept, m)
			}
		}
		return kept
	case *Binary:
		switch {
		case n.LHS.Type() == parser.ValueTypeScalar:
			return implied(n.RHS)
		case n.RHS.Type() == parser.ValueTypeScalar, n.Op == parser.LAND, n.Op == parser.LUNLESS:
			return implied(n.LHS)
		}
	case *Call:
		if operand := n.labelled(); operand != nil {
			return implied(operand)
		}
	}
	return nil
}

// restrict adds a matcher to the selectors of an expression, if all that this does
// is to take out the elements that do not fulfil it.
func restrict(n Node, m *labels.Matcher) {
	switch n := n.(type) {
	case *Selector:
		n.restrict(m)
	case *Window:
		n.restrict(m)
	case *Subquery:
		restrict(n.Expr, m)
	case *Negate:
		restrict(n.Expr, m)
	case *Aggregate:
		if slices.Contains(folding, n.Op) && slices.Contains(n.Grouping, m.Name) != n.Without {
			restrict(n.Expr, m)
		}
	case *Binary:
		switch {
		case n.LHS.Type() == parser.ValueTypeScalar:
			restrict(n.RHS, m)
		case n.RHS.Type() == parser.ValueTypeScalar, n.Op == parser.LAND, n.Op == parser.LUNLESS:
			restrict(n.LHS, m)
		}
	case *Call:
		// One function fails for a series, if its factors are not right.
		if operand := n.labelled(); operand != nil && n.Name != "double_exponential_smoothing" {
			restrict(operand, m)
		}
	}
}

// restrict adds a matcher. If the name is not pinned, series may become the same when
// it is dropped, and fail the query.
func (n *Selector) restrict(m *labels.Matcher) {
	if !pinsName(n) {
		return
	}
	same := func(o *labels.Matcher) bool { return o.Name == m.Name && o.Type == m.Type && o.Value == m.Value }
	if !slices.ContainsFunc(n.Matchers, same) {
		n.Matchers = append(slices.Clip(n.Matchers), m)
	}
}

// labelled returns the argument whose elements the call returns with another value
// and the same labels but for the name, nil if it does something else.
func (n *Call) labelled() Node {
	if slices.Contains(labelled, n.Name) || strings.HasPrefix(n.Name, "histogram_") {
		return nil
	}
	var operand Node
	for _, a := range n.Args {
		if t := a.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
			if operand != nil {
				return nil
			}
			operand = a
		}
	}
	return operand
}
