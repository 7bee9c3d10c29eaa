package functions

import (
	"container/heap"
	"math"
	"sort"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// Selection chooses samples of one group at one step: topk, bottomk, limitk and
// limit_ratio. Reset it, offer the samples of the step in the order of the
// operand's series, and read the chosen ones. Which of equal values are chosen,
// and in which order, is decided by how Prometheus keeps its heap.
type Selection struct {
	op     parser.ItemType
	k      int
	ratio  float64
	chosen chosenHeap
	// pos is the position of the aggregation.
	pos         posrange.PositionRange
	annotations *Annotations
}

// chosenHeap has what is chosen so far.
type chosenHeap struct {
	values []float64
	series []int
	less   func(a, b float64) bool
}

func (h *chosenHeap) Len() int           { return len(h.series) }
func (h *chosenHeap) Less(i, j int) bool { return h.less(h.values[i], h.values[j]) }
func (h *chosenHeap) Swap(i, j int) {
	h.values[i], h.values[j] = h.values[j], h.values[i]
	h.series[i], h.series[j] = h.series[j], h.series[i]
}

// Push and Pop are the interface's; what is pushed was appended already, and
// nothing is popped.
func (h *chosenHeap) Push(any) {}
func (h *chosenHeap) Pop() any { return nil }

func (h *chosenHeap) add(series int, f float64) {
	h.values, h.series = append(h.values, f), append(h.series, series)
	heap.Push(h, nil)
}

// NewSelection returns a selection for TOPK, BOTTOMK, LIMITK or LIMIT_RATIO.
// pos is the position of the aggregation.
func NewSelection(op parser.ItemType, pos posrange.PositionRange, a *Annotations) *Selection {
	s := &Selection{op: op, pos: pos, annotations: a}
	s.chosen.less = ascending
	if op == parser.BOTTOMK {
		s.chosen.less = descending
	}
	return s
}

// Reset begins another step or group. param is the parameter at the step, which
// is not NaN and fits into an int64; series is the number of series that the
// operand has. It returns false if the step has no result, in any group: nothing
// is offered then.
func (s *Selection) Reset(param float64, series int) bool {
	s.chosen.values, s.chosen.series = s.chosen.values[:0], s.chosen.series[:0]
	if s.op == parser.LIMIT_RATIO {
		s.ratio = math.Max(-1, math.Min(1, param))
		return param != 0
	}
	s.k = int(min(int64(param), int64(series)))
	return s.k >= 1
}

// Offer shows a sample of a series; ratio is RatioOffset of the series, if the
// operator is limit_ratio.
func (s *Selection) Offer(series int, f float64, h *histogram.FloatHistogram, ratio float64) {
	c := &s.chosen
	if h != nil {
		f = 0
	}
	switch s.op {
	case parser.LIMITK:
		if c.Len() < s.k {
			c.add(series, f)
		}
	case parser.LIMIT_RATIO:
		if s.ratio >= 0 && ratio < s.ratio || s.ratio < 0 && ratio >= 1+s.ratio {
			c.add(series, f)
		}
	case parser.TOPK, parser.BOTTOMK:
		switch {
		case h != nil:
			s.annotations.once(ignoredInAggregation, s.op.String(), s.pos)
		case c.Len() < s.k:
			c.add(series, f)
		case s.beats(f, c.values[0]):
			c.values[0], c.series[0] = f, series
			if s.k > 1 {
				heap.Fix(c, 0)
			}
		}
	}
}

// beats reports whether a value replaces the least of the chosen ones.
func (s *Selection) beats(f, least float64) bool {
	if math.IsNaN(least) {
		return !math.IsNaN(f)
	}
	if s.op == parser.TOPK {
		return least < f
	}
	return least > f
}

// Chosen returns the series that were chosen, in the order in which an instant
// query shows them, until the next Reset.
func (s *Selection) Chosen() []int {
	if (s.op == parser.TOPK || s.op == parser.BOTTOMK) && s.chosen.Len() > 1 {
		sort.Sort(sort.Reverse(&s.chosen))
	}
	return s.chosen.series
}

// RatioOffset returns the place of a series between 0 and 1 that decides whether
// limit_ratio takes it.
func RatioOffset(ls labels.Labels) float64 { return float64(ls.Hash()) / math.MaxUint64 }
