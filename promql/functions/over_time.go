package functions

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/util/kahansum"
)

// sumFloats adds up with Neumaier's compensation.
func sumFloats(_ []int64, v []float64, _ *call) (float64, bool) {
	return sumOf(v, false), true
}

// sumOf is the sum of values. tame says that all are, and their sum with them.
func sumOf(v []float64, tame bool) float64 {
	var s compensated
	s.addAll(v, tame)
	if math.IsInf(s.sum, 0) {
		return s.sum
	}
	return s.sum + s.c
}

// avgFloats is the compensated sum by the count, or a compensated running mean
// from where the sum would overflow.
func avgFloats(_ []int64, v []float64, _ *call) (float64, bool) {
	s := compensated{sum: v[0]}
	for i := 1; i < len(v); i++ {
		before := s
		s.add(v[i])
		if math.IsInf(s.sum, 0) {
			n := float64(i)
			return runningMean(v[i:], n, before.sum/n, before.c/n), true
		}
	}
	return s.mean(len(v)), true
}

// mean returns the sum by the number of values.
func (s *compensated) mean(n int) float64 { return s.sum/float64(n) + s.c/float64(n) }

// tameAvg is avgFloats for values that are tame.
func tameAvg(v []float64) float64 {
	s := compensated{sum: v[0]}
	s.addAll(v[1:], true)
	return s.mean(len(v))
}

// runningMean continues the mean of n values, with its compensation, over v.
func runningMean(v []float64, n, mean, c float64) float64 {
	for _, f := range v {
		n++
		q := (n - 1) / n
		mean, c = kahansum.Inc(f/n, q*mean, q*c)
	}
	return mean + c
}

func countFloats(_ []int64, v []float64, _ *call) (float64, bool) { return float64(len(v)), true }

func countWindow(w *Window, _ *Args) (float64, *histogram.FloatHistogram, bool) {
	return float64(len(w.Values) + len(w.Hists)), nil, true
}

func presentFloats([]int64, []float64, *call) (float64, bool) { return 1, true }

func presentWindow(*Window, *Args) (float64, *histogram.FloatHistogram, bool) { return 1, nil, true }

func firstFloat(_ []int64, v []float64, _ *call) (float64, bool) { return v[0], true }
func lastFloat(_ []int64, v []float64, _ *call) (float64, bool)  { return v[len(v)-1], true }

func firstTime(t []int64, _ []float64, _ *call) (float64, bool) { return float64(t[0]) / 1000, true }
func lastTime(t []int64, _ []float64, _ *call) (float64, bool) {
	return float64(t[len(t)-1]) / 1000, true
}

func firstWindow(w *Window, _ *Args) (float64, *histogram.FloatHistogram, bool) {
	if len(w.Hists) == 0 || len(w.Values) > 0 && w.Times[0] < w.HistTimes[0] {
		return w.Values[0], nil, true
	}
	return 0, w.Hists[0].Copy(), true
}

func lastWindow(w *Window, _ *Args) (float64, *histogram.FloatHistogram, bool) {
	n, m := len(w.Values)-1, len(w.Hists)-1
	if m < 0 || n >= 0 && w.HistTimes[m] < w.Times[n] {
		return w.Values[n], nil, true
	}
	return 0, w.Hists[m].Copy(), true
}

func firstTimeWindow(w *Window, _ *Args) (float64, *histogram.FloatHistogram, bool) {
	t := int64(math.MaxInt64)
	if len(w.Times) > 0 {
		t = w.Times[0]
	}
	if len(w.HistTimes) > 0 {
		t = min(t, w.HistTimes[0])
	}
	return float64(t) / 1000, nil, true
}

func lastTimeWindow(w *Window, _ *Args) (float64, *histogram.FloatHistogram, bool) {
	// Not the least integer: without a sample of a kind, its time counts as 0.
	var ft, ht int64
	if n := len(w.Times); n > 0 {
		ft = w.Times[n-1]
	}
	if n := len(w.HistTimes); n > 0 {
		ht = w.HistTimes[n-1]
	}
	return float64(max(ft, ht)) / 1000, nil, true
}
