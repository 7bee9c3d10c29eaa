package exec

import (
	"fmt"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// rangeCall is a function over a range vector.
type rangeCall struct {
	sc   *scope
	fn   *functions.Range
	src  rangeSource
	w    functions.Windows
	args functions.Args
	// fromSubquery says that what was read is counted already.
	fromSubquery bool
	notes        functions.Annotations
	pos          posrange.PositionRange
	at           rangeSamples
	// lo and hi are the floats of the steps without a histogram.
	lo, hi []int32
	hists  histogramSizes

	scalars, own, used usage
}

// newRangeCall returns the operator of a call with a range vector.
func (sc *scope) newRangeCall(n *plan.Call, fn *functions.Range) (*rangeCall, error) {
	c := &rangeCall{sc: sc, fn: fn}
	c.args.Annotations = &c.notes
	var scalars []plan.Node
	var window plan.Node
	for _, a := range n.Args {
		if a.Type() == parser.ValueTypeMatrix {
			window = a
		} else {
			scalars = append(scalars, a)
		}
	}
	if err := c.open(window, n.Name); err != nil {
		return nil, err
	}
	if _, first := n.Args[0].(*plan.Window); first {
		c.args.Pos = n.Args[0].Position()
	} else if _, subquery := n.Args[0].(*plan.Subquery); !subquery {
		c.args.Pos = n.Args[0].Position()
	}
	c.pos = c.args.Pos
	for _, s := range scalars {
		values, used, err := sc.scalar(s)
		if err != nil {
			return nil, err
		}
		c.scalars.then(used)
		c.args.Scalars = append(c.args.Scalars, values)
	}
	return c, nil
}

// open makes the source of the samples.
func (c *rangeCall) open(n plan.Node, name string) (err error) {
	sc := c.sc
	switch n := n.(type) {
	case *plan.Window:
		c.w = sc.windowsOf(n)
		if c.args.Modifier, err = modifierOf(n, name, c.fn); err != nil {
			return err
		}
		c.src = sc.newWindowSource(n, &c.w, c.fn.WantsStarts && sc.opts.StartTimestamps)
	case *plan.Subquery:
		c.fromSubquery = true
		c.w = sc.windows(n.At, functions.NewWindows(sc.origin(n.At), sc.step, sc.n, n.Range, n.Offset))
		c.src, err = sc.newSubquerySource(n, &c.w)
	default:
		return fmt.Errorf("no range vector among the arguments of %s", name)
	}
	return err
}

// modifierOf returns the modifier of a selector, or says that the function does not
// go with it.
func modifierOf(n *plan.Window, name string, fn *functions.Range) (functions.Modifier, error) {
	switch {
	case n.Anchored && !fn.Anchored:
		return 0, modifierError("anchored", "changes, delta, increase, rate, resets", name)
	case n.Smoothed && !fn.Smoothed:
		return 0, modifierError("smoothed", "delta, increase, rate", name)
	case n.Anchored:
		return functions.Anchored, nil
	case n.Smoothed:
		return functions.Smoothed, nil
	}
	return functions.Plain, nil
}

func modifierError(modifier, allowed, name string) error {
	return fmt.Errorf("%s modifier can only be used with: %s - not with %s", modifier, allowed, name)
}

func (c *rangeCall) usage() usage { return c.used }

func (c *rangeCall) next(s *series) (bool, error) {
	for {
		ok, err := c.src.next(&c.at)
		if err != nil {
			return false, err
		}
		if !ok {
			return false, c.finish()
		}
		used, err := c.series(s)
		if err != nil {
			return false, c.laterThanSource(err)
		}
		if err = c.account(&used); err != nil {
			return false, err
		}
		if !s.empty() {
			return true, nil
		}
	}
}

// laterThanSource returns the error of the source, if it has one, or that of the
// function: all samples are read before it is called, as far as anybody can tell.
func (c *rangeCall) laterThanSource(err error) error {
	for {
		if ok, ofSource := c.src.next(&c.at); ofSource != nil {
			return ofSource
		} else if !ok {
			return err
		}
	}
}

// series computes the series that was read.
func (c *rangeCall) series(s *series) (cost, error) {
	clear(s.Valid)
	s.Hists = nil
	if err := c.evaluate(s); err != nil {
		return cost{}, err
	}
	used := c.cost(s)
	if s.empty() {
		return used, nil
	}
	c.noteCounter(s)
	s.metric, s.dropName = c.at.metric, c.at.dropName
	if !c.fn.KeepsName || s.dropName {
		c.sc.unname(s)
	}
	return used, nil
}

// spreads returns the operator by several goroutines, if its samples are those of a
// selector.
func (c *rangeCall) spreads() operator {
	if c.fromSubquery {
		return c
	}
	return c.sc.newSpread(c)
}

func (c *rangeCall) selected() *selection { return &c.src.(*windowSource).selection }

func (c *rangeCall) clone() spreadable {
	o := *c
	o.notes, o.lo, o.hi, o.hists, o.at = functions.Annotations{}, nil, nil, histogramSizes{}, rangeSamples{}
	o.args = functions.Args{Annotations: &o.notes, Scalars: c.args.Scalars, Pos: c.args.Pos, Modifier: c.args.Modifier}
	o.src = c.src.(*windowSource).clone()
	return &o
}

func (c *rangeCall) compute(s *series, found *foundSeries) (cost, error) {
	if err := c.src.(*windowSource).read(&c.at, found); err != nil {
		return cost{}, err
	}
	return c.series(s)
}

func (c *rangeCall) absorb(clone spreadable) {
	o := clone.(*rangeCall)
	c.notes.Merge(o.notes.Set())
	o.src.(*windowSource).release()
}

// finish adds up what the call used.
func (c *rangeCall) finish() error {
	if w, ok := c.src.(*windowSource); ok {
		w.release()
	}
	c.sc.done(&c.notes)
	src := c.src.usage()
	c.used = src
	c.used.then(c.scalars)
	c.used.then(c.own)
	c.used.held -= src.held
	return c.sc.check(c.used)
}

// noteCounter says that a metric does not look like a counter.
func (c *rangeCall) noteCounter(s *series) {
	if !c.fn.IsCounter || countBits(s.Valid) == 0 {
		return
	}
	if !c.sc.opts.TypeLabels {
		name := c.at.metric.Get(model.MetricNameLabel)
		for _, suffix := range [...]string{"_total", "_sum", "_count", "_bucket"} {
			if strings.HasSuffix(name, suffix) {
				return
			}
		}
	}
	if info := functions.NonCounterInfo(c.at.metric, c.sc.opts.TypeLabels, c.pos); info != nil {
		c.notes.Add(info)
	}
}

// evaluate computes the function at all steps.
func (c *rangeCall) evaluate(s *series) error {
	at := &c.at
	if c.fn.Check != nil {
		for step := range c.sc.n {
			if at.look.lo[step] < at.look.hi[step] || at.histLook != nil && at.histLook.lo[step] < at.histLook.hi[step] {
				if err := c.fn.Check(&c.args, step); err != nil {
					return err
				}
			}
		}
	}
	c.args.Metric = ""
	lo, hi := at.look.lo, at.look.hi
	if at.histLook != nil {
		c.args.Metric = at.metric.Get(model.MetricNameLabel)
		c.lo, c.hi = append(c.lo[:0], lo...), append(c.hi[:0], hi...)
		lo, hi = c.lo, c.hi
		c.withHists(s, lo, hi)
	} else if c.needsMetric() {
		c.args.Metric = at.metric.Get(model.MetricNameLabel)
	}
	if len(at.floats.Values) > 0 {
		c.fn.Batch(s.Floats, s.Valid, &at.floats, lo, hi, &c.w, &c.args)
	}
	return nil
}

// needsMetric reports whether a function of floats may note something about the
// metric: start timestamps that overlap.
func (c *rangeCall) needsMetric() bool { return c.at.floats.Starts != nil }

// withHists computes the steps that see a histogram, and takes them out of lo
// and hi.
func (c *rangeCall) withHists(s *series, lo, hi []int32) {
	at := &c.at
	for step := range c.sc.n {
		hlo, hhi := at.histLook.lo[step], at.histLook.hi[step]
		if hlo == hhi {
			continue
		}
		w, _ := at.window(step)
		w.At(&c.w, step)
		hi[step] = lo[step] // Batch leaves it alone
		f, h, ok := c.fn.Window(&w, &c.args)
		switch {
		case !ok:
		case h != nil:
			s.setHist(step, c.sc.n, h)
		default:
			s.Floats[step] = f
			s.Valid.Set(step)
		}
	}
}

// cost returns what the series that was read comes to.
func (c *rangeCall) cost(s *series) cost {
	at := &c.at
	used := cost{
		total: at.look.total, fresh: at.look.fresh, widest: at.look.widest, last: at.look.last(),
		size: s.size(), read: len(at.floats.Values) + len(at.hists),
	}
	if at.histLook != nil {
		c.hists.of(at, c.sc.n)
		used.widest, used.last, used.total, used.fresh = c.hists.widest, c.hists.last, c.hists.total, c.hists.fresh
	}
	if c.fromSubquery {
		used.fresh = 0
	}
	return used
}

// account adds a series to the statistics and to what the call uses: at each step
// the samples of the window are in memory, and the results of the series before.
func (c *rangeCall) account(used *cost) error {
	counts := c.sc.counts
	if counts.StepTrackingEnabled() {
		c.countSteps()
	} else {
		counts.IncrementSamplesAtStep(0, used.total)
		counts.IncrementSamplesReadAtStep(0, used.fresh)
	}
	c.own.peak = max(c.own.peak, c.own.held+used.widest)
	c.own.held += used.size
	c.own.peak = max(c.own.peak, c.own.held+used.last)
	return c.sc.check(c.own)
}

// countSteps adds a series to the statistics of the steps.
func (c *rangeCall) countSteps() {
	at, counts := &c.at, c.sc.counts
	r := reach{step: c.w.EndStep}
	for step := range c.sc.n {
		total, fresh := int64(at.look.hi[step]-at.look.lo[step]), r.freshAt(at.look, step)
		if at.histLook != nil {
			total, fresh = c.hists.at(at, step), c.hists.freshAt(at, &r, step)
		}
		if total == 0 {
			continue
		}
		counts.IncrementSamplesAtStep(step, total)
		if !c.fromSubquery {
			counts.IncrementSamplesReadAtStep(step, fresh)
		}
	}
}

// histogramSizes counts the samples of windows that have histograms.
type histogramSizes struct {
	// before are the sizes of the histograms before each.
	before       []int64
	widest, last int
	total, fresh int64
}

// of looks at a series.
func (z *histogramSizes) of(at *rangeSamples, n int) {
	z.before = append(z.before[:0], 0)
	for _, h := range at.hists {
		z.before = append(z.before, z.before[len(z.before)-1]+int64(histogramSize(h)))
	}
	z.widest, z.total, z.fresh = 0, 0, at.look.fresh
	for step := range n {
		size := z.at(at, step)
		z.total += size
		z.widest = max(z.widest, int(size))
		z.last = int(size)
	}
	seen := int32(0)
	for step := range n {
		lo, hi := at.histLook.lo[step], at.histLook.hi[step]
		if from := max(lo, seen); from < hi {
			z.fresh += z.before[hi] - z.before[from]
		}
		seen = max(seen, hi)
	}
}

// at returns the size of what a step sees.
func (z *histogramSizes) at(at *rangeSamples, step int) int64 {
	return int64(at.look.hi[step]-at.look.lo[step]) + z.before[at.histLook.hi[step]] - z.before[at.histLook.lo[step]]
}

// freshAt returns the size of what a step sees and the one before did not.
func (z *histogramSizes) freshAt(at *rangeSamples, r *reach, step int) int64 {
	n := r.freshAt(at.look, step)
	lo, hi := at.histLook.lo[step], at.histLook.hi[step]
	if step > 0 {
		if r.step == 0 {
			return n
		}
		lo = max(lo, at.histLook.hi[step-1])
	}
	if lo < hi {
		n += z.before[hi] - z.before[lo]
	}
	return n
}
