package storage

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
)

// ResetHint returns the counter reset hint that a histogram gets when it is
// stored right after previous, the sample of the same kind just before it in
// its series, or nil if there is none. A store keeps this hint instead of the
// one that the histogram came with, so that readers need not look for resets:
//
//   - a gauge stays one;
//   - there was no reset, if previous has the same layout and no count went
//     down;
//   - it is unknown otherwise, and readers compare for themselves. As in
//     Prometheus, that includes the resets that were found or declared: the
//     sample before may be deleted, or another may come in between.
//
// Neither histogram is changed.
func ResetHint(previous, h *histogram.Histogram) histogram.CounterResetHint {
	if h.CounterResetHint == histogram.GaugeType {
		return histogram.GaugeType
	}
	if h.CounterResetHint == histogram.CounterReset || previous == nil || !sameLayout(previous.Schema, h.Schema, previous.ZeroThreshold, h.ZeroThreshold, previous.Sum, previous.CounterResetHint) {
		return histogram.UnknownCounterReset
	}
	if value.IsStaleNaN(h.Sum) {
		return histogram.NotCounterReset
	}
	return floatResetHint(previous.ToFloat(nil), h.ToFloat(nil))
}

// FloatResetHint is ResetHint for histograms with float counts.
func FloatResetHint(previous, h *histogram.FloatHistogram) histogram.CounterResetHint {
	if h.CounterResetHint == histogram.GaugeType {
		return histogram.GaugeType
	}
	if h.CounterResetHint == histogram.CounterReset || previous == nil || !sameLayout(previous.Schema, h.Schema, previous.ZeroThreshold, h.ZeroThreshold, previous.Sum, previous.CounterResetHint) {
		return histogram.UnknownCounterReset
	}
	if value.IsStaleNaN(h.Sum) {
		return histogram.NotCounterReset
	}
	current := *h
	return floatResetHint(previous, &current)
}

func sameLayout(aSchema, bSchema int32, aZero, bZero, aSum float64, aHint histogram.CounterResetHint) bool {
	return aSchema == bSchema && aZero == bZero && !value.IsStaleNaN(aSum) && aHint != histogram.GaugeType
}

// floatResetHint compares the counts. It overwrites the hint of h.
func floatResetHint(previous, h *histogram.FloatHistogram) histogram.CounterResetHint {
	if h.UsesCustomBuckets() && !histogram.CustomBucketBoundsMatch(previous.CustomValues, h.CustomValues) {
		return histogram.UnknownCounterReset
	}
	h.CounterResetHint = histogram.UnknownCounterReset // do not believe it, count
	if h.DetectReset(previous) {
		return histogram.UnknownCounterReset
	}
	return histogram.NotCounterReset
}
