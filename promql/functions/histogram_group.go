package functions

import (
	"math"
	"slices"
	"sort"

	"github.com/prometheus/prometheus/util/almost"
	"github.com/prometheus/prometheus/util/annotations"
)

// HistogramGroup are the series that histogram_quantile and its siblings see as
// one histogram: the classic buckets with the same labels but le, in the order
// of the operand, and the native histogram with those labels.
//
// The engine adds BadBucketLabelWarning for series of floats without a number
// for le, and leaves them out.
type HistogramGroup struct {
	// Bounds are the values of le and Buckets the counts; both have an element
	// for each series.
	Bounds  []float64
	Buckets []*Steps
	// Native is nil if there is none.
	Native *Steps

	scratch []bucket
}

// bucket is a classic one: the count of what is at most the bound.
type bucket struct{ bound, count float64 }

// Quantiles computes histogram_quantile, or histogram_quantiles: dst[i] for the
// quantiles qs[i], which have an element for each step, or one for all. first
// and step are the time of the first step and from one to the next,
// milliseconds. The metric of a is the name for annotations: "" unless names are
// removed late; its position is that of the operand.
func (g *HistogramGroup) Quantiles(dst []*Steps, qs [][]float64, first, step int64, a *Args) {
	g.eachStep(len(dst[0].Floats), a, func(i int, buckets []bucket) {
		for j := range dst {
			q := at(qs[j], i)
			if buckets == nil {
				dst[j].set(i, histogramQuantile(q, g.Native.Hists[i], a))
				continue
			}
			value, forced := bucketQuantile(q, buckets)
			dst[j].set(i, value)
			if forced.any {
				a.Annotations.Add(annotations.NewHistogramQuantileForcedMonotonicityInfo(a.Metric, a.Pos,
					first+int64(i)*step, forced.least, forced.greatest, forced.most))
			}
		}
	})
}

// Fraction computes histogram_fraction. lower and upper are as the quantiles of
// Quantiles, a too.
func (g *HistogramGroup) Fraction(dst *Steps, lower, upper []float64, a *Args) {
	g.eachStep(len(dst.Floats), a, func(i int, buckets []bucket) {
		if buckets == nil {
			dst.set(i, histogramFraction(at(lower, i), at(upper, i), g.Native.Hists[i], a))
			return
		}
		dst.set(i, bucketFraction(at(lower, i), at(upper, i), buckets))
	})
}

// at returns the element of a step, or the one for all.
func at(values []float64, step int) float64 {
	if len(values) > 1 {
		return values[step]
	}
	return values[0]
}

func (s *Steps) set(i int, v float64) {
	s.Floats[i] = v
	s.Valid.Set(i)
}

// eachStep calls f for each step that has a histogram, with its classic buckets
// in the order of the operand, or with nil if it is native. Where there are both
// neither counts.
func (g *HistogramGroup) eachStep(steps int, a *Args, f func(i int, buckets []bucket)) {
	for i := range steps {
		buckets := g.scratch[:0]
		for j, s := range g.Buckets {
			if s.Valid.Has(i) {
				buckets = append(buckets, bucket{g.Bounds[j], s.Floats[i]})
			}
		}
		g.scratch = buckets
		native := g.Native != nil && g.Native.Hists != nil && g.Native.Hists[i] != nil
		switch {
		case native && len(buckets) > 0:
			a.note(mixedClassicNative)
		case native:
			f(i, nil)
		case len(buckets) > 0:
			f(i, buckets)
		}
	}
}

// forcedMonotonic says where counts that fell were raised.
type forcedMonotonic struct {
	any                   bool
	least, greatest, most float64 // the bounds, and the greatest difference
}

// bucketQuantile returns a quantile of classic buckets. It sorts and corrects
// the buckets in place: what the next quantile of the same buckets sees is what
// is left, as in Prometheus.
func bucketQuantile(q float64, buckets []bucket) (float64, forcedMonotonic) {
	switch {
	case math.IsNaN(q):
		return nan, forcedMonotonic{}
	case q < 0:
		return math.Inf(-1), forcedMonotonic{}
	case q > 1:
		return math.Inf(1), forcedMonotonic{}
	}
	sortBuckets(buckets)
	if !math.IsInf(buckets[len(buckets)-1].bound, 1) {
		return nan, forcedMonotonic{}
	}
	buckets = coalesce(buckets)
	forced := makeMonotonic(buckets)
	last := len(buckets) - 1
	if last < 1 || buckets[last].count == 0 {
		return nan, forced
	}
	rank := q * buckets[last].count
	b := sort.Search(last, func(i int) bool { return buckets[i].count >= rank })
	switch {
	case b == last:
		return buckets[last-1].bound, forced
	case b == 0 && buckets[0].bound <= 0:
		return buckets[0].bound, forced
	}
	var start float64
	end, count := buckets[b].bound, buckets[b].count
	if b > 0 {
		start = buckets[b-1].bound
		count -= buckets[b-1].count
		rank -= buckets[b-1].count
	}
	return start + (end-start)*(rank/count), forced
}

