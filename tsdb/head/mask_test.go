package head

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlaceMasks finds the masks of places that share some, and of those that get more.
func TestPlaceMasks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var list placeMasks
	want := map[int]rowMask{}
	for place := range 1000 {
		if rng.IntN(3) == 0 {
			rows := rangeMask(0, rng.IntN(maxSegmentRows))
			want[place] = rows
			list.add(place, rows)
		}
	}
	kept := list.clone()
	list.reset()
	list.add(7, rangeMask(0, 1))
	for range 10 {
		for place := range 1000 {
			rows, ok := kept.of(place)
			require.Equal(t, want[place], rows)
			_, there := want[place]
			require.Equal(t, there, ok)
		}
		require.LessOrEqual(t, len(kept.masks), maxSegmentRows*2)
		var more []maskedPlace
		for range rng.IntN(50) {
			d := maskedPlace{int32(rng.IntN(1000)), rangeMask(0, rng.IntN(maxSegmentRows))}
			more = append(more, d, d)
			rows := want[int(d.place)]
			rows.add(d.rows)
			want[int(d.place)] = rows
		}
		kept = kept.with(more)
	}
}
