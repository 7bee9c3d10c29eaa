package functions

import "github.com/prometheus/prometheus/model/histogram"

// kernel computes a function of the floats of one window, which has at least
// one. It returns false if there is no result.
type kernel func(t []int64, v []float64, c *call) (float64, bool)

// call is what a kernel knows beside the samples.
type call struct {
	args *Args
	// step is the number of the step and eval its time, milliseconds.
	step int
	eval int64
}

// batch returns the kernel as a BatchFunc.
func (k kernel) batch() BatchFunc {
	return func(dst []float64, valid Bitmap, s *FloatSamples, lo, hi []int32, w *Windows, a *Args) {
		c := call{args: a}
		for i := range lo {
			if lo[i] >= hi[i] {
				continue
			}
			c.step, c.eval = i, w.Eval(i)
			if f, ok := k(s.Times[lo[i]:hi[i]], s.Values[lo[i]:hi[i]], &c); ok {
				dst[i] = f
				valid.Set(i)
			}
		}
	}
}

// ignoringHistograms returns the kernel as a WindowFunc that says that it
// ignores the native histograms beside floats.
func (k kernel) ignoringHistograms() WindowFunc {
	return func(w *Window, a *Args) (float64, *histogram.FloatHistogram, bool) {
		if len(w.Values) == 0 {
			return 0, nil, false
		}
		if len(w.Hists) > 0 {
			a.note(histogramsIgnoredInRange)
		}
		f, ok := k(w.Times, w.Values, &call{a, w.Step, w.Eval})
		return f, nil, ok
	}
}

// overFloats is a function of the floats alone.
func overFloats(k kernel) *Range {
	return &Range{Window: k.ignoringHistograms(), Batch: k.batch()}
}

// eachWindow makes a BatchFunc of a WindowFunc, for functions whose windows
// have nothing in common.
func eachWindow(f WindowFunc) BatchFunc {
	return func(dst []float64, valid Bitmap, s *FloatSamples, lo, hi []int32, w *Windows, a *Args) {
		var win Window
		for i := range lo {
			from, to := lo[i], hi[i]
			if from >= to {
				continue
			}
			win.Times, win.Values = s.Times[from:to], s.Values[from:to]
			if s.Starts != nil {
				win.Starts = s.Starts[from:to]
			}
			win.At(w, i)
			if v, _, ok := f(&win, a); ok {
				dst[i] = v
				valid.Set(i)
			}
		}
	}
}
