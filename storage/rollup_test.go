package storage

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"
)

// TestBucketsMerge holds merged buckets to the one of all samples, and that to
// what upstream's functions do with samples.
func TestBucketsMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	values := []float64{1, 2, 3, -4, 0.1, math.NaN(), math.Inf(1), math.Copysign(0, -1), 0, math.Float64frombits(value.StaleNaN), 1e9}
	for range 2000 {
		var whole, merged, part Bucket
		whole.T, merged.T = 1000, 1000
		var samples []float64
		for at := range int64(rng.IntN(30)) {
			v := values[rng.IntN(len(values))]
			whole.Add(at, v)
			part.Add(at, v)
			if !value.IsStaleNaN(v) {
				samples = append(samples, v)
			}
			if rng.IntN(5) == 0 {
				merged.Merge(&part)
				part = Bucket{T: at}
			}
		}
		merged.Merge(&part)
		require.Equal(t, whole.Count, int64(len(samples)))
		require.Equal(t, whole.Empty(), len(samples) == 0)
		require.Equal(t, [4]int64{whole.T, whole.Count, whole.FirstT, whole.LastT}, [4]int64{merged.T, merged.Count, merged.FirstT, merged.LastT})
		for _, pair := range [][2]float64{{whole.First, merged.First}, {whole.Last, merged.Last}, {whole.Min, merged.Min}, {whole.Max, merged.Max}} {
			if !math.IsNaN(pair[0]) || !math.IsNaN(pair[1]) {
				require.Equal(t, math.Float64bits(pair[0]), math.Float64bits(pair[1]))
			}
		}
		for _, pair := range [][2]float64{{whole.Sum(), merged.Sum()}, {whole.Resets, merged.Resets}, {whole.Increase(), merged.Increase()}} {
			if !math.IsNaN(pair[0]) || !math.IsNaN(pair[1]) {
				require.InDelta(t, pair[0], pair[1], 1e-3) // of sums of 1e9
			}
		}
		if len(samples) > 0 {
			least, greatest := samples[0], samples[0]
			for _, v := range samples {
				if v < least || math.IsNaN(least) {
					least = v
				}
				if v > greatest || math.IsNaN(greatest) {
					greatest = v
				}
			}
			require.Equal(t, math.IsNaN(least), math.IsNaN(whole.Min))
			if !math.IsNaN(least) {
				require.Equal(t, []float64{least, greatest}, []float64{whole.Min, whole.Max})
			}
		}
	}
}

func TestBucketSumKeepsWhatRoundingLoses(t *testing.T) {
	var a, b Bucket
	for _, v := range []float64{1e16, 1, 1} {
		a.Add(int64(v), v)
	}
	for _, v := range []float64{-1e16, 1} {
		b.Add(int64(v), v)
	}
	a.Merge(&b)
	require.Equal(t, 3.0, a.Sum())
}

func TestWindows(t *testing.T) {
	w := Windows{First: 100, Last: 199, Step: 30, Range: 10}
	require.Equal(t, 4, w.Len())
	require.EqualValues(t, 190, w.End(3))
	require.Equal(t, 1, Windows{First: 100, Last: 100, Range: 10}.Len())
}
