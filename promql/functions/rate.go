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

// windowTimes is what extrapolation makes of the times in a window, whatever the
// values are. Series of a target share it, window by window.
type windowTimes struct {
	first, last int64 // times of the first and the last sample
	samples     int32
	// toStart and toEnd are how far the increase is extrapolated, and sampled is
	// the time between the first and the last sample, seconds.
	toStart, toEnd, sampled float64
	// factor is what the increase is multiplied by, unless zero is nearer.
	factor float64
}

// of looks at a window. began is the start timestamp of the first sample if the
// counter was 0 then, inside of the window, else 0.
func (t *windowTimes) of(k rateKind, start, end int64, seconds float64, began int64) {
	t.toStart = float64(t.first-start) / 1000
	t.toEnd = float64(end-t.last) / 1000
	t.sampled = float64(t.last-t.first) / 1000
	var average float64
	if t.samples > 1 {
		average = t.sampled / float64(t.samples-1)
	}
	// A gap a little longer than the average one is where another sample would
	// have been; a longer one means that the series began or ended inside.
	threshold := average * 1.1
	if began != 0 {
		t.toStart = 0
		t.sampled = float64(t.last-began) / 1000
	} else if t.toStart >= threshold {
		t.toStart = average / 2
	}
	if t.toEnd >= threshold {
		t.toEnd = average / 2
	}
	t.factor = k.factor(t.sampled, t.toStart, t.toEnd, seconds)
}

// moved takes what is known of an earlier window, if the samples lie in this one, by
// so much later, as they did there.
func (t *windowTimes) moved(from *windowTimes, by, first, last int64, samples int32) bool {
	if from.first+by != first || from.last+by != last || from.samples != samples {
		return false
	}
	*t = *from
	t.first, t.last = first, last
	return true
}

// factor is how much greater the increase of the whole window is.
func (k rateKind) factor(sampled, toStart, toEnd, seconds float64) float64 {
	factor := 1.0
	if sampled != 0 {
		factor = (sampled + toStart + toEnd) / sampled
	}
	if k.perSecond {
		factor /= seconds
	}
	return factor
}

// startsAbove reports whether a counter that had the value first and then increased
// was above 0 when the window began, as far as can be told without a division: it
// doubled at most, so it was 0 longer ago than it was sampled.
func (t *windowTimes) startsAbove(first, increase float64) bool {
	return first >= increase && t.sampled >= t.toStart
}

// counterFactor is the factor of such a counter: it was not below 0 before.
func (k rateKind) counterFactor(t *windowTimes, first, increase, seconds float64) float64 {
	if increase > 0 && first >= 0 && !t.startsAbove(first, increase) {
		if toZero := t.sampled * (first / increase); toZero < t.toStart {
			return k.factor(t.sampled, toZero, t.toEnd, seconds)
		}
	}
	return t.factor
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
	increase := w.Values[n-1] - w.Values[0]
	began := int64(0)
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
		began = startInside(w.Starts, w.Start, w.Times[0])
	}
	if began == 0 && n < 2 {
		return 0, false
	}
	t := windowTimes{first: w.Times[0], last: w.Times[n-1], samples: int32(n)}
	t.of(k, w.Start, w.End, w.Seconds, began)
	switch {
	case began != 0:
		increase += w.Values[0]
		return increase * t.factor, true
	case k.counter:
		return increase * k.counterFactor(&t, w.Values[0], increase, w.Seconds), true
	default:
		return increase * t.factor, true
	}
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
	if len(a.windows) < len(lo) {
		a.windows = make([]windowTimes, len(lo))
	}
	windows := a.windows[:len(lo)]
	v := s.Values
	resets := resetCursor{values: v, found: a.resets[:0]}
	anyReset := k.counter && isLessAnywhere(v)
	for i := range lo {
		from, to := lo[i], hi[i]
		if to-from < 2 {
			continue
		}
		// What the series before left is right if its samples had these times.
		t := &windows[i]
		if first, last := s.Times[from], s.Times[to-1]; t.first != first || t.last != last || t.samples != to-from {
			if i == 0 || !t.moved(&windows[i-1], w.EndStep, first, last, to-from) {
				t.first, t.last, t.samples = first, last, to-from
				t.of(k, w.Start(i), w.End(i), w.Seconds, 0)
			}
		}
		first := v[from]
		increase, factor := v[to-1]-first, t.factor
		if anyReset {
			for _, p := range resets.between(from, to) {
				increase += v[p-1]
			}
		}
		if k.counter && !t.startsAbove(first, increase) {
			factor = k.counterFactor(t, first, increase, w.Seconds)
		}
		dst[i] = increase * factor
		valid.Set(i)
	}
	a.resets = resets.found
}

// isLessAnywhere reports whether a value is less than the one before it.
func isLessAnywhere(v []float64) bool {
	if len(v) == 0 {
		return false
	}
	before := v[0]
	for _, f := range v[1:] {
		if f < before {
			return true
		}
		before = f
	}
	return false
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
