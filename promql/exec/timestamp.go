package exec

import (
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/promql/plan"
)

// newTimestamp returns the operator of timestamp(): for a selector the times of
// its samples, else those of the steps.
func (sc *scope) newTimestamp(n *plan.Call) (operator, error) {
	if s, ok := n.Args[0].(*plan.Selector); ok {
		return sc.newStamps(n, s, func(t, _ int64) float64 { return float64(t) / 1000 }), nil
	}
	inner, err := sc.operator(n.Args[0])
	if err != nil {
		return nil, err
	}
	e := &elementwise{sc: sc, inner: inner, apply: func(s *series) {
		copy(s.Valid, s.present())
		s.Hists = nil
		for i := range s.Floats {
			s.Floats[i] = float64(sc.time(i)) / 1000
		}
	}}
	return sc.merged(e, n), nil
}

// newStartTimestamp returns the operator of start_timestamp(): the start
// timestamps of the samples of a selector, and nothing else.
func (sc *scope) newStartTimestamp(n *plan.Call) (operator, error) {
	s, selector := n.Args[0].(*plan.Selector)
	if selector {
		op := sc.newStamps(n, s, func(_, start int64) float64 { return float64(start) / 1000 })
		if sc.opts.StartTimestamps {
			return op, nil
		}
		return &nothing{operator: op, sc: sc}, nil
	}
	inner, err := sc.operator(n.Args[0])
	return &nothing{operator: inner, sc: sc}, err
}

// newStamps returns the operator of a time of the samples of a selector.
func (sc *scope) newStamps(n *plan.Call, s *plan.Selector, stamp func(t, start int64) float64) operator {
	i := sc.newInstant(s)
	i.reader.wantStarts = true
	i.stamp = stamp
	return sc.merged(&stamps{instant: i}, n)
}

// stamps looks at its selector step by step.
type stamps struct {
	*instant
	in   tally
	used usage
}

func (o *stamps) usage() usage { return o.used }

func (o *stamps) next(s *series) (bool, error) {
	ok, err := o.instant.next(s)
	if err != nil {
		return false, err
	}
	if !ok {
		o.used = stepwise(usage{}, &o.in, &o.in, o.sc.n)
		return false, o.sc.check(o.used)
	}
	o.in.add(s, o.sc.n, false)
	o.sc.unname(s)
	return true, nil
}

// nothing reads its operand and yields nothing.
type nothing struct {
	operator
	sc *scope
}

func (o *nothing) next(s *series) (bool, error) {
	for {
		s.metric = labels.EmptyLabels()
		ok, err := o.operator.next(s)
		if !ok || err != nil {
			return false, err
		}
		s.reset(o.sc.n)
	}
}

func (o *nothing) usage() usage {
	u := o.operator.usage()
	u.held = 0
	return u
}