func sortBuckets(buckets []bucket) {
	slices.SortFunc(buckets, func(a, b bucket) int {
		switch {
		case a.bound < b.bound:
			return -1
		case a.bound > b.bound:
			return 1
		default:
			return 0
		}
	})
}

// coalesce adds up sorted buckets of the same bound.
func coalesce(buckets []bucket) []bucket {
	n, last := 0, buckets[0]
	for _, b := range buckets[1:] {
		if b.bound == last.bound {
			last.count += b.count
			continue
		}
		buckets[n] = last
		n, last = n+1, b
	}
	buckets[n] = last
	return buckets[:n+1]
}

// insignificant is the relative difference between counts that is taken for the
// imprecision of sums of floats.
const insignificant = 1e-12

func (f *forcedMonotonic) raise(bound, by float64) {
	f.any = true
	if bound < f.least {
		f.least = bound
	}
	if bound > f.greatest {
		f.greatest = bound
	}
	if by > f.most {
		f.most = by
	}
}

// makeMonotonic raises counts that are less than the one before, and levels
// those that hardly differ from it.
func makeMonotonic(buckets []bucket) forcedMonotonic {
	f := forcedMonotonic{least: math.Inf(1), greatest: math.Inf(-1)}
	before := buckets[0].count
	for i := 1; i < len(buckets); i++ {
		b := &buckets[i]
		switch {
		case b.count == before:
		case almost.Equal(before, b.count, insignificant):
			b.count = before
		case b.count < before:
			f.raise(b.bound, before-b.count)
			b.count = before
		default:
			before = b.count
		}
	}
	return f
}

// bucketFraction returns which part of the observations of classic buckets is
// between two values. It sorts and coalesces the buckets in place.
func bucketFraction(lower, upper float64, buckets []bucket) float64 {
	sortBuckets(buckets)
	if !math.IsInf(buckets[len(buckets)-1].bound, 1) {
		return nan
	}
	buckets = coalesce(buckets)
	count := buckets[len(buckets)-1].count
	switch {
	case count == 0 || math.IsNaN(lower) || math.IsNaN(upper):
		return nan
	case lower >= upper:
		return 0
	}
	r := ranks{lower: lower, upper: upper}
	start := 0.0
	if buckets[0].bound <= 0 {
		start = math.Inf(-1)
	}
	for _, b := range buckets {
		if r.bucket(start, b.bound, func(v float64) float64 {
			if math.IsInf(start, -1) {
				return b.count
			}
			return r.below + (b.count-r.below)*(v-start)/(b.bound-start)
		}) {
			break
		}
		r.below, start = b.count, b.bound
	}
	return r.between(count) / count
}

// ranks finds how many observations are below two values, bucket by bucket in
// ascending order.
type ranks struct {
	lower, upper         float64
	below                float64 // observations below the bucket
	lowerRank, upperRank float64
	lowerSet, upperSet   bool
}

// bucket looks at the next bucket and reports whether both ranks are known.
// within interpolates the rank of a value inside of it.
func (r *ranks) bucket(start, end float64, within func(v float64) float64) bool {
	rank := func(v float64, rank *float64, set *bool) {
		switch {
		case *set:
		case start >= v:
			*rank, *set = r.below, true
		case start < v && end > v:
			*rank, *set = within(v), true
		}
	}
	rank(r.lower, &r.lowerRank, &r.lowerSet)
	rank(r.upper, &r.upperRank, &r.upperSet)
	return r.lowerSet && r.upperSet
}

// between returns the number of observations between the values, of count ones.
func (r *ranks) between(count float64) float64 {
	if !r.lowerSet || r.lowerRank > count {
		r.lowerRank = count
	}
	if !r.upperSet || r.upperRank > count {
		r.upperRank = count
	}
	return r.upperRank - r.lowerRank
}
