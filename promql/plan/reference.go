package plan

import (
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// InfoReference returns when info() looks up info series for the vectors of an
// expression: at the time of the selectors in it, if they agree. at is nil for
// the time of the step.
func InfoReference(n Node) (at *int64, offset time.Duration) {
	at, offset, uniform := reference(n)
	if !uniform {
		return nil, 0
	}
	return at, offset
}

// reference returns the time of the first selector of an expression, and whether
// every vector in it comes from a selector of the same time.
func reference(n Node) (at *int64, offset time.Duration, uniform bool) {
	r := referencer{uniform: true}
	r.visit(n, nil)
	if !r.found {
		return nil, 0, false
	}
	return r.at, r.offset, r.uniform
}

type referencer struct {
	at             *int64
	offset         time.Duration
	found, uniform bool
}

// visit reports whether there is a selector in n; path has the subqueries above
// it.
func (r *referencer) visit(n Node, path []*Subquery) bool {
	if t := n.Type(); t != parser.ValueTypeVector && t != parser.ValueTypeMatrix {
		return false
	}
	switch n := n.(type) {
	case *Selector:
		r.note(n, path)
		return true
	case *Window:
		r.note(n.Selector, path)
		return true
	case *Subquery:
		path = append(path, n)
	case *Call:
		if n.Name == "info" {
			return r.visit(n.Args[0], path)
		}
	}
	found := false
	n.children(func(c *Node) { found = r.visit(*c, path) || found })
	if !found {
		r.uniform = false // its time is that of the step
	}
	return found
}

// note compares the time of a selector with that of the first one. Offsets of
// subqueries add up until an @ fixes the time.
func (r *referencer) note(s *Selector, path []*Subquery) {
	at, offset := s.At, s.Offset
	for i := len(path) - 1; at == nil && i >= 0; i-- {
		offset += path[i].Offset
		at = path[i].At
	}
	if !r.found {
		r.at, r.offset, r.found = at, offset, true
		return
	}
	same := at == nil && r.at == nil && offset.Milliseconds() == r.offset.Milliseconds() ||
		at != nil && r.at != nil && *at-offset.Milliseconds() == *r.at-r.offset.Milliseconds()
	r.uniform = r.uniform && same
}
