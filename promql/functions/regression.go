package functions

import (
	"fmt"
	"math"
)

// abscissas are the times of a window from an origin on, and what sums there are of
// them. Mostly they are those of the window before, or some more of them: scrapes come
// at even distances.
type abscissas struct {
	ms []int64
	// x are the same in seconds, and x1 and x2 the sums of those up to each, and of
	// their squares.
	x      []float64
	x1, x2 []compensated
}

// of makes sure that the first ones are those of a window.
func (a *abscissas) of(t []int64, origin int64) {
	n := 0
	for n < len(t) && n < len(a.ms) && a.ms[n] == t[n]-origin {
		n++
	}
	if n == len(t) {
		return
	}
	a.ms, a.x, a.x1, a.x2 = a.ms[:n], a.x[:n], a.x1[:n], a.x2[:n]
	var x1, x2 compensated
	if n > 0 {
		x1, x2 = a.x1[n-1], a.x2[n-1]
	}
	for _, at := range t[n:] {
		x := float64(at-origin) / 1e3
		x1.add(x)
		x2.add(x * x)
		a.ms, a.x, a.x1, a.x2 = append(a.ms, at-origin), append(a.x, x), append(a.x1, x1), append(a.x2, x2)
	}
}

// regress returns the slope of the least-squares line through the samples and
// its value at the time origin. tame says that all values are.
func (a *abscissas) regress(t []int64, v []float64, origin int64, tame bool) (slope, intercept float64) {
	if isConstant(v) {
		if math.IsInf(v[0], 0) {
			return nan, nan
		}
		return 0, v[0]
	}
	a.of(t, origin)
	var y1, xy compensated
	x := a.x[:len(v)]
	if tame {
		for i, y := range v {
			y1.addTame(y)
			xy.addTame(x[i] * y)
		}
	} else {
		for i, y := range v {
			y1.add(y)
			xy.add(x[i] * y)
		}
	}
	n := float64(len(v))
	x1, x2 := a.x1[len(v)-1], a.x2[len(v)-1]
	sumX, sumX2 := x1.sum+x1.c, x2.sum+x2.c
	sumY, sumXY := y1.sum+y1.c, xy.sum+xy.c
	covariance := sumXY - sumX*sumY/n
	variance := sumX2 - sumX*sumX/n
	slope = covariance / variance
	return slope, sumY/n - slope*sumX/n
}

// isConstant reports whether all values are the first one.
func isConstant(v []float64) bool {
	for _, y := range v[1:] {
		if y != v[0] {
			return false
		}
	}
	return true
}

// regressionKind says which of deriv and predict_linear it is.
type regressionKind struct {
	predict bool
}

func (k regressionKind) function() *Range {
	return &Range{Window: kernel(k.floats).ignoringHistograms(), Batch: k.batch}
}

func (k regressionKind) floats(t []int64, v []float64, c *call) (float64, bool) {
	if len(v) < 2 {
		return 0, false
	}
	return k.of(t, v, c.step, c.eval, c.args, false), true
}

// of computes a window of two samples at least, at a step.
func (k regressionKind) of(t []int64, v []float64, step int, eval int64, a *Args, tame bool) float64 {
	if k.predict {
		slope, intercept := a.abscissas.regress(t, v, eval, tame)
		return slope*a.Scalar(0, step) + intercept
	}
	// The first time as the origin keeps the numbers small.
	slope, _ := a.abscissas.regress(t, v, t[0], tame)
	return slope
}

func (k regressionKind) batch(dst []float64, valid Bitmap, s *FloatSamples, lo, hi []int32, w *Windows, a *Args) {
	tame := areTame(s.Values)
	for i := range lo {
		if hi[i]-lo[i] < 2 {
			continue
		}
		dst[i] = k.of(s.Times[lo[i]:hi[i]], s.Values[lo[i]:hi[i]], i, w.Eval(i), a, tame)
		valid.Set(i)
	}
}

// smoothing is Holt's double exponential smoothing.
func smoothing(_ []int64, v []float64, c *call) (float64, bool) {
	if len(v) < 2 {
		return 0, false
	}
	factor, trendFactor := c.args.Scalar(0, c.step), c.args.Scalar(1, c.step)
	var before float64
	value, trend := v[0], v[1]-v[0]
	for i := 1; i < len(v); i++ {
		scaled := factor * v[i]
		if i > 1 {
			x := trendFactor * (value - before)
			y := (1 - trendFactor) * trend
			trend = x + y
		}
		rest := (1 - factor) * (value + trend)
		before, value = value, scaled+rest
	}
	return value, true
}

func checkSmoothing(a *Args, step int) error {
	if f := a.Scalar(0, step); f <= 0 || f >= 1 {
		return fmt.Errorf("invalid smoothing factor. Expected: 0 < sf < 1, got: %f", f)
	}
	if f := a.Scalar(1, step); f <= 0 || f >= 1 {
		return fmt.Errorf("invalid trend factor. Expected: 0 < tf < 1, got: %f", f)
	}
	return nil
}
