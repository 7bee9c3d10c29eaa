package wal

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// TestRowChanged compares what a decoder says about changed columns with the rows that it
// decoded, some rows being lost or damaged.
func TestRowChanged(t *testing.T) {
	for seed := range uint64(30) {
		src := newRowSource(seed, []int{1, 5, 64, 65, 200}[seed%5])
		rng := rand.New(rand.NewPCG(seed, 3))
		enc, dec := NewRowEncoder(7), NewRowDecoder()
		var last []float64
		known, decoded := 0, 0
		for range 600 {
			payload, err := enc.append(nil, src.next(), 1)
			require.NoError(t, err)
			enc.base = crcOf(payload)
			switch rng.IntN(60) {
			case 0:
				continue
			case 1:
				payload = payload[:rng.IntN(len(payload))]
			}
			_, row, err := dec.Decode(payload)
			changed, before, ok := dec.Changed()
			if err != nil {
				require.False(t, ok)
				continue
			}
			decoded++
			if ok {
				known++
				require.LessOrEqual(t, len(last), len(row.Values))
				for c := range row.Values {
					require.Equal(t, bitsAt(last, c) != bitsAt(row.Values, c), changed.Has(storage.Column(c)), "seed %d column %d", seed, c)
					if changed.Has(storage.Column(c)) {
						require.Equal(t, bitsAt(last, c), bitsAt(before, 0), "seed %d column %d", seed, c)
						before = before[1:]
					}
				}
				require.Empty(t, before)
			}
			last = append(last[:0], row.Values...)
		}
		require.Positive(t, known)
		require.Less(t, known, decoded)
	}
}

// bitsAt returns the bits of a value, 0 behind the end.
func bitsAt(values []float64, c int) uint64 {
	if c < len(values) {
		return math.Float64bits(values[c])
	}
	return 0
}
