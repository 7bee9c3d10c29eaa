package functions

import (
	"math"
	"sort"

	"github.com/prometheus/prometheus/model/histogram"
)

// pairKind says which of resets and changes it is: it counts how often a sample
// and the next differ.
type pairKind struct {
	floats     func(before, after float64) bool
	histograms func(before, after *histogram.FloatHistogram) bool
	// starts says that a start timestamp counts too.
	starts bool
}

func (k *pairKind) function() *Range {
	return &Range{Window: k.window, Batch: k.batch, WantsStarts: k.starts, Anchored: true}
}

func less(before, after float64) bool { return after < before }

func differs(before, after float64) bool {
	return after != before && !(math.IsNaN(after) && math.IsNaN(before))
}

func histogramReset(before, after *histogram.FloatHistogram) bool { return after.DetectReset(before) }

func histogramDiffers(before, after *histogram.FloatHistogram) bool { return !after.Equals(before) }

// anchor returns the first sample after the start that counts, or the last one
// at or before it, if there is one. It returns false if none is after the start.
func anchor(w *Window) (firstFloat, firstHist int, ok bool) {
	after := func(times []int64) int {
		return sort.Search(len(times), func(i int) bool { return times[i] > w.Start })
	}
	f, h := after(w.Times), after(w.HistTimes)
	switch {
	case f == len(w.Times) && h == len(w.HistTimes):
		return 0, 0, false
	case f == 0 && h == 0:
		return 0, 0, true
	case h == 0 || f > 0 && w.Times[f-1] >= w.HistTimes[h-1]:
		return f - 1, h, true
	default:
		return f, h - 1, true
	}
}

// pairSample is a sample of either kind.
type pairSample struct {
	sampleTime
	f float64
	h *histogram.FloatHistogram
}

func (k *pairKind) window(w *Window, a *Args) (float64, *histogram.FloatHistogram, bool) {
	var i, j int
	if a.Modifier == Anchored {
		var ok bool
		if i, j, ok = anchor(w); !ok {
			return 0, nil, false
		}
	}
	var before pairSample
	count, begun := 0, false
	for i < len(w.Times) || j < len(w.HistTimes) {
		var s pairSample
		if j >= len(w.HistTimes) || i < len(w.Times) && w.Times[i] < w.HistTimes[j] {
			s = pairSample{sampleTime{0, w.Times[i]}, w.Values[i], nil}
			if i < len(w.Starts) {
				s.start = w.Starts[i]
			}
			i++
		} else {
			s = pairSample{sampleTime{0, w.HistTimes[j]}, 0, w.Hists[j]}
			if j < len(w.HistStarts) {
				s.start = w.HistStarts[j]
			}
			j++
		}
		if begun && k.counts(&before, &s) {
			count++
		}
		before, begun = s, true
	}
	return float64(count), nil, true
}

func (k *pairKind) counts(before, after *pairSample) bool {
	switch {
	case (before.h == nil) != (after.h == nil):
		return true
	case k.starts && before.resetBy(after.sampleTime):
		return true
	case after.h != nil:
		return k.histograms(before.h, after.h)
	default:
		return k.floats(before.f, after.f)
	}
}

// batch counts in the floats between two windows only what went and what came.
func (k *pairKind) batch(dst []float64, valid Bitmap, s *FloatSamples, lo, hi []int32, w *Windows, a *Args) {
	if a.Modifier != Plain || k.starts && s.Starts != nil {
		eachWindow(k.window)(dst, valid, s, lo, hi, w, a)
		return
	}
	v, counts := s.Values, k.floats
	count := 0
	var from, to int32 // the window that was counted
	for i := range lo {
		if lo[i] >= hi[i] {
			continue
		}
		if lo[i] < from || hi[i] < to || lo[i] >= to {
			count, from, to = 0, lo[i], lo[i]+1
		}
		for p := from + 1; p <= lo[i]; p++ {
			if counts(v[p-1], v[p]) {
				count--
			}
		}
		for p := to; p < hi[i]; p++ {
			if counts(v[p-1], v[p]) {
				count++
			}
		}
		from, to = lo[i], hi[i]
		dst[i] = float64(count)
		valid.Set(i)
	}
}
