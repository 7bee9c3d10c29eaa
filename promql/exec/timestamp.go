package exec

import "github.com/gnomonhq/gnomon/promql/plan"

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
	return sc.merged(e, n, true), nil
}

// newStartTimestamp returns the operator of start_timestamp(): the start
// timestamps of the samples of a selector, if they are switched on, and nothing
// of anything else.
func (sc *scope) newStartTimestamp(n *plan.Call) (operator, error) {
	if s, ok := n.Args[0].(*plan.Selector); ok {
		if sc.opts.StartTimestamps {
			return sc.newStamps(n, s, func(_, start int64) float64 { return float64(start) / 1000 }), nil
		}
		i := sc.newInstant(s)
		i.stamp = func(int64, int64) float64 { return 0 }
		return &nothing{sc: sc, inner: i, alone: true}, nil
	}
	inner, err := sc.operator(n.Args[0])
	return &nothing{sc: sc, inner: inner}, err
}

// newStamps returns the operator of a time of the samples of a selector.
func (sc *scope) newStamps(n *plan.Call, s *plan.Selector, stamp func(t, start int64) float64) operator {
	i := sc.newInstant(s)
	i.reader.wantStarts = true
	i.stamp = stamp
	return sc.merged(&stamps{instant: i}, n, true)
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
	sc    *scope
	inner operator
	// alone says that inner is part of it, not an operand with a result.
	alone bool
	in    tally
	used  usage
}

func (o *nothing) usage() usage { return o.used }

func (o *nothing) next(s *series) (bool, error) {
	for {
		ok, err := o.sc.pull(o.inner, s)
		if err != nil {
			return false, err
		}
		if !ok {
			var operands usage
			if !o.alone {
				operands = o.inner.usage()
			}
			o.used = stepwise(operands, &o.in, &tally{}, o.sc.n)
			return false, o.sc.check(o.used)
		}
		o.in.add(s, o.sc.n, false)
	}
}
