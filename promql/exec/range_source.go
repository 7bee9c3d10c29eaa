package exec

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
	"github.com/gnomonhq/gnomon/storage"
)

// rangeSource yields the samples that a function over a range vector sees.
type rangeSource interface {
	// next fills r with the next series, and reports whether there is one. What r
	// has is valid until the next call.
	next(r *rangeSamples) (bool, error)
	// usage is known once next returned false. What the source holds is given
	// back once the function is done.
	usage() usage
}

// rangeSamples are the samples of a series, and what each step sees of them.
type rangeSamples struct {
	metric labels.Labels
	// dropName says that the name was dropped before.
	dropName bool
	floats   functions.FloatSamples
	look     *look
	// Histograms, if there are any.
	histTimes  []int64
	hists      []*histogram.FloatHistogram
	histStarts []int64
	histLook   *look
}

// windowSource are the samples of a range selector.
type windowSource struct {
	selection
	reader *reader
	looks  looks
	found  foundSeries // the series at hand
	// own are the looks of a series without a shared timeline.
	own, ownHist look
}

// reachOf returns which samples the selector hands over: for smoothed and
// anchored ones those around the window too.
func (sc *scope) reachOf(n *plan.Window, w *functions.Windows) reach {
	r := reach{firstEnd: w.FirstEnd, step: w.EndStep, length: w.Range, n: w.Steps}
	switch {
	case n.Anchored:
		r.length += sc.lookback
	case n.Smoothed:
		r.length += 2 * sc.lookback
		r.firstEnd += sc.lookback
	}
	return r
}

func (sc *scope) newWindowSource(n *plan.Window, w *functions.Windows, wantStarts bool) *windowSource {
	s := &windowSource{
		selection: selection{sc: sc, node: n.Selector, length: n.Range.Milliseconds()},
		reader:    newReader(sc.memory, wantStarts),
	}
	s.looks.reach = sc.reachOf(n, w)
	return s
}

// usage is nothing: the samples of a window count while the function runs.
func (s *windowSource) usage() usage { return usage{} }

func (s *windowSource) next(out *rangeSamples) (bool, error) {
	found, err := s.series()
	if err != nil {
		return false, err
	}
	if found == nil {
		s.release()
		return false, nil
	}
	s.found = foundSeries{found, found.Labels()}
	return true, s.read(out, &s.found)
}

// release gives the memory back, once.
func (s *windowSource) release() {
	s.reader.release()
	s.looks.release()
}

// clone returns a source that reads series for another goroutine.
func (s *windowSource) clone() *windowSource {
	return &windowSource{
		selection: selection{sc: s.sc, node: s.node, length: s.length},
		reader:    newReader(s.sc.memory, s.reader.wantStarts),
		looks:     looks{reach: s.looks.reach},
	}
}

// read fills out with the samples of a series.
func (s *windowSource) read(out *rangeSamples, found *foundSeries) error {
	*out = rangeSamples{metric: found.metric}
	floats, err := s.reader.floats(found)
	switch {
	case err != nil:
		return err
	case !floats:
		return s.mixed(out, found)
	case s.reader.stale:
		times := s.reader.withoutStale(s.reader.joinTimes(s.reader.times))
		s.looks.reach.apply(&s.own, times)
		out.look = &s.own
	default:
		out.look = s.looks.of(s.reader)
	}
	out.floats = s.reader.floatSamples(out.look.times)
	return nil
}

// mixed hands over a series that has native histograms.
func (s *windowSource) mixed(out *rangeSamples, found storage.Series) error {
	m, err := s.reader.readMixed(found, newStatistics(s.node.StatisticsOnly, s.looks.reach))
	if err != nil {
		return err
	}
	s.looks.reach.apply(&s.own, m.floats.Times)
	s.looks.reach.apply(&s.ownHist, m.histTimes)
	out.floats, out.look = m.floats, &s.own
	out.histTimes, out.hists, out.histStarts, out.histLook = m.histTimes, m.hists, m.histStarts, &s.ownHist
	return nil
}

