package functions

import (
	"math"
	"slices"
	"sort"

	"github.com/prometheus/prometheus/util/annotations"
)

// quantileOf returns quantile q of the values, which it sorts.
func quantileOf(q float64, values []float64) float64 {
	switch {
	case len(values) == 0 || math.IsNaN(q):
		return nan
	case q < 0:
		return math.Inf(-1)
	case q > 1:
		return math.Inf(1)
	}
	sortValues(values)
	return quantileOfSorted(q, values)
}

// quantileOfSorted returns quantile q, which is from 0 to 1, of some values.
func quantileOfSorted(q float64, values []float64) float64 {
	last := float64(len(values) - 1)
	rank := q * last
	lower := math.Max(0, math.Floor(rank))
	upper := math.Min(last, lower+1)
	weight := rank - math.Floor(rank)
	return values[int(lower)]*(1-weight) + values[int(upper)]*weight
}

// sortValues sorts with NaN first. Zeros of both signs end up where Prometheus's
// sort leaves them; all other equal values are the same.
func sortValues(values []float64) {
	var positive, negative bool
	for _, v := range values {
		if v == 0 {
			if math.Signbit(v) {
				negative = true
			} else {
				positive = true
			}
		}
	}
	if positive && negative {
		sort.Sort(nanFirst(values))
		return
	}
	slices.Sort(values)
}

// nanFirst sorts values in ascending order.
type nanFirst []float64

func (s nanFirst) Len() int           { return len(s) }
func (s nanFirst) Less(i, j int) bool { return ascending(s[i], s[j]) }
func (s nanFirst) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }

func quantileFloats(_ []int64, v []float64, c *call) (float64, bool) {
	c.args.scratch = append(c.args.scratch[:0], v...)
	return quantileOf(c.args.quantile(c.step), c.args.scratch), true
}

// quantile returns the parameter of quantile_over_time at a step that has
// samples, and says if it is none.
func (a *Args) quantile(step int) float64 {
	q := a.Scalar(0, step)
	if invalidQuantile(q) {
		a.Annotations.Add(annotations.NewInvalidQuantileWarning(q, a.Pos))
	}
	return q
}

// medianDeviation is the median of the distances from the median.
func medianDeviation(_ []int64, v []float64, c *call) (float64, bool) {
	values := append(c.args.scratch[:0], v...)
	c.args.scratch = values
	for _, f := range values {
		if math.IsNaN(f) {
			return nan, true
		}
	}
	median := quantileOf(0.5, values)
	for i, f := range values {
		values[i] = math.Abs(f - median)
	}
	return quantileOf(0.5, values), true
}
