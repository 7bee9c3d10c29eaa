package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// Times are the times of a query: at Start, Start+Step and so on up to End. Step
// is 0 for an instant.
type Times struct {
	Start, End time.Time
	Step       time.Duration
}

// Steps returns the number of times, 0 if End is before Start.
func (t Times) Steps() int {
	switch {
	case t.End.Before(t.Start):
		return 0
	case t.Step <= 0:
		return 1
	}
	return int(t.End.Sub(t.Start)/t.Step) + 1
}

// Plan is an expression ready to run.
type Plan struct {
	Root  Node
	Times Times
	// usesEnds says that something was worked out from the first or the last step.
	usesEnds bool
}

// Options change what plans are made.
type Options struct {
	// TypeLabels says that the labels of type and unit go with the name.
	TypeLabels bool
	// AsWritten has all read that the expression names, also what cannot matter.
	AsWritten bool
}

// Build makes a plan of an expression that was parsed and type-checked.
func Build(expr parser.Expr, times Times, opts Options) (*Plan, error) {
	c := converter{times: times}
	root, err := c.convert(expr)
	if err != nil {
		return nil, err
	}
	p := &Plan{Root: root, Times: times, usesEnds: c.usesEnds}
	if !opts.AsWritten && !opts.TypeLabels {
		propagateMatchers(p.Root) // series whose types differ may become the same
	}
	markStatistics(p.Root, statisticsUse{})
	markLabels(p.Root)
	p.Root = wrapInvariant(p.Root)
	if !opts.AsWritten {
		shareCommon(&p.Root)
	}
	return p, nil
}

// converter makes nodes of a syntax tree. Parentheses have done their work and
// are left out.
type converter struct {
	times Times
	// positions has those that the syntax tree works out from what is below, which
	// would take a walk down the tree at each node.
	positions map[parser.Expr]posrange.PositionRange
	usesEnds  bool
}

// duration is Times.duration.
func (c *converter) duration(expr *parser.DurationExpr, literal time.Duration, offset bool) (time.Duration, error) {
	c.usesEnds = c.usesEnds || usesRange(expr)
	return c.times.duration(expr, literal, offset)
}

// position returns where an expression stands. That of what is below is known.
func (c *converter) position(e parser.Expr) posrange.PositionRange {
	pos, ok := c.positions[e]
	if ok {
		return pos
	}
	switch e := e.(type) {
	case *parser.BinaryExpr:
		pos = posrange.PositionRange{Start: c.position(e.LHS).Start, End: c.position(e.RHS).End}
	case *parser.UnaryExpr:
		pos = posrange.PositionRange{Start: e.StartPos, End: c.position(e.Expr).End}
	case *parser.SubqueryExpr:
		pos = posrange.PositionRange{Start: c.position(e.Expr).Start, End: e.EndPos}
	case *parser.StepInvariantExpr:
		pos = c.position(e.Expr)
	default:
		return e.PositionRange()
	}
	if c.positions == nil {
		c.positions = map[parser.Expr]posrange.PositionRange{}
	}
	c.positions[e] = pos
	return pos
}

func (c *converter) convert(expr parser.Expr) (Node, error) {
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return c.convert(e.Expr)
	case *parser.StepInvariantExpr:
		return c.convert(e.Expr)
	case *parser.NumberLiteral:
		return &Number{Value: e.Val, Pos: e.PosRange}, nil
	case *parser.StringLiteral:
		return &Text{Value: e.Val, Pos: e.PosRange}, nil
	case *parser.UnaryExpr:
		return c.unary(e)
	case *parser.BinaryExpr:
		return c.binary(e)
	case *parser.AggregateExpr:
		return c.aggregate(e)
	case *parser.Call:
		return c.call(e)
	case *parser.VectorSelector:
		return c.selector(e)
	case *parser.MatrixSelector:
		return c.window(e)
	case *parser.SubqueryExpr:
		return c.subquery(e)
	}
	return nil, fmt.Errorf("no plan for an expression of type %T", expr)
}

func (c *converter) unary(e *parser.UnaryExpr) (Node, error) {
	operand, err := c.convert(e.Expr)
	if err != nil || e.Op != parser.SUB {
		return operand, err
	}
	return &Negate{Expr: operand, Pos: c.position(e)}, nil
}

func (c *converter) binary(e *parser.BinaryExpr) (Node, error) {
	lhs, err := c.convert(e.LHS)
	if err != nil {
		return nil, err
	}
	rhs, err := c.convert(e.RHS)
	if err != nil {
		return nil, err
	}
	return &Binary{
		Op: e.Op, LHS: lhs, RHS: rhs, Matching: e.VectorMatching, ReturnBool: e.ReturnBool, Pos: c.position(e),
		scalar: lhs.Type() == parser.ValueTypeScalar && rhs.Type() == parser.ValueTypeScalar,
	}, nil
}

func (c *converter) aggregate(e *parser.AggregateExpr) (Node, error) {
	inner, err := c.convert(e.Expr)
	if err != nil {
		return nil, err
	}
	a := &Aggregate{Op: e.Op, Expr: inner, Grouping: slices.Clone(e.Grouping), Without: e.Without, Pos: e.PosRange}
	slices.Sort(a.Grouping)
	if e.Param != nil {
		if a.Param, err = c.convert(e.Param); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (c *converter) call(e *parser.Call) (Node, error) {
	if v, ok := c.times.contextValue(e.Func.Name); ok {
		c.usesEnds = true // step() too: it is 0 if there is one step
		return &Number{Value: v, Pos: e.PosRange}, nil
	}
	call := &Call{Name: e.Func.Name, Args: make([]Node, len(e.Args)), Returns: e.Func.ReturnType, Pos: e.PosRange}
	for i, a := range e.Args {
		var err error
		if call.Args[i], err = c.convert(a); err != nil {
			return nil, err
		}
	}
	return call, nil
}

func (c *converter) selector(e *parser.VectorSelector) (*Selector, error) {
	offset, err := c.duration(e.OriginalOffsetExpr, e.OriginalOffset, true)
	if err != nil {
		return nil, err
	}
	return &Selector{
		Matchers: e.LabelMatchers, Offset: offset, At: c.times.at(e.Timestamp, e.StartOrEnd),
		Anchored: e.Anchored, Smoothed: e.Smoothed, Pos: e.PosRange,
	}, nil
}

func (c *converter) window(e *parser.MatrixSelector) (Node, error) {
	length, err := c.duration(e.RangeExpr, e.Range, false)
	if err != nil {
		return nil, err
	}
	s, err := c.selector(e.VectorSelector.(*parser.VectorSelector))
	if err != nil {
		return nil, err
	}
	return &Window{Selector: s, Range: length, WindowPos: e.PositionRange()}, nil
}

func (c *converter) subquery(e *parser.SubqueryExpr) (Node, error) {
	offset, err := c.duration(e.OriginalOffsetExpr, e.OriginalOffset, true)
	if err != nil {
		return nil, err
	}
	step, err := c.duration(e.StepExpr, e.Step, false)
	if err != nil {
		return nil, err
	}
	length, err := c.duration(e.RangeExpr, e.Range, false)
	if err != nil {
		return nil, err
	}
	inner, err := c.convert(e.Expr)
	if err != nil {
		return nil, err
	}
	return &Subquery{
		Expr: inner, Range: length, Offset: offset, Step: step, At: c.times.at(e.Timestamp, e.StartOrEnd), Pos: c.position(e),
	}, nil
}
