package exec

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/schema"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// result evaluates the root of a plan.
func (sc *scope) result(root plan.Node) (*Result, error) {
	res := &Result{Type: root.Type()}
	var used usage
	var err error
	switch res.Type {
	case parser.ValueTypeString:
		res.Text = root.(*plan.Text).Value
		return res, nil
	case parser.ValueTypeScalar:
		used, err = sc.scalarResult(res, root)
	case parser.ValueTypeVector:
		used, err = sc.vectorResult(res, root)
	default:
		used, err = sc.matrixResult(res, root)
	}
	sc.counts.UpdatePeak(used.peak)
	if err == nil {
		err = sc.check(used)
	}
	return res, err
}

func (sc *scope) scalarResult(res *Result, root plan.Node) (usage, error) {
	v, used, err := sc.scalar(root)
	if err != nil {
		return used, err
	}
	res.Scalar = v[0]
	if sc.n > 0 {
		s := Series{Floats: make([]FloatPoint, sc.n)}
		for i := range s.Floats {
			s.Floats[i] = FloatPoint{T: sc.time(i), F: scalarAt(v, i)}
		}
		res.Series = []Series{s}
	}
	return used, nil
}

// vectorResult makes points of the series as they come. Names that are dropped
// late go now.
func (sc *scope) vectorResult(res *Result, root plan.Node) (usage, error) {
	op, err := sc.operator(root)
	if err != nil {
		return usage{}, err
	}
	if sc.opts.DelayedNames {
		op = &unnamed{operator: op, sc: sc}
	}
	s := newSeries(sc.n)
	for {
		s.reset(sc.n)
		ok, err := op.next(s)
		if err != nil {
			return usage{}, err
		}
		if !ok {
			return op.usage(), nil
		}
		at := sc.points(s, &res.memory)
		if err := sc.memory.take(at.bytes()); err != nil {
			return usage{}, err
		}
		res.Series = append(res.Series, at)
	}
}

// unnamed takes the names away that were dropped, and joins series that are the
// same then.
type unnamed struct {
	operator
	sc  *scope
	out *list
}

func (u *unnamed) next(s *series) (bool, error) {
	if u.out == nil {
		mark := u.sc.memory.mark()
		all, err := u.sc.collect(u.operator)
		if err != nil {
			return false, err
		}
		for _, s := range all {
			if s.dropName {
				s.metric = s.metric.DropReserved(schema.IsMetadataLabel)
			}
		}
		if all, err = u.sc.merge(all, false); err != nil {
			return false, err
		}
		if u.out, err = u.sc.listOf(mark, all); err != nil {
			return false, err
		}
	}
	return u.out.next(s)
}

// points returns the values of a series with their times.
func (sc *scope) points(s *series, memory *pointMemory) Series {
	out := Series{Metric: s.metric}
	if n := countBits(s.Valid); n > 0 {
		out.Floats = memory.take(n)
		for w, word := range s.Valid {
			for ; word != 0; word &= word - 1 {
				i := w*64 + bits.TrailingZeros64(word)
				out.Floats = append(out.Floats, FloatPoint{T: sc.time(i), F: s.Floats[i]})
			}
		}
	}
	for i, h := range s.Hists {
		if h != nil {
			out.Histograms = append(out.Histograms, HistogramPoint{T: sc.time(i), H: h})
		}
	}
	return out
}

// matrixResult is what a range selector or subquery sees at the only step.
func (sc *scope) matrixResult(res *Result, root plan.Node) (usage, error) {
	switch n := root.(type) {
	case *plan.Window:
		return sc.windowResult(res, n)
	case *plan.Subquery:
		return sc.subqueryResult(res, n)
	}
	return usage{}, fmt.Errorf("a %T is no range vector", root)
}

func (sc *scope) subqueryResult(res *Result, n *plan.Subquery) (usage, error) {
	inner, err := sc.subqueryScope(n)
	if err != nil {
		return usage{}, err
	}
	used, err := inner.vectorResult(res, n.Expr)
	if err != nil {
		return used, err
	}
	last := sc.time(sc.n - 1)
	sc.counts.IncrementSamplesAtTimestamp(last, inner.counts.TotalSamples)
	sc.counts.MergeSamplesReadFromSubquery(inner.counts, sc.first, sc.step, sc.n, 0, 0)
	return used, nil
}

func (sc *scope) windowResult(res *Result, n *plan.Window) (used usage, err error) {
	w := sc.windowsOf(n)
	src := sc.newWindowSource(n, &w, false)
	var at rangeSamples
	for {
		ok, err := src.next(&at)
		if !ok || err != nil {
			return used, err
		}
		seen, _ := at.window(0)
		seen.At(&w, 0)
		used.hold(len(seen.Values))
		for _, h := range seen.Hists {
			used.hold(histogramSize(h))
		}
		if err := sc.check(used); err != nil {
			return used, err
		}
		if err := extend(&seen, n); err != nil {
			return used, err
		}
		s, size := windowPoints(at.metric, &seen, &res.memory)
		sc.counts.IncrementSamplesAtTimestamp(sc.first, int64(size))
		sc.counts.IncrementSamplesReadAtTimestamp(sc.first, int64(size))
		if size == 0 {
			continue
		}
		if err := sc.memory.take(s.bytes()); err != nil {
			return used, err
		}
		res.Series = append(res.Series, s)
	}
}

// extend replaces the samples around a window by those at its edges, if the
// selector is anchored or smoothed.
func extend(w *functions.Window, n *plan.Window) error {
	modifier, name := functions.Plain, ""
	switch {
	case n.Anchored:
		modifier, name = functions.Anchored, "anchored"
	case n.Smoothed:
		modifier, name = functions.Smoothed, "smoothed"
	default:
		return nil
	}
	if len(w.Hists) > 0 {
		return fmt.Errorf("%s modifier is not supported with histograms", name)
	}
	w.Times, w.Values = functions.ExtendFloats(w, modifier)
	return nil
}

// bytes is what a series of a result takes in memory.
func (s *Series) bytes() int {
	n := 80 + int(s.Metric.ByteSize()) + 16*len(s.Floats)
	for i := range s.Histograms {
		n += 16 + s.Histograms[i].H.Size()
	}
	return n
}

// windowPoints returns the samples of a window as a series, and what they count
// as.
func windowPoints(metric labels.Labels, w *functions.Window, memory *pointMemory) (Series, int) {
	s := Series{Metric: metric}
	size := len(w.Values)
	if size > 0 {
		s.Floats = memory.take(size)
	}
	for i, v := range w.Values {
		s.Floats = append(s.Floats, FloatPoint{T: w.Times[i], F: v})
	}
	for i, h := range w.Hists {
		s.Histograms = append(s.Histograms, HistogramPoint{T: w.HistTimes[i], H: h})
		size += histogramSize(h)
	}
	return s, size
}

// SortSeries puts the series of a result in the order of their labels.
func SortSeries(all []Series) {
	slices.SortFunc(all, func(a, b Series) int { return labels.Compare(a.Metric, b.Metric) })
}
