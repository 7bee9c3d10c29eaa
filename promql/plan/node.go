package plan

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// Node is a part of a plan.
type Node interface {
	// Type is the type of the value.
	Type() parser.ValueType
	// Position is where the expression stands in the query.
	Position() posrange.PositionRange
	// children calls visit with a pointer to each child, so that it can be
	// replaced.
	children(visit func(*Node))
}

// Number is a scalar that does not change.
type Number struct {
	Value float64
	Pos   posrange.PositionRange
}

// Text is a string.
type Text struct {
	Value string
	Pos   posrange.PositionRange
}

// Selector selects the newest sample of each series that matches, at each step.
type Selector struct {
	Matchers []*labels.Matcher
	// Offset is how far in the past of the step the selector looks.
	Offset time.Duration
	// At replaces the time of the step, milliseconds, if it is not nil.
	At *int64
	// Anchored and Smoothed are the modifiers of the same name.
	Anchored, Smoothed bool
	// StatisticsOnly says that the buckets of native histograms are not used.
	StatisticsOnly bool
	// Labels are the names of the labels that are used, nil for all of them.
	Labels []string
	Pos    posrange.PositionRange
}

// Window selects the samples of a stretch of time before each step. It stands
// in a [Call] or is the whole plan.
type Window struct {
	*Selector
	// Range is the length, positive.
	Range time.Duration
	// WindowPos is the position of the selector with the range.
	WindowPos posrange.PositionRange
}

// Subquery evaluates an expression at steps of its own. It stands in a [Call] or
// is the whole plan.
type Subquery struct {
	Expr   Node
	Range  time.Duration
	Offset time.Duration
	// Step is the distance of the steps; 0 is the default of the engine.
	Step time.Duration
	At   *int64
	Pos  posrange.PositionRange
}

// Call is a function.
type Call struct {
	Name    string
	Args    []Node
	Returns parser.ValueType
	Pos     posrange.PositionRange
}

// Aggregate is an aggregation.
type Aggregate struct {
	Op parser.ItemType
	// Expr is aggregated. Param is the parameter, nil for an operator without.
	Expr, Param Node
	// Grouping has the labels in ascending order.
	Grouping []string
	Without  bool
	Pos      posrange.PositionRange
}

// Binary is an operator between two expressions.
type Binary struct {
	Op       parser.ItemType
	LHS, RHS Node
	// Matching is nil unless both are vectors.
	Matching   *parser.VectorMatching
	ReturnBool bool
	Pos        posrange.PositionRange

	scalar bool
}

// Negate is the unary minus.
type Negate struct {
	Expr Node
	Pos  posrange.PositionRange
}

// Invariant evaluates an expression at the first step, and has that value at all
// of them.
type Invariant struct{ Expr Node }

// Type is scalar.
func (*Number) Type() parser.ValueType { return parser.ValueTypeScalar }

// Type is string.
func (*Text) Type() parser.ValueType { return parser.ValueTypeString }

// Type is vector.
func (*Selector) Type() parser.ValueType { return parser.ValueTypeVector }

// Type is matrix.
func (*Window) Type() parser.ValueType { return parser.ValueTypeMatrix }

// Type is matrix.
func (*Subquery) Type() parser.ValueType { return parser.ValueTypeMatrix }

// Type is what the function returns.
func (n *Call) Type() parser.ValueType { return n.Returns }

// Type is vector.
func (*Aggregate) Type() parser.ValueType { return parser.ValueTypeVector }

// Type is vector unless both sides are scalars.
func (n *Binary) Type() parser.ValueType {
	if n.scalar {
		return parser.ValueTypeScalar
	}
	return parser.ValueTypeVector
}

// Type is that of the operand.
func (n *Negate) Type() parser.ValueType { return n.Expr.Type() }

// Type is that of the expression.
func (n *Invariant) Type() parser.ValueType { return n.Expr.Type() }

// Position implements Node.
func (n *Number) Position() posrange.PositionRange { return n.Pos }

// Position implements Node.
func (n *Text) Position() posrange.PositionRange { return n.Pos }

// Position implements Node.
func (n *Selector) Position() posrange.PositionRange { return n.Pos }

// Position implements Node.
func (n *Window) Position() posrange.PositionRange { return n.WindowPos }

// Position implements Node.
func (n *Subquery) Position() posrange.PositionRange { return n.Pos }

// Position implements Node.
func (n *Call) Position() posrange.PositionRange { return n.Pos }

// Position implements Node.
func (n *Aggregate) Position() posrange.PositionRange { return n.Pos }

// Position implements Node.
func (n *Binary) Position() posrange.PositionRange { return n.Pos }

// Position implements Node.
func (n *Negate) Position() posrange.PositionRange { return n.Pos }

// Position implements Node.
func (n *Invariant) Position() posrange.PositionRange { return n.Expr.Position() }

func (*Number) children(func(*Node))            {}
func (*Text) children(func(*Node))              {}
func (*Selector) children(func(*Node))          {}
func (*Window) children(func(*Node))            {}
func (n *Subquery) children(visit func(*Node))  { visit(&n.Expr) }
func (n *Negate) children(visit func(*Node))    { visit(&n.Expr) }
func (n *Invariant) children(visit func(*Node)) { visit(&n.Expr) }

func (n *Call) children(visit func(*Node)) {
	for i := range n.Args {
		visit(&n.Args[i])
	}
}

func (n *Aggregate) children(visit func(*Node)) {
	visit(&n.Expr)
	if n.Param != nil {
		visit(&n.Param)
	}
}

func (n *Binary) children(visit func(*Node)) {
	visit(&n.LHS)
	visit(&n.RHS)
}

// Children returns the nodes below a node; the parameter of an aggregation comes after its expression.
func Children(n Node) (list []Node) {
	n.children(func(c *Node) { list = append(list, *c) })
	return list
}

// Walk calls visit with each node, parents first. What is below a node is passed
// over if visit returns false.
func Walk(n Node, visit func(Node) bool) {
	if visit(n) {
		n.children(func(c *Node) { Walk(*c, visit) })
	}
}

// Edit calls visit with a pointer to each node, parents first, so that nodes can
// be replaced. What is below a node is passed over if visit returns false.
func Edit(n *Node, visit func(*Node) bool) {
	if visit(n) {
		(*n).children(func(c *Node) { Edit(c, visit) })
	}
}
