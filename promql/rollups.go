package promql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/promql/plan"
	"github.com/gnomonhq/gnomon/storage"
)

// errNeedsSamples ends a select of rollups that cannot answer a query: the query
// is evaluated once more without them.
var errNeedsSamples = errors.New("rollups do not answer this")

// errCoarse is the annotation of a result whose windows are not quite those that
// were asked for.
var errCoarse = fmt.Errorf("%w: samples this old are kept as rollups only, to which the range was aligned", annotations.PromQLInfo)

// rolledCall is a call of a range function that is evaluated from rollups. In the
// expression its place has a call that passes on what stands at each step.
type rolledCall struct {
	// ordinal counts the calls of an expression that could be rolled.
	ordinal  int
	function rollupFunction
	windows  storage.Windows
	offset   int64
	matchers []*labels.Matcher
	position posrange.PositionRange
	// mark is the first matcher of the selector that took the place.
	mark *labels.Matcher
	// typeLabels is Options.TypeAndUnitLabels.
	typeLabels bool
	// instant says that it is no call but a selector without a range, whose points
	// are at the ends of the windows, whatever the offset.
	instant bool
}

// marked returns the matchers of the selector that takes the place.
func (c *rolledCall) marked() []*labels.Matcher {
	return append([]*labels.Matcher{c.mark}, c.matchers[1:]...)
}

// rollCalls looks through a plan for calls that the store's rollups help with,
// and puts selectors into their place that select by rolledCall. Calls whose
// ordinal is in except are left alone.
func (e *Engine) rollCalls(store storage.RollupQueryable, p *plan.Plan, lookback time.Duration, except map[int]bool) []*rolledCall {
	r := &callRoller{opts: &e.opts, store: store, times: p.Times, lookback: lookback, except: except}
	plan.Walk(p.Root, r.visit)
	return r.calls
}

type callRoller struct {
	opts     *Options
	store    storage.RollupQueryable
	times    plan.Times
	lookback time.Duration
	except   map[int]bool
	seen     int
	calls    []*rolledCall
}

// visit goes through what is evaluated at the steps of the query: subqueries
// have steps of their own, and what does not depend on the step has one. info
// and timestamp look at the selectors below them.
func (r *callRoller) visit(node plan.Node) bool {
	switch n := node.(type) {
	case *plan.Subquery, *plan.Invariant, *plan.Window:
		return false
	case *plan.Selector:
		r.rollSelector(n)
	case *plan.Call:
		return n.Name != "info" && n.Name != "timestamp" && n.Name != "start_timestamp" && !r.roll(n)
	}
	return true
}

// roll changes a call if rollups help with it.
func (r *callRoller) roll(call *plan.Call) bool {
	function, ok := rollupFunctions[call.Name]
	if !ok || len(call.Args) != 1 || function.counter && r.opts.UseStartTimestamps {
		return false
	}
	window, ok := call.Args[0].(*plan.Window)
	if !ok || !plain(window.Selector) {
		return false
	}
	windows, ok := r.windows(window.Offset.Milliseconds(), window.Range.Milliseconds())
	if !ok || !r.store.HasRollups(windows) {
		return false
	}
	r.seen++
	if r.except[r.seen] {
		return true
	}
	c := r.note(window.Selector, windows)
	c.function, c.position = function, window.WindowPos
	// A window of a millisecond has what stands at the step and nothing else; these
	// two functions hand it on, with and without the name.
	call.Name = "max_over_time"
	if function.keepsName {
		call.Name = "last_over_time"
	}
	call.Args[0] = &plan.Window{
		Selector: &plan.Selector{Matchers: c.marked(), Pos: window.Pos},
		Range:    time.Millisecond, WindowPos: window.WindowPos,
	}
	return true
}

// plain reports whether nothing but an offset changes what a selector selects.
func plain(s *plan.Selector) bool {
	return s.At == nil && !s.Anchored && !s.Smoothed && len(s.Matchers) > 0
}

// note adds a call with the next ordinal.
func (r *callRoller) note(selector *plan.Selector, w storage.Windows) *rolledCall {
	mark := *selector.Matchers[0]
	c := &rolledCall{
		ordinal: r.seen, windows: w, offset: selector.Offset.Milliseconds(), matchers: selector.Matchers, mark: &mark,
		typeLabels: r.opts.TypeAndUnitLabels,
	}
	r.calls = append(r.calls, c)
	return c
}

// windows returns the windows of a selector at the steps of the query.
func (r *callRoller) windows(offset, length int64) (storage.Windows, bool) {
	first, last := r.times.Start.UnixMilli(), r.times.End.UnixMilli()
	step := r.times.Step.Milliseconds()
	if length <= 0 || last < first || step <= 0 && last != first {
		return storage.Windows{}, false
	}
	w := storage.Windows{First: first - offset, Last: last - offset, Step: step, Range: length}
	if step > 0 {
		w.Last = w.End(w.Len() - 1)
	}
	return w, true
}

