package exec

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPointsDoNotOverlap writes to all that was taken.
func TestPointsDoNotOverlap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		var m pointMemory
		var taken [][]FloatPoint
		for i := range 500 {
			n := 1 + rng.IntN(pieceOfPoints/8)
			if i%50 == 0 {
				n = pieceOfPoints * 2
			}
			room := m.take(n)
			require.Equal(t, n, cap(room))
			for range n {
				room = append(room, FloatPoint{T: int64(i)})
			}
			taken = append(taken, room)
		}
		for i, room := range taken {
			for _, p := range room {
				require.Equal(t, int64(i), p.T)
			}
		}
		m.release()
		require.Empty(t, m.pieces)
	}
}

// TestSlabDoesNotOverlap does the same with series.
func TestSlabDoesNotOverlap(t *testing.T) {
	for _, n := range []int{0, 1, 64, 65, 1000} {
		l := slab{n: n}
		var all []*series
		for i := range 600 {
			s := l.next()
			require.Len(t, s.Floats, n)
			require.True(t, s.empty())
			for k := range s.Floats {
				s.Floats[k] = float64(i)
			}
			fillBits(s.Valid, n)
			all = append(all, s)
		}
		for i, s := range all {
			require.Equal(t, n, countBits(s.Valid))
			for _, v := range s.Floats {
				require.Equal(t, float64(i), v)
			}
		}
	}
}
