package functions

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/util/kahansum"
)

func histogramCount(h *histogram.FloatHistogram) float64 { return h.Count }
func histogramSum(h *histogram.FloatHistogram) float64   { return h.Sum }
func histogramAvg(h *histogram.FloatHistogram) float64   { return h.Sum / h.Count }

// histogramVariance takes each observation to be in the middle of its bucket.
func histogramVariance(h *histogram.FloatHistogram) float64 {
	mean := h.Sum / h.Count
	var variance, c float64
	for it := h.AllBucketIterator(); it.Next(); {
		b := it.At()
		if b.Count == 0 {
			continue
		}
		delta := middle(h, &b) - mean
		variance, c = kahansum.Inc(b.Count*delta*delta, variance, c)
	}
	variance += c
	return variance / h.Count
}

// middle returns the arithmetic mean of the bounds of a custom bucket, 0 for one
// that contains it, and the geometric mean of the others.
func middle(h *histogram.FloatHistogram, b *histogram.Bucket[float64]) float64 {
	switch {
	case h.UsesCustomBuckets():
		return (b.Upper + b.Lower) / 2
	case b.Lower <= 0 && b.Upper >= 0:
		return 0
	case b.Upper < 0:
		return -math.Sqrt(b.Upper * b.Lower)
	default:
		return math.Sqrt(b.Upper * b.Lower)
	}
}

func histogramDeviation(h *histogram.FloatHistogram) float64 { return math.Sqrt(histogramVariance(h)) }