// find returns the call whose selector has the matchers.
func find(calls []*rolledCall, ms []*labels.Matcher) *rolledCall {
	for _, c := range calls {
		if len(ms) > 0 && ms[0] == c.mark {
			return c
		}
	}
	return nil
}

// sel evaluates the call. Points are at the steps; there are at most maxPoints,
// or tooMany is the error.
func (c *rolledCall) sel(ctx context.Context, q storage.Querier, maxPoints int, tooMany error) *rolledSet {
	s := &rolledSet{ctx: ctx, call: c, left: maxPoints, tooMany: tooMany}
	if rq, ok := q.(storage.RollupQuerier); ok {
		s.set = rq.SelectRollups(ctx, c.windows, c.matchers...)
	}
	if s.set == nil {
		s.err = errNeedsSamples
		return s
	}
	for i := range c.windows.Len() {
		end := c.windows.End(i)
		if b, e := s.set.Window(i); b != end-c.windows.Range || e != end {
			s.warnings.Add(errCoarse)
			break
		}
	}
	return s
}

// rolledSet is the results of a call as series. It implements
// storage.SeriesSet.
type rolledSet struct {
	ctx      context.Context // of the query
	call     *rolledCall
	set      storage.RollupSet
	current  *pointSeries
	left     int
	tooMany  error
	warnings annotations.Annotations
	err      error
}

// Next evaluates the call over the next series that has a result.
func (s *rolledSet) Next() bool {
	for s.err == nil && s.set.Next() {
		if s.err = s.ctx.Err(); s.err != nil {
			return false
		}
		series := &pointSeries{labels: s.set.Labels()}
		if s.err = s.evaluate(series); s.err != nil {
			return false
		}
		if len(series.times) == 0 {
			continue
		}
		if s.call.instant {
			s.call.markAbsent(series)
		}
		if s.left -= len(series.times); s.left < 0 {
			s.err = s.tooMany
			return false
		}
		if s.call.function.counter {
			s.noteCounter(series.labels)
		}
		s.current = series
		return true
	}
	if s.err == nil {
		s.err = s.set.Err()
		s.warnings.Merge(s.set.Warnings())
	}
	return false
}

// evaluate fills in the points of a series.
func (s *rolledSet) evaluate(series *pointSeries) error {
	buckets := s.set.Buckets()
	from := 0
	for i := range s.call.windows.Len() {
		w := rollupWindow{length: s.call.windows.Range}
		w.begin, w.end = s.set.Window(i)
		for from < len(buckets) && buckets[from].T <= w.begin {
			from++
		}
		for k := from; k < len(buckets) && buckets[k].T <= w.end; k++ {
			w.Merge(&buckets[k])
		}
		if w.Histograms > 0 || s.call.function.sums && w.overflows() {
			return errNeedsSamples
		}
		if w.Count == 0 {
			continue
		}
		if v, ok := s.call.function.eval(&w); ok {
			t := s.call.windows.End(i)
			if !s.call.instant {
				t += s.call.offset
			}
			series.times = append(series.times, t)
			series.values = append(series.values, v)
		}
	}
	return nil
}

// noteCounter says, as upstream's engine does, that a metric may not be a
// counter.
func (s *rolledSet) noteCounter(ls labels.Labels) {
	name := ls.Get(model.MetricNameLabel)
	if name == "" {
		return
	}
	if s.call.typeLabels {
		if typ := ls.Get("__type__"); typ != string(model.MetricTypeCounter) && typ != string(model.MetricTypeHistogram) {
			s.warnings.Add(annotations.NewPossibleNonCounterLabelInfo(name, typ, s.call.position))
		}
		return
	}
	for _, suffix := range []string{"_total", "_sum", "_count", "_bucket"} {
		if strings.HasSuffix(name, suffix) {
			return
		}
	}
	s.warnings.Add(annotations.NewPossibleNonCounterInfo(name, s.call.position))
}

func (s *rolledSet) At() storage.Series                { return s.current }
func (s *rolledSet) Err() error                        { return s.err }
func (s *rolledSet) Warnings() annotations.Annotations { return s.warnings }

// pointSeries is a series of results.
type pointSeries struct {
	labels labels.Labels
	times  []int64
	values []float64
}

// Labels returns the labels.
func (s *pointSeries) Labels() labels.Labels { return s.labels }

// Batches returns the points as one batch.
func (s *pointSeries) Batches(storage.BatchIterator) storage.BatchIterator {
	return &pointBatches{series: s}
}

type pointBatches struct{ series *pointSeries }

func (it *pointBatches) Err() error { return nil }

func (it *pointBatches) Next(b *storage.Batch) bool {
	if it.series == nil {
		return false
	}
	*b = storage.Batch{Times: it.series.times, Values: append(b.Values[:0], it.series.values...)}
	it.series = nil
	return true
}
