package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// Shared is one of several places that have the same expression, which is evaluated
// once. Expr has the positions of the place.
type Shared struct {
	Expr   Node
	Common *Common
}

// Common is an expression that stands in several places.
type Common struct {
	// Places is how many there are, at least two.
	Places int
}

// Type is that of the expression.
func (n *Shared) Type() parser.ValueType { return n.Expr.Type() }

// Position implements Node.
func (n *Shared) Position() posrange.PositionRange { return n.Expr.Position() }

func (n *Shared) children(visit func(*Node)) { visit(&n.Expr) }

// shareCommon makes places that have the same expression share it, if that is an
// aggregation or made of nothing else: what is kept for the other places is then small. Series
// that a selector finds are rather read twice than kept.
func shareCommon(root *Node) {
	aggregations := 0
	Walk(*root, func(n Node) bool {
		if a, ok := n.(*Aggregate); ok && slices.Contains(folding, a.Op) {
			aggregations++
		}
		return true
	})
	if aggregations < 2 {
		return // Most queries: numbering expressions would be most of their planning.
	}
	s := sharer{numbers: map[string]int{}, of: map[Node]int{}, count: map[int]int{}, common: map[int]*Common{}}
	s.number(*root)
	s.share(root)
	Edit(root, func(n *Node) bool {
		if at, ok := (*n).(*Shared); ok && at.Common.Places == 1 {
			*n = at.Expr // the others are within another place
		}
		return true
	})
}

// sharer numbers expressions: equal ones have the same number. What is evaluated at
// other steps is another expression, and is not looked into.
type sharer struct {
	numbers map[string]int
	of      map[Node]int
	count   map[int]int
	common  map[int]*Common
}

// number returns the number of an expression.
func (s *sharer) number(n Node) int {
	var b strings.Builder
	switch n := n.(type) {
	case *Number:
		fmt.Fprintf(&b, "number %x", n.Value)
	case *Text:
		fmt.Fprintf(&b, "text %q", n.Value)
	case *Selector:
		s.selector(&b, n)
	case *Window:
		fmt.Fprintf(&b, "window %d ", n.Range)
		s.selector(&b, n.Selector)
	case *Subquery:
		inner := sharer{numbers: s.numbers, of: s.of, count: map[int]int{}}
		fmt.Fprintf(&b, "subquery %d %d %d %s %d", n.Range, n.Offset, n.Step, timeText(n.At), inner.number(n.Expr))
	case *Invariant:
		inner := sharer{numbers: s.numbers, of: s.of, count: map[int]int{}}
		fmt.Fprintf(&b, "invariant %d", inner.number(n.Expr))
	case *Call:
		fmt.Fprintf(&b, "call %s", n.Name)
	case *Aggregate:
		fmt.Fprintf(&b, "aggregate %d %t %q", n.Op, n.Without, n.Grouping)
	case *Negate:
		b.WriteString("negate")
	case *Binary:
		fmt.Fprintf(&b, "binary %d %t %s", n.Op, n.ReturnBool, matchingText(n.Matching))
	}
	if !apart(n) {
		for _, c := range Children(n) {
			fmt.Fprintf(&b, " %d", s.number(c))
		}
	}
	id, ok := s.numbers[b.String()]
	if !ok {
		id = len(s.numbers)
		s.numbers[b.String()] = id
	}
	s.of[n] = id
	s.count[id]++
	return id
}

// apart reports whether what is below a node is evaluated at other steps.
func apart(n Node) bool {
	switch n.(type) {
	case *Subquery, *Invariant:
		return true
	}
	return false
}

func (s *sharer) selector(b *strings.Builder, n *Selector) {
	fmt.Fprintf(b, "selector %d %s %t %t %t %q", n.Offset, timeText(n.At), n.Anchored, n.Smoothed, n.StatisticsOnly, n.Labels)
	for _, m := range n.Matchers {
		fmt.Fprintf(b, " %q %d %q", m.Name, m.Type, m.Value)
	}
}

func timeText(t *int64) string {
	if t == nil {
		return "-"
	}
	return fmt.Sprint(*t)
}

func matchingText(m *parser.VectorMatching) string {
	if m == nil {
		return "-"
	}
	fill := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprintf("%x", *v)
	}
	return fmt.Sprintf("%d %t %q %q %s %s", m.Card, m.On, m.MatchingLabels, m.Include, fill(m.FillValues.LHS), fill(m.FillValues.RHS))
}

// share replaces the outermost expressions that stand in several places. What is
// below the second place is left alone: it is not evaluated.
func (s *sharer) share(n *Node) {
	id := s.of[*n]
	if s.count[id] > 1 && (*n).Type() == parser.ValueTypeVector && aggregated(*n) {
		common, again := s.common[id]
		if !again {
			common = &Common{}
			s.common[id] = common
		}
		common.Places++
		shared := &Shared{Expr: *n, Common: common}
		*n = shared
		if !again {
			shared.Expr.children(s.share)
		}
		return
	}
	if !apart(*n) {
		(*n).children(s.share)
	}
}

// aggregated reports whether all series of an expression come from aggregations.
func aggregated(n Node) bool {
	switch n := n.(type) {
	case *Aggregate:
		return slices.Contains(folding, n.Op)
	case *Number, *Text:
		return true
	case *Call:
		return len(n.Args) > 0 && !slices.ContainsFunc(n.Args, func(a Node) bool { return !aggregated(a) })
	case *Binary:
		return aggregated(n.LHS) && aggregated(n.RHS)
	case *Negate:
		return aggregated(n.Expr)
	}
	return false
}
