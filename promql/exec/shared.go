package exec

import (
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/gnomonhq/gnomon/promql/plan"
)

// common is what an expression came to that stands in several places.
type common struct {
	// series are those of the first place that was evaluated. They are not changed.
	series []*series
	counts *stats.QuerySamples
	used   usage
	// noted says that there are annotations, which name the place, so that the
	// others have to be evaluated for theirs.
	noted bool
	// places are those that still need the series, which take bytes.
	places int
	bytes  int
}

// shared is one of the places of a common expression.
type shared struct {
	sc   *scope
	node *plan.Shared
	// own is the operator if the place is evaluated by itself.
	own  operator
	from *common
	at   int
}

func (sc *scope) newShared(n *plan.Shared) operator { return &shared{sc: sc, node: n} }

func (o *shared) usage() usage {
	if o.own != nil {
		return o.own.usage()
	}
	return o.from.used
}

func (o *shared) next(s *series) (bool, error) {
	if o.own == nil && o.from == nil {
		if err := o.begin(); err != nil {
			return false, err
		}
	}
	if o.own != nil {
		return o.own.next(s)
	}
	if o.at == len(o.from.series) {
		o.end()
		return false, nil
	}
	o.from.series[o.at].copyTo(s)
	o.at++
	return true, nil
}

// begin evaluates the expression, unless another place did.
func (o *shared) begin() (err error) {
	sc := o.sc
	if sc.commons == nil {
		sc.commons = map[*plan.Common]*common{}
	}
	c := sc.commons[o.node.Common]
	switch {
	case c == nil:
		if c, err = sc.evaluateCommon(o.node); err != nil {
			return err
		}
		sc.commons[o.node.Common] = c
	case c.noted:
		o.own, err = sc.operator(o.node.Expr)
		return err
	}
	o.from = c
	sc.addCounts(c.counts)
	return sc.check(c.used)
}

func (sc *scope) evaluateCommon(n *plan.Shared) (*common, error) {
	c := &common{places: n.Common.Places, counts: sc.counts.NewChild()}
	if sc.counts.StepTrackingEnabled() {
		c.counts = stats.NewChildWithStepTracking(sc.first, max(sc.first, sc.end), sc.step)
	}
	inner := *sc
	inner.counts = c.counts
	var notes annotations.Annotations
	mark := sc.memory.mark()
	notes, err := sc.aside(func() error {
		op, err := inner.operator(n.Expr)
		if err != nil {
			return err
		}
		if c.series, err = inner.collect(op); err != nil {
			return err
		}
		c.used = op.usage()
		return nil
	})
	if err != nil {
		return nil, err
	}
	if c.noted = len(notes) > 0; c.noted {
		sc.notes.Merge(notes)
		c.places = 1
	}
	sc.memory.returnTo(mark)
	for _, s := range c.series {
		c.bytes += s.bytes()
	}
	return c, sc.memory.takeApart(c.bytes)
}

// end lets go of the series if this was the last place.
func (o *shared) end() {
	if o.from.places--; o.from.places == 0 {
		o.sc.memory.giveApart(o.from.bytes)
		o.from.series = nil
	}
	o.at = len(o.from.series)
}

// addCounts adds samples that were counted aside.
func (sc *scope) addCounts(c *stats.QuerySamples) {
	if !sc.counts.StepTrackingEnabled() {
		sc.counts.IncrementSamplesAtStep(0, c.TotalSamples)
		sc.counts.IncrementSamplesReadAtStep(0, c.SamplesRead)
		return
	}
	for i := range sc.n {
		sc.counts.IncrementSamplesAtStep(i, c.TotalSamplesPerStep[i])
		sc.counts.IncrementSamplesReadAtStep(i, c.SamplesReadPerStep[i])
	}
}

// copyTo copies a series, but for its histograms, which nobody changes.
func (s *series) copyTo(to *series) {
	to.metric, to.dropName, to.typed, to.both = s.metric, s.dropName, s.typed, s.both
	copy(to.Floats, s.Floats)
	copy(to.Valid, s.Valid)
	to.Hists = nil
	if s.Hists != nil {
		to.Hists = append(to.Hists, s.Hists...)
	}
}
