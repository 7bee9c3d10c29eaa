package exec

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// TestReachAgreesWithCounting finds the samples of each step by looking at all.
func TestReachAgreesWithCounting(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var times []int64
		for at := int64(0); len(times) < rng.IntN(60); {
			at += 1 + rng.Int64N(20)
			times = append(times, at)
		}
		w := reach{firstEnd: rng.Int64N(200) - 50, step: rng.Int64N(40), length: 1 + rng.Int64N(100), n: 1 + rng.IntN(20)}
		var l look
		w.apply(&l, times)
		var total, fresh int64
		widest := 0
		seen := map[int64]bool{}
		for s := range w.n {
			var in []int64
			for _, at := range times {
				if at > w.end(s)-w.length && at <= w.end(s) {
					in = append(in, at)
				}
			}
			require.Equal(t, len(in), int(l.hi[s]-l.lo[s]))
			if len(in) > 0 {
				require.Equal(t, in, times[l.lo[s]:l.hi[s]])
			}
			new := int64(0)
			for _, at := range in {
				if !seen[at] {
					new++
				}
				seen[at] = true
			}
			require.Equal(t, new, w.freshAt(&l, s), "step %d of %+v in %v", s, w, times)
			total, fresh, widest = total+int64(len(in)), fresh+new, max(widest, len(in))
		}
		require.Equal(t, total, l.total)
		require.Equal(t, fresh, l.fresh)
		require.Equal(t, widest, l.widest)
	}
}

// TestLooksAreShared makes sure that series of a timeline share what is found,
// and no others do.
func TestLooksAreShared(t *testing.T) {
	c := looks{reach: reach{firstEnd: 10, step: 10, length: 15, n: 5}}
	series := func(id storage.TimelineID, offset int, times ...int64) *reader {
		return &reader{values: make([]float64, len(times)), pieces: []piece{{id, offset, times}}}
	}
	require.Equal(t, []int64{5, 15, 25}, c.of(series(1, 0, 5, 15, 25)).times)
	a := c.of(series(1, 0, 5, 15, 25))
	require.Same(t, a, c.of(series(1, 0, 5, 15, 25)), "from the second one on")
	require.NotSame(t, a, c.of(series(1, 1, 15, 25)))
	require.NotSame(t, a, c.of(series(2, 0, 6, 16, 26)))
	none := series(0, 0, 7, 17)
	require.Equal(t, []int64{7, 17}, c.of(none).times)
	require.Same(t, &c.own, c.of(none))
	joined := series(1, 0, 5, 15, 25)
	joined.pieces = append(joined.pieces, piece{1, 3, []int64{35}})
	joined.values = append(joined.values, 0)
	require.Equal(t, []int64{5, 15, 25, 35}, c.of(joined).times)
	require.Equal(t, []int64{5, 15, 25, 35}, c.of(joined).times)
	require.Same(t, c.of(joined), c.of(joined))
}

// TestLooksAreBounded fills the memory of a selector.
func TestLooksAreBounded(t *testing.T) {
	c := looks{reach: reach{firstEnd: 10, step: 10, length: 15, n: 1000}}
	for id := range storage.TimelineID(10_000) {
		for range 2 {
			c.of(&reader{values: make([]float64, 1), pieces: []piece{{id + 1, 0, []int64{5}}}})
		}
		require.LessOrEqual(t, c.bytes, maxLookBytes)
	}
	c.reach.n = maxLookBytes
	for range 3 {
		require.Same(t, &c.own, c.of(&reader{values: make([]float64, 1), pieces: []piece{{1 << 40, 0, []int64{5}}}}), "what is too large is not kept")
	}
}
