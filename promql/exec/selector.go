package exec

import (
	"fmt"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
	"github.com/gnomonhq/gnomon/storage"
)

// selection is the series that a selector finds.
type selection struct {
	sc   *scope
	node *plan.Selector
	// length is that of the windows, milliseconds; 0 for none.
	length int64
	set    storage.SeriesSet
	seen   int
	use    *selectorUse
	notes  functions.Annotations
}

// series goes to the next series, or returns nil at the end.
func (s *selection) series() (storage.Series, error) {
	if s.set == nil {
		i := s.node.Interval(s.sc.first, s.sc.time(s.sc.n-1), s.length, s.sc.lookback)
		hints := &storage.SelectHints{Mint: i.Mint, Maxt: i.Maxt, Step: s.sc.step, Range: s.length}
		// A histogram of which only statistics are used is compared with the one before.
		hints.Newest = s.length == 0 && (s.sc.n == 1 || s.node.At != nil) && !s.node.StatisticsOnly && !s.node.Smoothed
		if !s.sc.opts.TypeLabels && !s.sc.opts.DelayedNames {
			hints.Labels = s.node.Labels
		}
		s.set = s.sc.querier.Select(s.sc.ctx, hints, s.node.Matchers...)
		s.use = s.sc.memory.reads(s.node)
	}
	if s.seen++; s.seen%16 == 0 {
		if err := s.sc.interrupted(); err != nil {
			return nil, err
		}
	}
	if s.set.Next() {
		s.use.series++
		s.sc.memory.series.Add(1)
		return s.set.At(), nil
	}
	if err := s.set.Err(); err != nil {
		if interrupted := s.sc.interrupted(); interrupted != nil {
			return nil, interrupted
		}
		return nil, fmt.Errorf("expanding series: %w", err)
	}
	s.notes.Merge(s.set.Warnings())
	s.sc.done(&s.notes)
	return nil, nil
}

// pinsName reports whether all series of a selector have the same name.
func pinsName(n *plan.Selector) bool {
	for _, m := range n.Matchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual && m.Value != "" {
			return true
		}
	}
	return false
}

// windowsOf returns the windows of a selector or subquery at the steps.
func (sc *scope) windowsOf(n *plan.Window) functions.Windows {
	return sc.windows(n.At, functions.NewWindows(sc.origin(n.At), sc.step, sc.n, n.Range, n.Offset))
}

// origin is the time that the first window is relative to.
func (sc *scope) origin(at *int64) int64 {
	if at != nil {
		return *at
	}
	return sc.first
}

// windows fixes the windows if there is an @.
func (sc *scope) windows(at *int64, w functions.Windows) functions.Windows {
	if at != nil {
		w.FirstEval, w.EndStep = sc.first, 0
	}
	return w
}
