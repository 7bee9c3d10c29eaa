package wal

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFindChanged compares rows of all widths with what == says of their bits, on this machine
// and as any other would.
func TestFindChanged(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for columns := range 300 {
		before := make([]float64, columns)
		for c := range before {
			before[c] = oddValues[rng.IntN(len(oddValues))]
		}
		values := slices.Clone(before)
		for range rng.IntN(2 + columns) {
			if columns > 0 {
				values[rng.IntN(columns)] = oddValues[rng.IntN(len(oddValues))]
			}
		}
		want := make([]uint64, (columns+63)/64)
		for c := range values {
			if math.Float64bits(values[c]) != math.Float64bits(before[c]) {
				want[c/64] |= 1 << (c % 64)
			}
		}
		got := make([]uint64, len(want)+1)
		for i := range got {
			got[i] = rng.Uint64()
		}
		last := got[len(want)]
		findChanged(got, before, values)
		require.Equal(t, want, got[:len(want)], "%d columns", columns)
		require.Equal(t, last, got[len(want)], "words beyond are left alone")
		clear(got)
		changedBlocks(got[:columns/64], before, values)
		require.Equal(t, want[:columns/64], got[:columns/64], "%d columns, any machine", columns)
	}
}

func BenchmarkFindChanged(b *testing.B) {
	before, values, dst := make([]float64, 1024), make([]float64, 1024), make([]uint64, 16)
	for _, way := range []struct {
		name string
		find func([]uint64, []float64, []float64)
	}{{"this machine", findChangedBlocks}, {"any machine", changedBlocks}} {
		b.Run(way.name, func(b *testing.B) {
			for b.Loop() {
				way.find(dst, before, values)
			}
			reportSample(b, 1024)
		})
	}
}
