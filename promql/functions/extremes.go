package functions

import "math"

func maxFloats(_ []int64, v []float64, _ *call) (float64, bool) {
	top := v[0]
	for _, f := range v {
		if f > top || math.IsNaN(top) {
			top = f
		}
	}
	return top, true
}

func minFloats(_ []int64, v []float64, _ *call) (float64, bool) {
	low := v[0]
	for _, f := range v {
		if f < low || math.IsNaN(low) {
			low = f
		}
	}
	return low, true
}

// timeOfMax returns the time of the last of the greatest values.
func timeOfMax(t []int64, v []float64, _ *call) (float64, bool) {
	top, at := v[0], t[0]
	for i, f := range v {
		if f >= top || math.IsNaN(top) {
			top, at = f, t[i]
		}
	}
	return float64(at) / 1000, true
}

// timeOfMin returns the time of the last of the least values.
func timeOfMin(t []int64, v []float64, _ *call) (float64, bool) {
	low, at := v[0], t[0]
	for i, f := range v {
		if f <= low || math.IsNaN(low) {
			low, at = f, t[i]
		}
	}
	return float64(at) / 1000, true
}
