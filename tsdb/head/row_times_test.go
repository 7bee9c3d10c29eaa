package head

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRowTimes compares timestamps at even distances, nearly so, and at the ends of time with the
// list of them.
func TestRowTimes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	even := func(first, step int64, n int) (out []int64) {
		for i := range n {
			out = append(out, first+int64(i)*step)
		}
		return out
	}
	late := even(1_700_000_000_000, 15_000, 120)
	late[60]++
	for name, times := range map[string][]int64{
		"one": {5}, "two": {5, 7}, "even": even(1_700_000_000_000, 15_000, 240), "one late": late,
		"gap": append(even(0, 10, 50), even(510, 10, 50)...), "ends of time": {math.MinInt64 + 1, 0, math.MaxInt64 - 1},
	} {
		got := makeRowTimes(times)
		require.Equal(t, times, got.all(), name)
		require.Equal(t, times, got.appendTo(nil, 0, got.rows), name)
		require.Equal(t, times[0], got.first, name)
		require.Equal(t, times[len(times)-1], got.last(), name)
		for range 100 {
			a, b := times[rng.IntN(len(times))]+rng.Int64N(3)-1, times[rng.IntN(len(times))]+rng.Int64N(3)-1
			lo, hi := spanOf(times, a, b)
			gotLo, gotHi := got.span(a, b)
			require.Equal(t, []int{lo, hi}, []int{gotLo, gotHi}, "%s: %d to %d", name, a, b)
		}
	}
}
