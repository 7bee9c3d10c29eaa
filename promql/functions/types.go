package functions

import (
	"math"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// Steps are the values of one series at the steps of a query. At each step
// there is a float, a native histogram or nothing.
type Steps struct {
	// Floats has an element for each step; it counts where Valid has its bit.
	Floats []float64
	Valid  Bitmap
	// Hists is nil if there is none, else it has an element for each step, nil
	// where there is no histogram. Where it is not nil, the bit in Valid is
	// clear.
	Hists []*histogram.FloatHistogram
}

// Windows are the time ranges of a range selector at the steps of a query, in
// milliseconds. Sample i of the selector is in window s if
// Start(s) < time <= End(s); anchored and smoothed selectors hand over samples
// around it as well.
type Windows struct {
	// FirstEval and Step are the time of the first step and from one to the
	// next.
	FirstEval, Step int64
	// FirstEnd is the end of the first window, and EndStep from one to the next:
	// Step, or 0 if the @ modifier fixes the window.
	FirstEnd, EndStep int64
	// Range is the length, and Seconds the same as Prometheus divides by it.
	Range   int64
	Seconds float64
	// Steps is the number of windows.
	Steps int
}

// NewWindows returns the windows of a selector with the offset, for steps times
// from first on, step milliseconds apart.
func NewWindows(first, step int64, steps int, length, offset time.Duration) Windows {
	end := first - offset.Milliseconds()
	return Windows{
		FirstEval: first, Step: step, FirstEnd: end, EndStep: step, Steps: steps,
		// The sum is cut to milliseconds, not each of the two.
		Range: end - (first - (length + offset).Milliseconds()), Seconds: length.Seconds(),
	}
}

// Eval returns the time of step s.
func (w *Windows) Eval(s int) int64 { return w.FirstEval + int64(s)*w.Step }

// End returns the end of window s, which belongs to it.
func (w *Windows) End(s int) int64 { return w.FirstEnd + int64(s)*w.EndStep }

// Start returns the start of window s, which does not belong to it.
func (w *Windows) Start(s int) int64 { return w.End(s) - w.Range }

// Modifier is the extension of a range selector.
type Modifier uint8

// The modifiers of a range selector.
const (
	Plain Modifier = iota
	// Anchored hands over the samples of the window and those of the lookback
	// delta before it.
	Anchored
	// Smoothed hands over the samples of the window and those of the lookback
	// delta before and after it.
	Smoothed
)

// Args is what a function knows beside the samples. One Args serves all series
// of a call, over the same windows, with Metric changed for each.
type Args struct {
	// Metric is the name of the series, for annotations; "" if it has none.
	Metric string
	// Scalars are the scalar parameters in the order of the signature, without
	// those of another kind. Each has a value for each step, or one for all.
	Scalars [][]float64
	// Modifier is that of the range selector.
	Modifier Modifier
	// Pos is the position of the first argument. For a subquery it is the zero
	// range, as in Prometheus.
	Pos posrange.PositionRange
	// Annotations gets the warnings and infos. Never nil.
	Annotations *Annotations

	// scratch, resets, windows and abscissas are memory that calls use again.
	// windows has what rate, increase or delta of the series before found.
	scratch   []float64
	resets    []int32
	windows   []windowTimes
	abscissas abscissas
}

// Scalar returns parameter i at a step.
func (a *Args) Scalar(i, step int) float64 {
	return at(a.Scalars[i], step)
}

// FloatSamples are the floats of a series in ascending order of time, without
// stale markers.
type FloatSamples struct {
	Times  []int64
	Values []float64
	// Starts are the start timestamps, 0 for none. It is nil unless start
	// timestamps are switched on and the function wants them.
	Starts []int64
}

// BatchFunc computes a function for all steps of a series of floats. The
// samples of step s are those from lo[s] up to hi[s], which does not belong to
// it; where a step has none (lo[s] == hi[s]) it has no result, and the engine
// leaves a step with native histograms to WindowFunc by the same. dst has an
// element for each step, valid a bit; the call sets both for the steps that
// have a result and leaves the others alone.
//
// lo and hi are ascending if they come from a range selector, but a BatchFunc
// does not rely on that.
type BatchFunc func(dst []float64, valid Bitmap, s *FloatSamples, lo, hi []int32, w *Windows, a *Args)

// Window is what a step of a range selector saw.
type Window struct {
	FloatSamples
	HistTimes []int64
	Hists     []*histogram.FloatHistogram
	// HistStarts are for Hists what Starts is for Values.
	HistStarts []int64
	// Start and End are the range and Eval the time of the step, milliseconds;
	// Seconds is the length of the range.
	Start, End, Eval int64
	Seconds          float64
	// Step is the number of the step.
	Step int
}

// At fills in the times of step s.
func (w *Window) At(all *Windows, s int) {
	w.Start, w.End, w.Eval, w.Seconds, w.Step = all.Start(s), all.End(s), all.Eval(s), all.Seconds, s
}

// WindowFunc computes a function for one step. The window has at least one
// sample. The result is a histogram if h is not nil, else a float, or nothing if
// ok is false.
type WindowFunc func(w *Window, a *Args) (f float64, h *histogram.FloatHistogram, ok bool)

// Range is a function over a range vector.
type Range struct {
	// Window works for every window, Batch for those of floats only.
	Window WindowFunc
	Batch  BatchFunc
	// KeepsName says that the result has the name of the series.
	KeepsName bool
	// WantsStarts says that the function uses start timestamps if they are
	// switched on.
	WantsStarts bool
	// Anchored and Smoothed say that the selector may have the modifier.
	Anchored, Smoothed bool
	// IsCounter says that NonCounterInfo is due for a series with a float
	// result: rate and increase.
	IsCounter bool
	// Check reports what is wrong with the scalar parameters at a step: the
	// query fails if a series has a sample in the window of that step. nil if
	// nothing can be.
	Check func(a *Args, step int) error
	// OnlyCount says that the values do not matter, only how many there are.
	OnlyCount bool
}

// ElementFunc computes a function of each float: dst[s] of src[s]. dst may be
// src. valid has the bits of the steps that have a float; the call clears those
// of steps that have no result. Where there is no float src has any value.
type ElementFunc func(dst, src []float64, valid Bitmap, a *Args)

// HistogramFunc computes a function of one native histogram.
type HistogramFunc func(h *histogram.FloatHistogram) float64

// ScalarFunc computes a function of scalars: dst has an element for each step.
type ScalarFunc func(dst []float64, a *Args)

// Function is what there is of a function of PromQL; exactly one of the fields
// but Name is set. Functions that this package has no single entry for are not
// found by Lookup; the package comment says where they are.
type Function struct {
	Name      string
	Range     *Range
	Element   ElementFunc
	Histogram HistogramFunc
	Scalar    ScalarFunc
}

// Lookup returns the function with the name, or nil.
func Lookup(name string) *Function { return all[name] }

// nan is the NaN that arithmetic gives.
var nan = math.NaN()
