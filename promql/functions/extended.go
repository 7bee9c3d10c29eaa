package functions

import (
	"sort"

	"github.com/prometheus/prometheus/model/histogram"
)

// bounds returns the first and the last sample that count for an anchored or
// smoothed range: the first is the last one at or before the start, if there is
// one, and the last of a smoothed range the first one at or after its end. It
// returns false if no sample is inside.
func bounds(times []int64, w *Window, m Modifier) (first, last int, ok bool) {
	last = len(times) - 1
	first = max(0, sort.Search(last, func(i int) bool { return times[i] > w.Start })-1)
	if m == Smoothed {
		last = sort.Search(last, func(i int) bool { return times[i] >= w.End })
	}
	return first, last, times[last] > w.Start && (m != Smoothed || times[first] <= w.End)
}

// interpolate returns the value at t between two samples. Of a counter that was
// reset in between it counts from 0.
func interpolate(t0 int64, v0 float64, t1 int64, v1 float64, t int64, counter bool) float64 {
	if counter && v1 < v0 {
		v0 = 0
	}
	return v0 + (v1-v0)*float64(t-t0)/float64(t1-t0)
}

// boundaryFloats returns the values at the boundaries of the range: those of
// samples first and last, or, of a smoothed range, interpolated.
func boundaryFloats(w *Window, m Modifier, first, last int, counter bool) (left, right float64) {
	t, v := w.Times, w.Values
	left, right = v[first], v[last]
	if m == Smoothed && t[first] < w.Start {
		left = interpolate(t[first], v[first], t[first+1], v[first+1], w.Start, counter)
	}
	if m == Smoothed && last > 0 && t[last] > w.End {
		right = interpolate(t[last-1], v[last-1], t[last], v[last], w.End, counter)
	}
	return left, right
}

// extendedFloats computes rate, increase and delta of an anchored or smoothed
// range.
func (k rateKind) extendedFloats(w *Window, a *Args) (float64, bool) {
	first, last, ok := bounds(w.Times, w, a.Modifier)
	if !ok {
		return 0, false
	}
	left, right := boundaryFloats(w, a.Modifier, first, last, k.counter)
	increase := right - left
	if k.counter {
		// The boundaries have the resets on them corrected already.
		if w.Times[first] <= w.Start {
			first++
		}
		if w.Times[last] >= w.End {
			last--
		}
		var correction float64
		before := left
		for _, v := range w.Values[first : last+1] {
			if v < before {
				correction += before
			}
			before = v
		}
		if right < before {
			correction += before
		}
		increase += correction
	}
	if k.perSecond {
		increase /= w.Seconds
	}
	return increase, true
}

// ExtendFloats computes a range selector with anchored or smoothed that is the
// result itself: the floats of the window with one more at each boundary. It
// returns nil if there is none in the window.
func ExtendFloats(w *Window, m Modifier) (times []int64, values []float64) {
	if len(w.Times) == 0 {
		return nil, nil
	}
	first, last, _ := bounds(w.Times, w, m)
	if w.Times[last] <= w.Start {
		return nil, nil
	}
	left, right := boundaryFloats(w, m, first, last, false)
	if w.Times[first] <= w.Start {
		first++
	}
	if w.Times[last] >= w.End {
		last--
	}
	n := max(last-first+1, 0)
	times, values = make([]int64, 0, n+2), make([]float64, 0, n+2)
	times, values = append(times, w.Start), append(values, left)
	times, values = append(times, w.Times[first:last+1]...), append(values, w.Values[first:last+1]...)
	return append(times, w.End), append(values, right)
}

// Smooth computes an instant selector with smoothed at one step: the value of
// the series at w.End, interpolated between the samples beside it. The window
// has the samples of the lookback delta before and after. The result keeps the
// name.
func Smooth(w *Window, a *Args) (f float64, h *histogram.FloatHistogram, ok bool) {
	switch {
	case len(w.Hists) > 0 && len(w.Values) > 0:
		a.note(mixedFloatsHistograms)
		return 0, nil, false
	case len(w.Hists) > 0:
		h = smoothHistogram(w, a)
		return 0, h, h != nil
	}
	t, v, n := w.Times, w.Values, len(w.Times)
	i := sort.Search(n, func(i int) bool { return t[i] >= w.End })
	switch {
	case i < n && t[i] == w.End:
		return v[i], nil, true
	case i == 0:
		return 0, nil, false
	case i < n:
		return interpolate(t[i-1], v[i-1], t[i], v[i], w.End, false), nil, true
	default:
		return v[i-1], nil, true
	}
}

func smoothHistogram(w *Window, a *Args) *histogram.FloatHistogram {
	t, hs, n := w.HistTimes, w.Hists, len(w.Hists)
	i := sort.Search(n, func(i int) bool { return t[i] >= w.End })
	switch {
	case i < n && t[i] == w.End:
		return hs[i].Copy()
	case i == 0:
		return nil
	case i == n:
		h := hs[i-1].Copy()
		// A hint is about the sample before it, not about the value.
		h.CounterResetHint = histogram.UnknownCounterReset
		return h
	}
	if hs[i-1].UsesCustomBuckets() != hs[i].UsesCustomBuckets() {
		a.note(mixedExponentialCustom)
		return nil
	}
	counter := !isGauge(hs[i-1]) || !isGauge(hs[i])
	return interpolateHistogram(w, i-1, w.End, counter, a)
}
