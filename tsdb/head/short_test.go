package head

import (
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"
)

func requireShort(t *testing.T, values []float64) {
	t.Helper()
	data := appendShort([]byte("before"), values)
	got, err := decodeShort([]float64{7}, data[len("before"):], len(values))
	require.NoError(t, err)
	require.Len(t, got, len(values)+1)
	for i, v := range values {
		require.Equal(t, math.Float64bits(v), math.Float64bits(got[i+1]), "value %d of %v", i, values)
	}
}

func TestShortColumns(t *testing.T) {
	big := float64(1 << 53)
	for _, c := range [][]float64{
		{1}, {0.5}, {math.NaN()}, {math.Copysign(0, -1), 0}, {1, 1, 1}, {1, 2, 3, 4}, {5, -5, 5, -5},
		{0.25, 0.5, 1, 1.75}, {1, 0.1, 0.12, 0.123}, {big, -big, big}, {1e300, 1e-300}, {1, math.Inf(1)},
		{1, math.Float64frombits(value.StaleNaN)}, {0.1 + 0.2, 0.3}, {123456.789, 123456.79, 0},
		{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1e15},
	} {
		requireShort(t, c)
	}
}

func FuzzShort(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint64(0), uint8(3))
	f.Add([]byte{0xff, 0x80, 0x01, 0, 7}, math.Float64bits(0.1), uint8(16))
	f.Fuzz(func(t *testing.T, steps []byte, first uint64, n uint8) {
		v := math.Float64frombits(first)
		values := []float64{v}
		for _, s := range steps {
			if len(values) == windowRows {
				break
			}
			switch s & 3 {
			case 0:
				v += float64(s >> 2)
			case 1:
				v += float64(int8(s)) / 100
			case 2:
				v = math.Float64frombits(math.Float64bits(v) + uint64(s)<<40)
			}
			values = append(values, v)
		}
		requireShort(t, values)
		if _, err := decodeShort(nil, steps, 1+int(n)%windowRows); err != nil { // whatever it is, it does not panic
			require.Error(t, err)
		}
	})
}
