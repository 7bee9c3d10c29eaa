package index

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTableAgainstMap adds, removes and looks for entries of few hashes, so that many collide.
func TestTableAgainstMap(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var table Table
		have := map[uint32]uint32{} // Hash by number.
		hashes := uint32(1) << (2 + seed)
		hashOf := func() uint32 { return rng.Uint32N(hashes) << (30 - seed) }
		for step := range 4000 {
			if grow := step%1000 < 600; grow || len(have) == 0 {
				number, hash := rng.Uint32()|1, hashOf()
				if _, ok := have[number]; !ok {
					table.Insert(hash, number)
					have[number] = hash
				}
			} else {
				for number, hash := range have {
					require.True(t, table.Remove(hash, number))
					require.False(t, table.Remove(hash, number))
					delete(have, number)
					break
				}
			}
			require.Equal(t, len(have), table.Len())
			if step%50 > 0 {
				continue
			}
			for number, hash := range have {
				require.Equal(t, number, table.Find(hash, func(n uint32) bool { return n == number }))
				break
			}
			require.Zero(t, table.Find(hashOf(), func(uint32) bool { return false }))
		}
		for number, hash := range have {
			require.Equal(t, number, table.Find(hash, func(n uint32) bool { return n == number }))
			require.True(t, table.Remove(hash, number))
		}
		require.Zero(t, table.Len())
		require.LessOrEqual(t, len(table.entries), 4*minTable, "its memory shrinks with it")
	}
}
