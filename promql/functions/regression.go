package functions

import (
	"fmt"
	"math"

	"github.com/prometheus/prometheus/util/kahansum"
)

// regress returns the slope of the least-squares line through the samples and
// its value at the time origin.
func regress(t []int64, v []float64, origin int64) (slope, intercept float64) {
	var n, sumX, cX, sumY, cY, sumXY, cXY, sumX2, cX2 float64
	constant := true
	for i, y := range v {
		if y != v[0] && i > 0 {
			constant = false
		}
		n++
		x := float64(t[i]-origin) / 1e3
		sumX, cX = kahansum.Inc(x, sumX, cX)
		sumY, cY = kahansum.Inc(y, sumY, cY)
		sumXY, cXY = kahansum.Inc(x*y, sumXY, cXY)
		sumX2, cX2 = kahansum.Inc(x*x, sumX2, cX2)
	}
	if constant {
		if math.IsInf(v[0], 0) {
			return nan, nan
		}
		return 0, v[0]
	}
	sumX += cX
	sumY += cY
	sumXY += cXY
	sumX2 += cX2
	covariance := sumXY - sumX*sumY/n
	variance := sumX2 - sumX*sumX/n
	slope = covariance / variance
	return slope, sumY/n - slope*sumX/n
}

func derivative(t []int64, v []float64, _ *call) (float64, bool) {
	if len(v) < 2 {
		return 0, false
	}
	// The first time as the origin keeps the numbers small.
	slope, _ := regress(t, v, t[0])
	return slope, true
}

func prediction(t []int64, v []float64, c *call) (float64, bool) {
	if len(v) < 2 {
		return 0, false
	}
	slope, intercept := regress(t, v, c.eval)
	return slope*c.args.Scalar(0, c.step) + intercept, true
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
