package functions

// HistogramGroup are the series that histogram_quantile and its siblings see as
// one histogram: the classic buckets with the same labels but le, in the order
// of the operand, and the native histogram with those labels.
//
// The engine adds BadBucketLabelWarning for series of floats without a number
// for le, and leaves them out.
type HistogramGroup struct {
	// Bounds are the values of le and Buckets the counts; both have an element
	// for each series.
	Bounds  []float64
	Buckets []*Steps
	// Native is nil if there is none.
	Native *Steps
}

// Quantiles computes histogram_quantile, or histogram_quantiles: dst[i] for the
// quantiles qs[i], which have an element for each step, or one for all. first
// and step are the time of the first step and from one to the next,
// milliseconds. The metric of a is the name for annotations: "" unless names are
// removed late; its position is that of the operand.
func (g *HistogramGroup) Quantiles(dst []*Steps, qs [][]float64, first, step int64, a *Args) {
	panic("not yet")
}

// Fraction computes histogram_fraction. lower and upper are as the quantiles of
// Quantiles, a too.
func (g *HistogramGroup) Fraction(dst *Steps, lower, upper []float64, a *Args) {
	panic("not yet")
}
