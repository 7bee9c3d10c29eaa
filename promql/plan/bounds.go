package plan

import (
	"math"
	"time"
)

// Interval is a stretch of time, both ends inclusive, milliseconds.
type Interval struct{ Mint, Maxt int64 }

// Bounds returns the stretch of time of which the plan needs samples, with what
// subqueries, offsets, ranges and the lookback delta reach for. It is zero if
// the plan selects nothing.
func (p *Plan) Bounds(lookback time.Duration) Interval {
	b := bounder{start: p.Times.Start.UnixMilli(), end: p.Times.End.UnixMilli(), lookback: lookback.Milliseconds()}
	b.all = Interval{math.MaxInt64, math.MinInt64}
	b.visit(p.Root)
	if b.all.Maxt == math.MinInt64 {
		return Interval{}
	}
	return b.all
}

// Intervals returns the stretch of time of which each selector needs samples.
func (p *Plan) Intervals(lookback time.Duration) map[*Selector]Interval {
	b := bounder{start: p.Times.Start.UnixMilli(), end: p.Times.End.UnixMilli(), lookback: lookback.Milliseconds(), each: map[*Selector]Interval{}}
	b.visit(p.Root)
	return b.each
}

// bounder walks a plan. start and end are the times at which the node at hand is
// evaluated.
type bounder struct {
	start, end, lookback int64
	all                  Interval
	each                 map[*Selector]Interval // nil if nobody asks
}

func (b *bounder) add(i Interval) {
	b.all.Mint, b.all.Maxt = min(b.all.Mint, i.Mint), max(b.all.Maxt, i.Maxt)
}

func (b *bounder) of(n *Selector, i Interval) {
	b.add(i)
	if b.each != nil {
		b.each[n] = i
	}
}

func (b *bounder) visit(n Node) {
	switch n := n.(type) {
	case *Selector:
		b.of(n, n.Interval(b.start, b.end, 0, b.lookback))
	case *Window:
		b.of(n.Selector, n.Interval(b.start, b.end, n.Range.Milliseconds(), b.lookback))
	case *Subquery:
		inner := *b
		if n.At != nil {
			inner.start, inner.end = *n.At, *n.At
		}
		offset := n.Offset.Milliseconds()
		inner.start -= offset + n.Range.Milliseconds()
		inner.end -= offset
		inner.visit(n.Expr)
		b.all = inner.all
		return
	case *Call:
		if n.Name == "info" {
			s := Selector{}
			s.At, s.Offset = InfoReference(n.Args[0])
			b.add(s.Interval(b.start, b.end, 0, b.lookback))
		}
	}
	n.children(func(c *Node) { b.visit(*c) })
}

// Interval returns the stretch of time of which the selector needs samples if it
// is evaluated from start to end. length is that of the window, 0 for none. All
// are milliseconds.
func (n *Selector) Interval(start, end, length, lookback int64) Interval {
	if n.At != nil {
		start, end = *n.At, *n.At
	}
	reach := length
	if length == 0 || n.Anchored || n.Smoothed {
		reach += lookback
	}
	if n.Smoothed {
		end += lookback
	}
	// A sample at the very beginning does not belong to it.
	offset := n.Offset.Milliseconds()
	return Interval{start - reach + 1 - offset, end - offset}
}
