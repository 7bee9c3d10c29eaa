package promql

import (
	"math"
	"time"

	"github.com/gnomonhq/gnomon/storage"
)

// rollupWindow is a window of a range function with what is known of its
// samples, none of which is a histogram and at least one a float.
type rollupWindow struct {
	storage.Bucket
	// begin, exclusive, and end, inclusive, are milliseconds. They differ from what
	// the expression says where only rollups are left.
	begin, end int64
	// length is the length of the window that the expression says, milliseconds.
	length int64
}

// scale turns what adds up over the window into what it is over the length that
// the expression says.
func (w *rollupWindow) scale(v float64) float64 {
	if got := w.end - w.begin; got != w.length {
		return v * float64(w.length) / float64(got)
	}
	return v
}

// overflows reports whether a sum of the samples may leave the range of floats
// on the way, depending on their order.
func (w *rollupWindow) overflows() bool {
	greatest := max(math.Abs(w.Min), math.Abs(w.Max))
	return !math.IsInf(greatest, 0) && math.IsInf(greatest*float64(w.Count), 0)
}

// rollupFunction is a range function over a window of buckets.
type rollupFunction struct {
	// keepsName says that results keep the metric name, counter that the function
	// is for counters, sums that it adds the samples up.
	keepsName, counter, sums bool
	// eval returns false if there is no result.
	eval func(w *rollupWindow) (float64, bool)
}

// rollupFunctions are the functions that buckets have all the input of. They
// agree with upstream's of the same name.
var rollupFunctions = map[string]rollupFunction{
	"rate":     {counter: true, eval: func(w *rollupWindow) (float64, bool) { return w.extrapolate(true, true) }},
	"increase": {counter: true, eval: func(w *rollupWindow) (float64, bool) { return w.extrapolate(true, false) }},
	"delta":    {eval: func(w *rollupWindow) (float64, bool) { return w.extrapolate(false, false) }},

	"sum_over_time":     {sums: true, eval: func(w *rollupWindow) (float64, bool) { return w.scale(w.Sum()), true }},
	"avg_over_time":     {sums: true, eval: func(w *rollupWindow) (float64, bool) { return w.Sum() / float64(w.Count), true }},
	"count_over_time":   {eval: func(w *rollupWindow) (float64, bool) { return w.scale(float64(w.Count)), true }},
	"present_over_time": {eval: func(*rollupWindow) (float64, bool) { return 1, true }},
	"min_over_time":     {eval: func(w *rollupWindow) (float64, bool) { return w.Min, true }},
	"max_over_time":     {eval: func(w *rollupWindow) (float64, bool) { return w.Max, true }},
	"first_over_time":   {keepsName: true, eval: func(w *rollupWindow) (float64, bool) { return w.First, true }},
	"last_over_time":    {keepsName: true, eval: func(w *rollupWindow) (float64, bool) { return w.Last, true }},
}

// extrapolate returns the increase of the window, or the difference of its ends,
// as upstream has it: what lies between the samples and the edges of the window
// is taken to go on as between the samples, all of it if it is about as long as
// the samples are apart, otherwise half of that.
func (w *rollupWindow) extrapolate(counter, perSecond bool) (float64, bool) {
	if w.Count < 2 {
		return 0, false
	}
	result := w.Last - w.First
	if counter {
		result = w.Increase()
	}
	seconds := func(millis int64) float64 { return float64(millis) / 1000 }
	before, after := seconds(w.FirstT-w.begin), seconds(w.end-w.LastT)
	sampled := seconds(w.LastT - w.FirstT)
	apart := sampled / float64(w.Count-1)
	limit := apart * 1.1
	if before >= limit {
		before = apart / 2
	}
	if counter && result > 0 && w.First >= 0 {
		// A counter begins at zero at the earliest.
		if zero := sampled * (w.First / result); zero < before {
			before = zero
		}
	}
	if after >= limit {
		after = apart / 2
	}
	factor := 1.0
	if sampled != 0 {
		factor = (sampled + before + after) / sampled
	}
	if perSecond {
		return result * (factor / (time.Duration(w.end-w.begin) * time.Millisecond).Seconds()), true
	}
	return w.scale(result * factor), true
}
