package parse

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestIndexIsAMap does the same things to an index and to a map. The hashes are
// few and close to each other, so that probing is long and gaps are closed over
// the end of the table.
func TestIndexIsAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var x index
	lines := make([]line, 400)
	model := map[uint64]uint32{}
	for range 200_000 {
		id := uint32(1 + rng.IntN(len(lines)-1))
		hash := uint64(id/7)*1024 + uint64(id%7) - 3
		if have := model[hash]; have == 0 && rng.IntN(2) == 0 {
			lines[id].hash = hash
			model[hash] = id
			x.insert(lines, id)
		} else if have != 0 && rng.IntN(2) == 0 {
			x.remove(lines, have)
			delete(model, hash)
		}
		require.Equal(t, len(model), x.used)
		if got := x.find(lines, hash); got != model[hash] {
			t.Fatalf("hash %d: want %d, got %d", hash, model[hash], got)
		}
	}
	for hash, id := range model {
		require.Equal(t, id, x.find(lines, hash))
	}
}
