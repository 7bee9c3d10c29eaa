package functions

import (
	"math"
	"sort"
	"strconv"

	"github.com/prometheus/prometheus/model/histogram"
)

// ascending and descending order values for heaps and sorting; a NaN comes
// before everything, another NaN included, so that the place of equal elements
// is the one that Prometheus gives them.
func ascending(a, b float64) bool  { return math.IsNaN(a) || a < b }
func descending(a, b float64) bool { return math.IsNaN(a) || a > b }

// byValue sorts indexes of values.
type byValue struct {
	values []float64
	order  []int
	less   func(a, b float64) bool
}

func (s *byValue) Len() int           { return len(s.order) }
func (s *byValue) Less(i, j int) bool { return s.less(s.values[s.order[i]], s.values[s.order[j]]) }
func (s *byValue) Swap(i, j int)      { s.order[i], s.order[j] = s.order[j], s.order[i] }

// SortOrder returns the order of sort, or of sort_desc, as indexes of values,
// which are those of the series that have a float.
func SortOrder(values []float64, desc bool) []int {
	s := &byValue{values, make([]int, len(values)), descending}
	if desc {
		s.less = ascending
	}
	for i := range s.order {
		s.order[i] = i
	}
	sort.Sort(sort.Reverse(s))
	return s.order
}

// CountValue returns the value of the label of count_values for a sample.
func CountValue(f float64, h *histogram.FloatHistogram) string {
	if h != nil {
		return h.String()
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
