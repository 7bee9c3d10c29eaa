package functions

import (
	"github.com/prometheus/prometheus/model/histogram"
)

// rateKind says which of rate, increase and delta it is.
type rateKind struct {
	// counter corrects for resets, perSecond divides by the length of the range.
	counter, perSecond bool
}

func (k rateKind) function() *Range {
	return &Range{
		Window: k.window, Batch: k.batch,
		WantsStarts: k.counter, IsCounter: k.counter, Anchored: true, Smoothed: true,
	}
}

// rated is a window of samples of one kind, as extrapolation needs it.
type rated struct {
	first, last int64 // times of the first and the last sample
	samples     int
	// startsInside is the start timestamp of the first sample if it is inside of
	// the window and before the sample: the counter was 0 then. Else 0.
	startsInside int64
	// firstValue and increase are what the zero point is computed from.
	firstValue, increase float64
}

// extrapolation returns what the increase between the first and the last sample
// is multiplied by, to be that of the whole window.
func (k rateKind) extrapolation(r *rated, start, end int64, seconds float64) float64 {
	toStart := float64(r.first-start) / 1000
	toEnd := float64(end-r.last) / 1000
	sampled := float64(r.last-r.first) / 1000
	var average float64
	if r.samples > 1 {
		average = sampled / float64(r.samples-1)
	}
	// A gap a little longer than the average one is where another sample would
	// have been; a longer one means that the series began or ended inside.
	threshold := average * 1.1
	if r.startsInside != 0 {
		toStart = 0
		sampled = float64(r.last-r.startsInside) / 1000
	} else {
		if toStart >= threshold {
			toStart = average / 2
		}
		// A counter was not below 0.
		if k.counter && r.increase > 0 && r.firstValue >= 0 {
			if toZero := sampled * (r.firstValue / r.increase); toZero < toStart {
				toStart = toZero
			}
		}
	}
	if toEnd >= threshold {
		toEnd = average / 2
	}
	factor := 1.0
	if sampled != 0 {
		factor = (sampled + toStart + toEnd) / sampled
	}
	if k.perSecond {
		factor /= seconds
	}
	return factor
}

func (k rateKind) window(w *Window, a *Args) (float64, *histogram.FloatHistogram, bool) {
	switch {
	case len(w.Hists) > 0 && len(w.Values) > 0:
		a.note(mixedFloatsHistograms)
		return 0, nil, false
	case a.Modifier != Plain && len(w.Hists) > 0:
		h := k.extendedHistograms(w, a)
		return 0, h, h != nil
	case a.Modifier != Plain:
		f, ok := k.extendedFloats(w, a)
		return f, nil, ok
	case len(w.Hists) > 0:
		h := k.histograms(w, a)
		return 0, h, h != nil
	default:
		f, ok := k.floats(w, a)
		return f, nil, ok
	}
}

// floats is the general case of floats: with start timestamps.
func (k rateKind) floats(w *Window, a *Args) (float64, bool) {
	n := len(w.Values)
	r := rated{first: w.Times[0], last: w.Times[n-1], samples: n, firstValue: w.Values[0]}
	increase := w.Values[n-1] - w.Values[0]
	if k.counter {
		overlap := false
		for i := 1; i < n; i++ {
			reset := w.Values[i] < w.Values[i-1]
			if w.Starts != nil {
				before, after := sampleTime{w.Starts[i-1], w.Times[i-1]}, sampleTime{w.Starts[i], w.Times[i]}
				if !overlap && before.overlaps(after) {
					overlap = true
					a.overlap()
				}
				reset = reset || before.resetBy(after)
			}
			if reset {
				increase += w.Values[i-1]
			}
		}
		r.startsInside = startInside(w.Starts, w.Start, r.first)
	}
	if r.startsInside != 0 {
		increase += w.Values[0]
	} else if n < 2 {
		return 0, false
	}
	r.increase = increase
	return increase * k.extrapolation(&r, w.Start, w.End, w.Seconds), true
}

// startInside returns the start timestamp of the first sample if it is inside of
// the window and before the sample, else 0.
func startInside(starts []int64, start, first int64) int64 {
	if len(starts) > 0 && starts[0] > start && starts[0] < first {
		return starts[0]
	}
	return 0
}

// batch computes the windows of floats without start timestamps, looking at each
// sample once, however much the windows overlap.
func (k rateKind) batch(dst []float64, valid Bitmap, s *FloatSamples, lo, hi []int32, w *Windows, a *Args) {
	if a.Modifier != Plain || k.counter && s.Starts != nil {
		eachWindow(k.window)(dst, valid, s, lo, hi, w, a)
		return
	}
	resets := resetCursor{values: s.Values, found: a.resets[:0]}
	for i := range lo {
		from, to := lo[i], hi[i]
		if to-from < 2 {
			continue
		}
		first, last := s.Values[from], s.Values[to-1]
		increase := last - first
		if k.counter {
			for _, p := range resets.between(from, to) {
				increase += s.Values[p-1]
			}
		}
		r := rated{
			first: s.Times[from], last: s.Times[to-1], samples: int(to - from),
			firstValue: first, increase: increase,
		}
		dst[i] = increase * k.extrapolation(&r, w.Start(i), w.End(i), w.Seconds)
		valid.Set(i)
	}
	a.resets = resets.found
}

// resetCursor finds the samples that are less than the one before, in windows
// that move forward.
type resetCursor struct {
	values []float64
	// found are the resets at the positions from up to to that were not left
	// behind yet, those before head were.
	found    []int32
	head     int
	from, to int32
}

// between returns the positions of the resets in the window: from itself is not
// one. The slice is valid until the next call.
func (c *resetCursor) between(from, to int32) []int32 {
	if from < c.from || to < c.to || from >= c.to {
		c.found, c.head, c.to = c.found[:0], 0, from+1
	}
	c.from = from
	v := c.values
	for p := c.to; p < to; p++ {
		if v[p] < v[p-1] {
			c.found = append(c.found, p)
		}
	}
	c.to = to
	for c.head < len(c.found) && c.found[c.head] <= from {
		c.head++
	}
	return c.found[c.head:]
}
