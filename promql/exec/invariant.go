package exec

import (
	"errors"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/gnomonhq/gnomon/promql/plan"
)

// once returns the first step of a scope as a scope of its own.
func (sc *scope) once() *scope {
	one := *sc
	one.n, one.end = 1, one.first
	one.counts = sc.counts.NewChild()
	return &one
}

// onceDone adds the samples of a part that was evaluated once to those of all
// steps, of each of which it is a part.
func (sc *scope) onceDone(one *scope) {
	for i := range sc.n {
		sc.counts.IncrementSamplesAtStep(i, one.counts.TotalSamples)
	}
	sc.counts.IncrementSamplesReadAtStep(0, one.counts.SamplesRead)
}

// newInvariant returns the operator of what has the same values at all steps.
func (sc *scope) newInvariant(n *plan.Invariant) (operator, error) {
	one := sc.once()
	inner, err := one.operator(n.Expr)
	if err != nil {
		return nil, err
	}
	return &invariant{sc: sc, one: one, inner: inner, at: newSeries(1)}, nil
}

type invariant struct {
	sc, one *scope
	inner   operator
	at      *series
	// more is what the copies count as.
	more int
	used usage
}

func (i *invariant) usage() usage { return i.used }

func (i *invariant) next(s *series) (bool, error) {
	i.at.reset(1)
	ok, err := i.inner.next(i.at)
	if err != nil {
		return false, err
	}
	if !ok {
		i.sc.onceDone(i.one)
		i.used = i.inner.usage()
		i.used.hold(i.more)
		return false, i.sc.check(i.used)
	}
	if i.at.both {
		return false, errors.New("unexpected number of samples") // as Prometheus says
	}
	s.metric, s.dropName = i.at.metric, i.at.dropName
	i.more += i.at.size() * (i.sc.n - 1)
	if i.at.Valid.Has(0) {
		for k := range s.Floats {
			s.Floats[k] = i.at.Floats[0]
		}
		fillBits(s.Valid, i.sc.n)
	}
	if h := i.at.hist(0); h != nil {
		s.Hists = make([]*histogram.FloatHistogram, i.sc.n)
		for k := range s.Hists {
			s.Hists[k] = h
		}
	}
	return true, i.sc.check(usage{peak: i.more})
}