// subquerySource are the results of an expression as samples.
type subquerySource struct {
	parent, sc *scope
	node       *plan.Subquery
	inner      operator
	at         *series
	reach      reach
	// grid are the times of the steps; whole is what is seen of a series that has
	// a float at each.
	grid         []int64
	whole        look
	hasWhole     bool
	own, ownHist look
	times        []int64
	values       []float64
	used         usage
}

// subqueryScope returns the steps of a subquery: those that are multiples of its
// step in the ranges of all steps of sc.
func (sc *scope) subqueryScope(n *plan.Subquery) (*scope, error) {
	first, last := sc.first, sc.time(sc.n-1)
	if n.At != nil {
		first, last = *n.At, *n.At
	}
	length, step := n.Range.Milliseconds(), n.Step.Milliseconds()
	if n.Step == 0 {
		step = sc.opts.SubqueryInterval(length)
	}
	before := first - n.Offset.Milliseconds() - length
	inner := &scope{evaluator: sc.evaluator, first: step * (before / step), step: step}
	if inner.first <= before {
		inner.first += step
	}
	last -= n.Offset.Milliseconds()
	inner.end = last
	if last >= inner.first {
		inner.n = int((last-inner.first)/step) + 1
	}
	if err := sc.checkSteps(inner.n); err != nil {
		return nil, err
	}
	inner.counts = stats.NewChildWithStepTracking(inner.first, max(inner.first, last), step)
	return inner, nil
}

func (sc *scope) newSubquerySource(n *plan.Subquery, w *functions.Windows) (*subquerySource, error) {
	inner, err := sc.subqueryScope(n)
	if err != nil {
		return nil, err
	}
	s := &subquerySource{parent: sc, sc: inner, node: n}
	s.reach = reach{firstEnd: w.FirstEnd, step: w.EndStep, length: w.Range, n: w.Steps}
	s.inner, err = s.sc.operator(n.Expr)
	s.at = newSeries(s.sc.n)
	s.grid = make([]int64, s.sc.n)
	for i := range s.grid {
		s.grid[i] = s.sc.time(i)
	}
	return s, err
}

func (s *subquerySource) usage() usage { return s.used }

func (s *subquerySource) next(out *rangeSamples) (bool, error) {
	s.at.reset(s.sc.n)
	ok, err := s.inner.next(s.at)
	if err != nil {
		return false, err
	}
	if !ok {
		s.used = s.inner.usage()
		s.parent.counts.MergeSamplesReadFromSubquery(s.sc.counts, s.parent.first, s.parent.step, s.parent.n,
			s.node.Offset.Milliseconds(), s.node.Range.Milliseconds())
		return false, nil
	}
	*out = rangeSamples{metric: s.at.metric, dropName: s.at.dropName}
	if s.at.Hists == nil && countBits(s.at.Valid) == s.sc.n {
		if !s.hasWhole {
			s.reach.apply(&s.whole, s.grid)
			s.hasWhole = true
		}
		out.floats, out.look = functions.FloatSamples{Times: s.grid, Values: s.at.Floats}, &s.whole
		return true, nil
	}
	s.times, s.values = s.times[:0], s.values[:0]
	for i, t := range s.grid {
		if s.at.Valid.Has(i) {
			s.times, s.values = append(s.times, t), append(s.values, s.at.Floats[i])
		}
		if h := s.at.hist(i); h != nil {
			out.histTimes, out.hists = append(out.histTimes, t), append(out.hists, forgetReset(h))
		}
	}
	s.reach.apply(&s.own, s.times)
	out.floats, out.look = functions.FloatSamples{Times: s.times, Values: s.values}, &s.own
	if out.hists != nil {
		s.reach.apply(&s.ownHist, out.histTimes)
		out.histLook = &s.ownHist
	}
	return true, nil
}

// forgetReset makes the counter reset hint unknown: between two steps of a
// subquery samples were left out, or one was returned twice.
func forgetReset(h *histogram.FloatHistogram) *histogram.FloatHistogram {
	switch h.CounterResetHint {
	case histogram.CounterReset, histogram.NotCounterReset:
		c := *h // nothing else is changed
		c.CounterResetHint = histogram.UnknownCounterReset
		return &c
	}
	return h
}
