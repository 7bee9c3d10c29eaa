package exec

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// elementwise computes something of each value of each series.
type elementwise struct {
	sc    *scope
	inner operator
	// apply changes a series in place. keepName says that the name stays.
	apply    func(s *series)
	keepName bool
	notes    functions.Annotations
	// before and after are the scalars that are evaluated before and after inner.
	before, after usage
	afterNotes    annotations.Annotations
	in, out       tally
	used          usage
}

func (e *elementwise) usage() usage { return e.used }

func (e *elementwise) next(s *series) (bool, error) {
	for {
		ok, err := e.sc.pull(e.inner, s)
		if err != nil {
			return false, err
		}
		if !ok {
			operands := e.before
			operands.then(e.inner.usage())
			operands.then(e.after)
			e.used = stepwise(operands, &e.in, &e.out, e.sc.n)
			e.sc.notes.Merge(e.afterNotes)
			e.sc.done(&e.notes)
			return false, e.sc.check(e.used)
		}
		e.in.add(s, e.sc.n, false)
		e.apply(s)
		if s.empty() {
			continue
		}
		e.out.add(s, e.sc.n, true)
		if !e.keepName {
			e.sc.unname(s)
		}
		return true, nil
	}
}

// scalarArgs evaluates the scalars among the arguments, which come after inner.
func (e *elementwise) scalarArgs(nodes ...plan.Node) (out [][]float64, err error) {
	e.afterNotes, err = e.sc.aside(func() error {
		for _, n := range nodes {
			if n.Type() != parser.ValueTypeScalar {
				continue
			}
			values, used, err := e.sc.scalar(n)
			if err != nil {
				return e.sc.firstError(e.inner, err)
			}
			e.after.then(used)
			e.in.all++
			out = append(out, values)
		}
		return nil
	})
	return out, err
}

// newElement returns the operator of a function of floats.
func (sc *scope) newElement(n *plan.Call, fn functions.ElementFunc) (operator, error) {
	e := &elementwise{sc: sc}
	args := functions.Args{Annotations: &e.notes}
	if len(n.Args) == 0 {
		// A function of dates takes the time of the step.
		s := newSeries(sc.n)
		for i := range sc.n {
			s.Floats[i] = float64(sc.time(i)) / 1000
		}
		fillBits(s.Valid, sc.n)
		fn(s.Floats, s.Floats, s.Valid, &args)
		return &list{series: []*series{s}, used: usage{peak: sc.n, held: sc.n}}, nil
	}
	var err error
	if e.inner, err = sc.operator(n.Args[0]); err != nil {
		return nil, err
	}
	args.Pos = n.Args[0].Position()
	if args.Scalars, err = e.scalarArgs(n.Args[1:]...); err != nil {
		return nil, err
	}
	e.apply = func(s *series) {
		s.withoutHists()
		fn(s.Floats, s.Floats, s.Valid, &args)
	}
	return sc.merged(e, n, true), nil
}

// newHistogramCall returns the operator of a function of native histograms.
func (sc *scope) newHistogramCall(n *plan.Call, fn functions.HistogramFunc) (operator, error) {
	inner, err := sc.operator(n.Args[0])
	if err != nil {
		return nil, err
	}
	e := &elementwise{sc: sc, inner: inner, apply: func(s *series) {
		clear(s.Valid)
		for i, h := range s.Hists {
			if h != nil {
				s.Floats[i] = fn(h)
				s.Valid.Set(i)
			}
		}
		s.Hists = nil
	}}
	return sc.merged(e, n, true), nil
}

// newNegate returns the operator of the unary minus.
func (sc *scope) newNegate(n *plan.Negate) (operator, error) {
	inner, err := sc.operator(n.Expr)
	if err != nil {
		return nil, err
	}
	return sc.merged(&negate{operator: inner, sc: sc}, n, false), nil
}

type negate struct {
	operator
	sc *scope
}

func (g *negate) next(s *series) (bool, error) {
	ok, err := g.operator.next(s)
	if !ok || err != nil {
		return false, err
	}
	for i, f := range s.Floats {
		s.Floats[i] = -f
	}
	if s.Hists != nil {
		negated := make([]*histogram.FloatHistogram, len(s.Hists))
		for i, h := range s.Hists {
			if h != nil {
				negated[i] = h.Copy().Mul(-1)
			}
		}
		s.Hists = negated
	}
	g.sc.unname(s)
	return true, nil
}
