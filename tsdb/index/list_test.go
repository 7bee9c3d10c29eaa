package index

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"
)

// TestListIsASet compares lists with bitmaps under random operations, for series close together,
// which make runs, and far apart, and at both ends of the numbers.
func TestListIsASet(t *testing.T) {
	for _, c := range []struct {
		from  uint32
		among int
		ops   int
	}{{0, 20, 300}, {1, 200, 2000}, {500, 20_000, 500}, {math.MaxUint32 - 39, 40, 500}} {
		rng := rand.New(rand.NewPCG(uint64(c.among), 1))
		id := func() uint32 { return c.from + uint32(rng.IntN(c.among)) }
		var l list
		want := roaring.New()
		for range c.ops {
			switch n := id(); rng.IntN(5) {
			case 0, 1:
				l.add(n)
				want.Add(n)
			case 2:
				end := min(uint64(n)+uint64(rng.IntN(c.among/4)), uint64(c.from)+uint64(c.among)-1)
				var ids []uint32
				for i := uint64(n); i <= end; i++ {
					if !want.Contains(uint32(i)) {
						ids = append(ids, uint32(i))
					}
				}
				rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
				l.addMany(ids)
				want.AddMany(ids)
			default:
				gone := roaring.BitmapOf(n)
				for range rng.IntN(c.among / 10) {
					gone.Add(id())
				}
				want.AndNot(gone)
				require.Equal(t, want.IsEmpty(), l.remove(gone))
			}
			require.True(t, want.Equals(l.clone()))
			require.EqualValues(t, want.GetCardinality(), l.len())
			require.LessOrEqual(t, len(l.runs), maxRuns)
			for i, r := range l.runs {
				require.LessOrEqual(t, r.first, r.last)
				require.True(t, i == 0 || l.runs[i-1].last < r.first-1, "runs have gaps between: %v", l.runs)
			}
			set := roaring.BitmapOf(id(), id(), id())
			require.Equal(t, want.Intersects(set), l.intersects(set))
			u := union{dst: set.Clone()}
			u.add(&l)
			u.flush()
			require.True(t, roaring.Or(want, set).Equals(u.dst))
			kept := roaring.And(set, want)
			l.retain(set)
			require.True(t, kept.Equals(set))
		}
		require.True(t, slices.IsSortedFunc(l.runs, func(a, b run) int { return int(a.first) - int(b.first) }))
	}
}
