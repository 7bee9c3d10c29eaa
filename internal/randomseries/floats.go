package randomseries

import (
	"math"
	"math/rand/v2"
)

// Floats returns n values as one kind of series, chosen at random, has them.
func Floats(r *rand.Rand, n int) []float64 {
	values := make([]float64, n)
	kind := r.IntN(8)
	v := float64(r.IntN(1000))
	for i := range values {
		switch kind {
		case 0: // a counter with resets
			v += float64(r.IntN(50))
			if r.IntN(8) == 0 {
				v = float64(r.IntN(3))
			}
		case 1: // a gauge
			v += r.NormFloat64() * 10
		case 2: // few distinct values
			v = float64(r.IntN(3) - 1)
		case 3: // a counter of fractions
			v += r.Float64()
		case 4: // everything
			v = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1, -1, math.MaxFloat64, -math.MaxFloat64, 5e-324}[r.IntN(10)]
		case 5: // sums that overflow
			v = math.MaxFloat64 * r.Float64()
		case 6: // magnitudes apart
			v = r.NormFloat64() * math.Pow(10, float64(r.IntN(40)-20))
		case 7: // seldom a NaN
			v = float64(r.IntN(100))
			if r.IntN(10) == 0 {
				v = math.NaN()
			}
		}
		values[i] = v
	}
	return values
}
