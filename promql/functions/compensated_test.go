package functions

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/util/kahansum"
	"github.com/stretchr/testify/require"
)

// TestAddIsKahans adds up random floats of all sizes by both.
func TestAddIsKahans(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		spread := []int{1, 60, 300, 2047}[r.IntN(4)]
		var got compensated
		var sum, c float64
		each, eachC := []float64{0}, []float64{0}
		for i := range 100 {
			exponent := uint64(1023 - spread/2 + r.IntN(spread))
			v := math.Float64frombits(r.Uint64()&^(2047<<52) | exponent<<52)
			switch r.IntN(8) {
			case 0:
				v = -sum
			case 1:
				v = math.Copysign(0, v)
			}
			sum, c = kahansum.Inc(v, sum, c)
			got.add(v)
			addEach(each, eachC, []float64{v})
			require.True(t, sameFloat(sum, got.sum) && sameFloat(c, got.c), "seed %d, value %d: %x: %x+%x, want %x+%x", seed, i, v, got.sum, got.c, sum, c)
			require.True(t, sameFloat(sum, each[0]) && sameFloat(c, eachC[0]))
		}
	}
}
