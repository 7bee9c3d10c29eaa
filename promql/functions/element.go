package functions

import "math"

// each makes an ElementFunc of a function of one float.
func each(f func(float64) float64) ElementFunc {
	return func(dst, src []float64, _ Bitmap, _ *Args) {
		for i, v := range src {
			dst[i] = f(v)
		}
	}
}

func absolute(dst, src []float64, _ Bitmap, _ *Args) {
	for i, v := range src {
		dst[i] = math.Abs(v)
	}
}

func ceiling(dst, src []float64, _ Bitmap, _ *Args) {
	for i, v := range src {
		dst[i] = math.Ceil(v)
	}
}

func floor(dst, src []float64, _ Bitmap, _ *Args) {
	for i, v := range src {
		dst[i] = math.Floor(v)
	}
}

func squareRoot(dst, src []float64, _ Bitmap, _ *Args) {
	for i, v := range src {
		dst[i] = math.Sqrt(v)
	}
}

func sign(v float64) float64 {
	switch {
	case v < 0:
		return -1
	case v > 0:
		return 1
	default:
		return v
	}
}

func radians(v float64) float64 { return v * math.Pi / 180 }
func degrees(v float64) float64 { return v * 180 / math.Pi }

// round rounds to multiples of the parameter, if there is one, halves up.
func round(dst, src []float64, _ Bitmap, a *Args) {
	// The inverse loses less than the number itself.
	inverse := 1.0
	for i, v := range src {
		if len(a.Scalars) > 0 {
			inverse = 1 / a.Scalar(0, i)
		}
		dst[i] = math.Floor(v*inverse+0.5) / inverse
	}
}

func clamp(dst, src []float64, valid Bitmap, a *Args) {
	for i, v := range src {
		low, high := a.Scalar(0, i), a.Scalar(1, i)
		if high < low {
			valid.Clear(i)
			continue
		}
		dst[i] = math.Max(low, math.Min(high, v))
	}
}

func clampMax(dst, src []float64, _ Bitmap, a *Args) {
	for i, v := range src {
		dst[i] = math.Max(math.Inf(-1), math.Min(a.Scalar(0, i), v))
	}
}

func clampMin(dst, src []float64, _ Bitmap, a *Args) {
	for i, v := range src {
		dst[i] = math.Max(a.Scalar(0, i), math.Min(math.Inf(1), v))
	}
}

func maxOf(dst []float64, a *Args) {
	for i := range dst {
		dst[i] = math.Max(a.Scalar(0, i), a.Scalar(1, i))
	}
}

func minOf(dst []float64, a *Args) {
	for i := range dst {
		dst[i] = math.Min(a.Scalar(0, i), a.Scalar(1, i))
	}
}
