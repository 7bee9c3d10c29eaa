package api

import (
	"fmt"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// expr appends the syntax tree of an expression, or null. The fields of a node
// are in alphabetical order.
func (e *encoder) expr(node parser.Expr) {
	defer e.spill()
	switch n := node.(type) {
	case nil:
		e.raw("null")
	case *parser.AggregateExpr:
		e.raw(`{"expr":`)
		e.expr(n.Expr)
		e.raw(`,"grouping":`)
		e.strs(n.Grouping)
		e.raw(`,"op":`)
		e.str(n.Op.String())
		e.raw(`,"param":`)
		e.expr(n.Param)
		e.raw(`,"type":"aggregation","without":`)
		e.boolean(n.Without)
		e.rawByte('}')
	case *parser.BinaryExpr:
		e.binaryExpr(n)
	case *parser.Call:
		e.call(n)
	case *parser.MatrixSelector:
		e.matrixSelector(n)
	case *parser.SubqueryExpr:
		e.subquery(n)
	case *parser.DurationExpr:
		e.optionalDuration(n)
	case *parser.NumberLiteral:
		e.raw(`{"type":"numberLiteral","val":`)
		e.str(strconv.FormatFloat(n.Val, 'f', -1, 64))
		e.rawByte('}')
	case *parser.ParenExpr:
		e.raw(`{"expr":`)
		e.expr(n.Expr)
		e.raw(`,"type":"parenExpr"}`)
	case *parser.StringLiteral:
		e.raw(`{"type":"stringLiteral","val":`)
		e.str(n.Val)
		e.rawByte('}')
	case *parser.UnaryExpr:
		e.raw(`{"expr":`)
		e.expr(n.Expr)
		e.raw(`,"op":`)
		e.str(n.Op.String())
		e.raw(`,"type":"unaryExpr"}`)
	case *parser.VectorSelector:
		e.vectorSelector(n)
	default:
		panic(fmt.Sprintf("api: unknown node %T in a syntax tree", node))
	}
}

func (e *encoder) binaryExpr(n *parser.BinaryExpr) {
	e.raw(`{"bool":`)
	e.boolean(n.ReturnBool)
	e.raw(`,"lhs":`)
	e.expr(n.LHS)
	e.raw(`,"matching":`)
	if m := n.VectorMatching; m != nil {
		e.raw(`{"card":`)
		e.str(m.Card.String())
		e.raw(`,"fillValues":{"lhs":`)
		e.optionalFloat(m.FillValues.LHS)
		e.raw(`,"rhs":`)
		e.optionalFloat(m.FillValues.RHS)
		e.raw(`},"include":`)
		e.strs(m.Include)
		e.raw(`,"labels":`)
		e.strs(m.MatchingLabels)
		e.raw(`,"on":`)
		e.boolean(m.On)
		e.rawByte('}')
	} else {
		e.raw("null")
	}
	e.raw(`,"op":`)
	e.str(n.Op.String())
	e.raw(`,"rhs":`)
	e.expr(n.RHS)
	e.raw(`,"type":"binaryExpr"}`)
}

func (e *encoder) call(n *parser.Call) {
	e.raw(`{"args":[`)
	for i, arg := range n.Args {
		e.comma(i)
		e.expr(arg)
	}
	e.raw(`],"func":{"argTypes":[`)
	for i, t := range n.Func.ArgTypes {
		e.comma(i)
		e.str(string(t))
	}
	e.raw(`],"name":`)
	e.str(n.Func.Name)
	e.raw(`,"returnType":`)
	e.str(string(n.Func.ReturnType))
	e.raw(`,"variadic":`)
	e.integer(int64(n.Func.Variadic))
	e.raw(`},"type":"call"}`)
}

func (e *encoder) vectorSelector(n *parser.VectorSelector) {
	e.raw(`{"anchored":`)
	e.boolean(n.Anchored)
	e.raw(`,"matchers":`)
	e.matchers(n.LabelMatchers)
	e.raw(`,"name":`)
	e.str(n.Name)
	e.raw(`,"offset":`)
	e.integer(n.OriginalOffset.Milliseconds())
	e.raw(`,"offsetExpr":`)
	e.optionalDuration(n.OriginalOffsetExpr)
	e.raw(`,"smoothed":`)
	e.boolean(n.Smoothed)
	e.raw(`,"startOrEnd":`)
	e.startOrEnd(n.StartOrEnd)
	e.raw(`,"timestamp":`)
	e.optionalInteger(n.Timestamp)
	e.raw(`,"type":"vectorSelector"}`)
}

func (e *encoder) matrixSelector(n *parser.MatrixSelector) {
	vs := n.VectorSelector.(*parser.VectorSelector)
	e.raw(`{"anchored":`)
	e.boolean(vs.Anchored)
	e.raw(`,"matchers":`)
	e.matchers(vs.LabelMatchers)
	e.raw(`,"name":`)
	e.str(vs.Name)
	e.raw(`,"offset":`)
	e.integer(vs.OriginalOffset.Milliseconds())
	e.raw(`,"offsetExpr":`)
	e.optionalDuration(vs.OriginalOffsetExpr)
	e.raw(`,"range":`)
	e.integer(n.Range.Milliseconds())
	e.raw(`,"rangeExpr":`)
	e.optionalDuration(n.RangeExpr)
	e.raw(`,"smoothed":`)
	e.boolean(vs.Smoothed)
	e.raw(`,"startOrEnd":`)
	e.startOrEnd(vs.StartOrEnd)
	e.raw(`,"timestamp":`)
	e.optionalInteger(vs.Timestamp)
	e.raw(`,"type":"matrixSelector"}`)
}

func (e *encoder) subquery(n *parser.SubqueryExpr) {
	e.raw(`{"expr":`)
	e.expr(n.Expr)
	e.raw(`,"offset":`)
	e.integer(n.OriginalOffset.Milliseconds())
	e.raw(`,"offsetExpr":`)
	e.optionalDuration(n.OriginalOffsetExpr)
	e.raw(`,"range":`)
	e.integer(n.Range.Milliseconds())
	e.raw(`,"rangeExpr":`)
	e.optionalDuration(n.RangeExpr)
	e.raw(`,"startOrEnd":`)
	e.startOrEnd(n.StartOrEnd)
	e.raw(`,"step":`)
	e.integer(n.Step.Milliseconds())
	e.raw(`,"stepExpr":`)
	e.optionalDuration(n.StepExpr)
	e.raw(`,"timestamp":`)
	e.optionalInteger(n.Timestamp)
	e.raw(`,"type":"subquery"}`)
}

// durationExpr appends a calculation of durations.
func (e *encoder) durationExpr(n *parser.DurationExpr) {
	e.raw(`{"lhs":`)
	e.durationOperand(n.LHS)
	e.raw(`,"op":`)
	e.str(n.Op.String())
	e.raw(`,"rhs":`)
	e.durationOperand(n.RHS)
	e.raw(`,"type":"durationExpr","wrapped":`)
	e.boolean(n.Wrapped)
	e.rawByte('}')
}

// optionalDuration appends a calculation of durations, or null.
func (e *encoder) optionalDuration(n *parser.DurationExpr) {
	if n == nil {
		e.raw("null")
		return
	}
	e.durationExpr(n)
}

// durationOperand appends an operand of a calculation of durations. Its number
// literals say whether they were written as durations.
func (e *encoder) durationOperand(node parser.Expr) {
	n, ok := node.(*parser.NumberLiteral)
	switch {
	case !ok:
		e.expr(node)
		return
	case n == nil:
		e.raw("null")
		return
	}
	e.raw(`{"duration":`)
	e.boolean(n.Duration)
	e.raw(`,"type":"numberLiteral","val":`)
	e.str(strconv.FormatFloat(n.Val, 'f', -1, 64))
	e.rawByte('}')
}

func (e *encoder) matchers(list []*labels.Matcher) {
	e.rawByte('[')
	for i, m := range list {
		e.comma(i)
		e.raw(`{"name":`)
		e.str(m.Name)
		e.raw(`,"type":`)
		e.str(m.Type.String())
		e.raw(`,"value":`)
		e.str(m.Value)
		e.rawByte('}')
	}
	e.rawByte(']')
}

func (e *encoder) startOrEnd(t parser.ItemType) {
	if t == 0 {
		e.raw("null")
		return
	}
	e.str(t.String())
}

func (e *encoder) optionalInteger(i *int64) {
	if i == nil {
		e.raw("null")
		return
	}
	e.integer(*i)
}

func (e *encoder) optionalFloat(f *float64) {
	if f == nil {
		e.raw("null")
		return
	}
	e.float(*f)
}
