package functions

import "github.com/prometheus/prometheus/model/histogram"

// Smooth computes an instant selector with smoothed at one step: the value of
// the series at w.End, interpolated between the samples beside it. The window
// has the samples of the lookback delta before and after. The result keeps the
// name.
func Smooth(w *Window, a *Args) (f float64, h *histogram.FloatHistogram, ok bool) {
	panic("not yet")
}

// ExtendFloats computes a range selector with anchored or smoothed that is the
// result itself: the floats of the window with one more at each boundary. It
// returns nil if there is none in the window.
func ExtendFloats(w *Window, m Modifier) (times []int64, values []float64) {
	panic("not yet")
}
