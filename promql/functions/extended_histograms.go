package functions

import "github.com/prometheus/prometheus/model/histogram"

// interpolateHistogram returns the histogram at t between samples i and i+1 of
// the window, or nil if they do not go together. Of a counter that was reset in
// between it counts from 0.
func interpolateHistogram(w *Window, i int, t int64, counter bool, a *Args) *histogram.FloatHistogram {
	h0, h1, t0, t1 := w.Hists[i], w.Hists[i+1], w.HistTimes[i], w.HistTimes[i+1]
	switch t {
	case t0:
		return h0.Copy()
	case t1:
		return h1.Copy()
	}
	fraction := float64(t-t0) / float64(t1-t0)
	result := h1.Copy()
	if counter && h1.DetectReset(h0) {
		return result.Mul(fraction)
	}
	if !subHistogram(result, h0, a) {
		return nil
	}
	if !addHistogram(result.Mul(fraction), h0, a) {
		return nil
	}
	return result
}

// extendedHistograms computes rate, increase and delta of an anchored or
// smoothed range of native histograms, or nil.
func (k rateKind) extendedHistograms(w *Window, a *Args) *histogram.FloatHistogram {
	first, last, ok := bounds(w.HistTimes, w, a.Modifier)
	if !ok || !k.goTogether(w.Hists[first:last+1], a) {
		return nil
	}
	left, right := w.Hists[first], w.Hists[last]
	if a.Modifier == Smoothed && w.HistTimes[first] < w.Start {
		left = interpolateHistogram(w, first, w.Start, k.counter, a)
	}
	if left == nil {
		return nil
	}
	if a.Modifier == Smoothed && last > 0 && w.HistTimes[last] > w.End {
		right = interpolateHistogram(w, last-1, w.End, k.counter, a)
	}
	if right == nil {
		return nil
	}
	if !k.counter && (!isGauge(left) || !isGauge(right)) {
		a.note(notGauge)
	}
	result := right.Copy()
	if !subHistogram(result, left, a) {
		return nil
	}
	if k.counter {
		correction, ok := extendedCorrection(w, first, last, left, right, a)
		if !ok || correction != nil && !addHistogram(result, correction, a) {
			return nil
		}
	}
	if k.perSecond {
		result.Div(w.Seconds)
	}
	result.CounterResetHint = histogram.GaugeType
	return result.Compact(0)
}

// goTogether reports whether all are of the same kind of buckets, and says it if
// they are not, or are gauges where counters are wanted.
func (k rateKind) goTogether(hs []*histogram.FloatHistogram, a *Args) bool {
	custom := hs[0].UsesCustomBuckets()
	for _, h := range hs {
		if h.UsesCustomBuckets() != custom {
			a.note(mixedExponentialCustom)
			return false
		}
		if k.counter && isGauge(h) {
			a.note(notCounter)
		}
	}
	return true
}

// extendedCorrection returns what resets between samples first and last took
// away, left and right being the values at the boundaries; nil if nothing. It
// returns false if histograms do not go together.
func extendedCorrection(w *Window, first, last int, left, right *histogram.FloatHistogram, a *Args) (correction *histogram.FloatHistogram, ok bool) {
	from, before := first+1, left
	if a.Modifier == Smoothed && w.HistTimes[first] < w.Start && w.Hists[first+1].DetectReset(w.Hists[first]) {
		// The interpolation on the left took care of this reset.
		before = w.Hists[first+1]
		from++
	}
	// The last sample is right, or right has its hint: it would be seen twice.
	if from > last {
		return nil, true
	}
	add := func(h *histogram.FloatHistogram) bool {
		if correction == nil {
			correction = h.Copy()
			return true
		}
		return addHistogram(correction, h, a)
	}
	for _, h := range w.Hists[from:last] {
		if h.DetectReset(before) && !add(before) {
			return nil, false
		}
		before = h
	}
	if right.DetectReset(before) && !add(before) {
		return nil, false
	}
	return correction, true
}
