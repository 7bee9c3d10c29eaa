package functions

import "github.com/prometheus/prometheus/model/histogram"

// lastTwoKind says which of irate and idelta it is.
type lastTwoKind struct{ counter bool }

func (k lastTwoKind) function() *Range {
	return &Range{Window: k.window, Batch: k.batch, WantsStarts: k.counter}
}

func (k lastTwoKind) batch(dst []float64, valid Bitmap, s *FloatSamples, lo, hi []int32, w *Windows, a *Args) {
	for i := range lo {
		last := int(hi[i]) - 1
		if last-int(lo[i]) < 1 {
			continue
		}
		before, after := floatSample(s, last-1), floatSample(s, last)
		if f, ok := k.floats(&before, &after); ok {
			dst[i] = f
			valid.Set(i)
		}
	}
}

func floatSample(s *FloatSamples, i int) pairSample {
	p := pairSample{sampleTime{0, s.Times[i]}, s.Values[i], nil}
	if s.Starts != nil {
		p.start = s.Starts[i]
	}
	return p
}

func (k lastTwoKind) floats(before, after *pairSample) (float64, bool) {
	if after.time == before.time {
		return 0, false
	}
	f := after.f
	if !k.counter || !(after.f < before.f || before.resetBy(after.sampleTime)) {
		f -= before.f
	}
	if k.counter {
		f /= float64(after.time-before.time) / 1000
	}
	return f, true
}

func (k lastTwoKind) window(w *Window, a *Args) (float64, *histogram.FloatHistogram, bool) {
	if len(w.Values)+len(w.Hists) < 2 {
		return 0, nil, false
	}
	before, after := lastTwo(w)
	switch {
	case after.time == before.time:
		return 0, nil, false
	case before.h == nil && after.h == nil:
		f, ok := k.floats(&before, &after)
		return f, nil, ok
	case before.h == nil || after.h == nil:
		a.note(mixedFloatsHistograms)
		return 0, nil, false
	}
	h := k.histograms(&before, &after, a)
	return 0, h, h != nil
}

// lastTwo returns the last two samples of a window that has two. A histogram at
// the time of a float, which no store has, comes first.
func lastTwo(w *Window) (before, after pairSample) {
	i, j := len(w.Values)-1, len(w.Hists)-1
	next := func() pairSample {
		if j < 0 || i >= 0 && w.Times[i] >= w.HistTimes[j] {
			i--
			return floatSample(&w.FloatSamples, i+1)
		}
		s := pairSample{sampleTime{0, w.HistTimes[j]}, 0, w.Hists[j]}
		if w.HistStarts != nil {
			s.start = w.HistStarts[j]
		}
		j--
		return s
	}
	after = next()
	return next(), after
}

func (k lastTwoKind) histograms(before, after *pairSample, a *Args) *histogram.FloatHistogram {
	h := after.h.Copy()
	switch {
	case k.counter && (isGauge(before.h) || isGauge(after.h)):
		a.note(notCounter)
	case !k.counter && (!isGauge(before.h) || !isGauge(after.h)):
		a.note(notGauge)
	}
	if !k.counter || !before.resetBy(after.sampleTime) && !after.h.DetectReset(before.h) {
		if !subHistogram(h, before.h, a) {
			return nil
		}
	}
	h.CounterResetHint = histogram.GaugeType
	h.Compact(0)
	if k.counter {
		h.Div(float64(after.time-before.time) / 1000)
	}
	return h
}
