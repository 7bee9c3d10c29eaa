package promql

import (
	"context"
	"errors"
	"math"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/promql/plan"
	"github.com/gnomonhq/gnomon/storage"
)

// rollSelector changes a selector without a range whose first steps lie where
// samples are gone. Such a step gets the last sample of the lookback, as far as
// rollups tell.
func (r *callRoller) rollSelector(selector *plan.Selector) {
	gone := r.store.SamplesGone()
	w, ok := r.windows(selector.Offset.Milliseconds(), r.lookback.Milliseconds())
	if !ok || w.First > gone || !plain(selector) {
		return
	}
	if w.Last > gone {
		w.Last = w.First + (gone-w.First)/w.Step*w.Step
	}
	if !r.store.HasRollups(w) {
		return
	}
	r.seen++
	if r.except[r.seen] {
		return
	}
	call := r.note(selector, w)
	call.instant, call.function = true, rollupFunctions["last_over_time"]
	selector.Matchers = call.marked()
}

// instantSet is what a selector without a range finds: points of rollups at the
// steps up to where samples are gone, samples after that.
type instantSet struct {
	rolled  *rolledSet
	samples storage.SeriesSet
	// more says that the sets are at a series that was not handed out.
	moreRolled, moreSamples bool
	started                 bool
	current                 storage.Series
}

// selInstant evaluates the call.
func (c *rolledCall) selInstant(ctx context.Context, q storage.Querier, hints *storage.SelectHints, maxPoints int, tooMany error) storage.SeriesSet {
	rolled := c.sel(ctx, q, maxPoints, tooMany)
	rolled.warnings.Add(errCoarse)
	after := *hints
	after.Mint, after.Sorted = max(after.Mint, c.windows.Last+1), true
	if after.Mint > after.Maxt {
		return rolled
	}
	return &instantSet{rolled: rolled, samples: q.Select(ctx, &after, c.matchers...)}
}

// Next goes to the next series of either set.
func (s *instantSet) Next() bool {
	if !s.started {
		s.started = true
		s.moreRolled, s.moreSamples = s.rolled.Next(), s.samples.Next()
	}
	c := 0
	switch {
	case !s.moreRolled && !s.moreSamples:
		return false
	case !s.moreSamples:
		c = -1
	case !s.moreRolled:
		c = 1
	default:
		c = labels.Compare(s.rolled.At().Labels(), s.samples.At().Labels())
	}
	switch {
	case c < 0:
		s.current = s.rolled.At()
	case c > 0:
		s.current = s.samples.At()
	default:
		s.current = &joinedSeries{s.rolled.At(), s.samples.At()}
	}
	if c <= 0 {
		s.moreRolled = s.rolled.Next()
	}
	if c >= 0 {
		s.moreSamples = s.samples.Next()
	}
	return true
}

func (s *instantSet) At() storage.Series { return s.current }
func (s *instantSet) Err() error         { return errors.Join(s.rolled.Err(), s.samples.Err()) }

func (s *instantSet) Warnings() annotations.Annotations {
	all := s.rolled.Warnings()
	return all.Merge(s.samples.Warnings())
}

// joinedSeries is points followed by samples.
type joinedSeries struct{ points, samples storage.Series }

func (s *joinedSeries) Labels() labels.Labels { return s.points.Labels() }

func (s *joinedSeries) Batches(storage.BatchIterator) storage.BatchIterator {
	return &joinedBatches{first: s.points.Batches(nil), then: s.samples.Batches(nil)}
}

type joinedBatches struct{ first, then storage.BatchIterator }

func (it *joinedBatches) Next(b *storage.Batch) bool { return it.first.Next(b) || it.then.Next(b) }
func (it *joinedBatches) Err() error                 { return errors.Join(it.first.Err(), it.then.Err()) }

// markAbsent puts staleness markers at the steps without a point and after the
// last one, so that no step sees the point of another.
func (c *rolledCall) markAbsent(s *pointSeries) {
	stale := math.Float64frombits(value.StaleNaN)
	n := c.windows.Len()
	times, values := make([]int64, 0, n+1), make([]float64, 0, n+1)
	next := 0
	for i := range n {
		t, v := c.windows.End(i), stale
		if next < len(s.times) && s.times[next] == t {
			v = s.values[next]
			next++
		}
		times, values = append(times, t), append(values, v)
	}
	if n > 1 && c.windows.Step > 1 {
		times, values = append(times, c.windows.End(n-1)+1), append(values, stale)
	}
	s.times, s.values = times, values
}
