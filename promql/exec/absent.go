package exec

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// absent is one series with 1 where its operand has nothing.
type absent struct {
	sc     *scope
	metric labels.Labels
	// read notes the steps at which there is something, and returns what was used.
	read func(found functions.Bitmap) (usage, error)
	// dropName is that of the series.
	dropName bool
	done     bool
	used     usage
}

func (a *absent) usage() usage { return a.used }

func (a *absent) next(s *series) (bool, error) {
	if a.done {
		return false, nil
	}
	a.done = true
	found := functions.NewBitmap(a.sc.n)
	var err error
	if a.used, err = a.read(found); err != nil {
		return false, err
	}
	fillBits(s.Valid, a.sc.n)
	for w := range found {
		s.Valid[w] &^= found[w]
	}
	for i := range s.Floats {
		s.Floats[i] = 1
	}
	s.metric, s.dropName = a.metric, a.dropName
	return !s.empty(), nil
}

// absentLabels are the labels that a selector fixes.
func absentLabels(n plan.Node) labels.Labels {
	switch n := n.(type) {
	case *plan.Selector:
		return functions.AbsentLabels(&parser.VectorSelector{LabelMatchers: n.Matchers})
	case *plan.Window:
		return functions.AbsentLabels(&parser.VectorSelector{LabelMatchers: n.Matchers})
	}
	return labels.EmptyLabels()
}

func (sc *scope) newAbsent(n *plan.Call) (operator, error) {
	inner, err := sc.operator(n.Args[0])
	if err != nil {
		return nil, err
	}
	read := func(found functions.Bitmap) (usage, error) {
		var in, out tally
		s := newSeries(sc.n)
		for {
			ok, err := sc.pull(inner, s)
			if err != nil {
				return usage{}, err
			}
			if !ok {
				break
			}
			in.add(s, sc.n, false)
			orBits(found, s.present())
		}
		out.add(&series{Steps: functions.Steps{Valid: missing(found, sc.n)}}, sc.n, true)
		u := stepwise(inner.usage(), &in, &out, sc.n)
		return u, sc.check(u)
	}
	return &absent{sc: sc, metric: absentLabels(n.Args[0]), read: read}, nil
}

// missing are the steps that are not in found.
func missing(found functions.Bitmap, n int) functions.Bitmap {
	b := functions.NewBitmap(n)
	fillBits(b, n)
	for w := range b {
		b[w] &^= found[w]
	}
	return b
}

func (sc *scope) newAbsentOverTime(n *plan.Call) (operator, error) {
	inner, err := sc.newRangeCall(n, functions.Lookup("present_over_time").Range)
	if err != nil {
		return nil, err
	}
	read := func(found functions.Bitmap) (usage, error) {
		s := newSeries(sc.n)
		for {
			ok, err := sc.pull(inner, s)
			if err != nil || !ok {
				return inner.usage(), err
			}
			orBits(found, s.present())
		}
	}
	return &absent{sc: sc, metric: absentLabels(n.Args[0]), read: read, dropName: true}, nil
}
