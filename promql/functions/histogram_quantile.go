package functions

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
)

// histogramQuantile returns a quantile of a native histogram. Within a bucket of
// an exponential histogram it interpolates as if finer buckets were equally
// full, within others linearly.
func histogramQuantile(q float64, h *histogram.FloatHistogram, a *Args) float64 {
	switch {
	case q < 0:
		return math.Inf(-1)
	case q > 1:
		return math.Inf(1)
	case h.Count == 0 || math.IsNaN(q):
		return nan
	}
	// NaN observations count but are in no bucket: from above, the rank would be
	// wrong.
	noNumbers := math.IsNaN(h.Sum)
	forward := noNumbers || q < 0.5
	var it histogram.BucketIterator[float64]
	var rank float64
	if forward {
		it, rank = h.AllBucketIterator(), q*h.Count
	} else {
		it, rank = h.AllReverseBucketIterator(), (1-q)*h.Count
	}
	var b histogram.Bucket[float64]
	var count float64
	for it.Next() {
		b = it.At()
		if b.Count == 0 {
			continue
		}
		count += b.Count
		if count >= rank {
			break
		}
	}
	if v, ok := limitBucket(h, &b); ok {
		return v
	}
	if count > h.Count {
		count = h.Count
	}
	if count < rank {
		if noNumbers {
			a.note(quantileNaNResult)
			return nan
		}
		return b.Upper
	}
	if forward {
		rank -= count - b.Count
	} else {
		rank = count - rank
	}
	if noNumbers {
		// Minus and plus infinity make a sum of NaN too; then nothing is missing.
		// That the quantile is then taken from the last bucket is Prometheus's.
		for it.Next() {
			b = it.At()
			count += b.Count
		}
		if count < h.Count {
			a.note(quantileNaNSkew)
		}
	}
	return withinBucket(h, b.Lower, b.Upper, rank/b.Count)
}

// limitBucket gives a bucket that goes below zero, or to infinity, the bounds
// that observations can have, or returns the quantile if there is no such.
func limitBucket(h *histogram.FloatHistogram, b *histogram.Bucket[float64]) (float64, bool) {
	switch {
	case !h.UsesCustomBuckets() && b.Lower < 0 && b.Upper > 0:
		if len(h.NegativeBuckets) == 0 && len(h.PositiveBuckets) > 0 {
			b.Lower = 0
		} else if len(h.PositiveBuckets) == 0 && len(h.NegativeBuckets) > 0 {
			b.Upper = 0
		}
	case !h.UsesCustomBuckets():
	case math.IsInf(b.Lower, -1):
		if b.Upper <= 0 {
			return b.Upper, true
		}
		b.Lower = 0
	case math.IsInf(b.Upper, 1):
		return b.Lower, true
	}
	return 0, false
}

// withinBucket interpolates.
func withinBucket(h *histogram.FloatHistogram, lower, upper, fraction float64) float64 {
	if h.UsesCustomBuckets() || lower <= 0 && upper >= 0 {
		return lower + (upper-lower)*fraction
	}
	logLower, logUpper := math.Log2(math.Abs(lower)), math.Log2(math.Abs(upper))
	if lower > 0 {
		return math.Exp2(logLower + (logUpper-logLower)*fraction)
	}
	return -math.Exp2(logUpper + (logLower-logUpper)*(1-fraction))
}

// histogramFraction returns which part of the observations of a native histogram
// is between two values.
func histogramFraction(lower, upper float64, h *histogram.FloatHistogram, a *Args) float64 {
	switch {
	case h.Count == 0 || math.IsNaN(lower) || math.IsNaN(upper):
		return nan
	case lower >= upper:
		return 0
	}
	r := ranks{lower: lower, upper: upper}
	var count float64
	it := h.AllBucketIterator()
	for it.Next() {
		b := it.At()
		count += b.Count
		zero := b.Lower <= 0 && b.Upper >= 0
		if zero {
			if len(h.NegativeBuckets) == 0 && len(h.PositiveBuckets) > 0 {
				b.Lower = 0
			} else if len(h.PositiveBuckets) == 0 && len(h.NegativeBuckets) > 0 {
				b.Upper = 0
			}
		}
		if r.bucket(b.Lower, b.Upper, func(v float64) float64 {
			linear := h.UsesCustomBuckets() || zero
			if linear && math.IsInf(b.Lower, -1) {
				return b.Count
			}
			return r.below + b.Count*b.FractionBelow(v, linear)
		}) {
			break
		}
		r.below += b.Count
	}
	if math.IsNaN(h.Sum) {
		for it.Next() {
			b := it.At()
			count += b.Count
		}
		if count < h.Count {
			a.note(fractionNaNs)
		}
	} else {
		count = h.Count
	}
	return r.between(count) / h.Count
}
