package encoding

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func bitsOf(values []float64) []uint64 {
	out := make([]uint64, len(values))
	for i, v := range values {
		out[i] = math.Float64bits(v)
	}
	return out
}

// checkFloats encodes and decodes a column amid other bytes.
func checkFloats(t *testing.T, values []float64) []byte {
	t.Helper()
	encoded := AppendFloats([]byte("head"), values)
	require.Equal(t, "head", string(encoded[:4]))
	encoded = encoded[4:]
	got, rest, err := DecodeFloats([]float64{1, 2}, append(encoded[:len(encoded):len(encoded)], "tail"...))
	require.NoError(t, err)
	require.Equal(t, "tail", string(rest))
	require.Equal(t, []float64{1, 2}, got[:2])
	require.Equal(t, bitsOf(values), bitsOf(got[2:]))

	// With nothing behind it, too: unpacking loads whole words.
	got, rest, err = DecodeFloats(nil, encoded[:len(encoded):len(encoded)])
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Equal(t, bitsOf(values), bitsOf(got))

	rows, err := FloatRows(encoded)
	require.NoError(t, err)
	require.Equal(t, len(values), rows)
	return encoded
}

func TestFloatsRoundTrip(t *testing.T) {
	for _, c := range floatColumns() {
		t.Run(c.name, func(t *testing.T) { checkFloats(t, c.values) })
	}
}

func TestFloatsOfEveryLength(t *testing.T) {
	for _, c := range floatColumns() {
		for n := range min(len(c.values), 140) {
			checkFloats(t, c.values[:n])
		}
	}
}

func TestFloatsLimit(t *testing.T) {
	values := series(MaxRows, func(i int) float64 { return float64(i % 10) })
	checkFloats(t, values)
	require.Panics(t, func() { AppendFloats(nil, append(values, 1)) })
}

func TestConstant(t *testing.T) {
	for _, c := range floatColumns() {
		encoded := AppendFloats(nil, c.values)
		v, n, ok := Constant(encoded)
		require.Equal(t, len(c.values) > 0 && isConstant(c.values), ok, c.name)
		if ok {
			require.Equal(t, len(c.values), n)
			require.Equal(t, math.Float64bits(c.values[0]), math.Float64bits(v))
		}
	}
	for _, bad := range [][]byte{nil, {0}, {0, 5}, {0xff, 1}, {1, 1}, {0, 0}} {
		_, _, ok := Constant(bad)
		require.False(t, ok, "%x", bad)
	}
}

// TestFloatSizes pins what the kinds are for: the sizes may become smaller, not greater.
func TestFloatSizes(t *testing.T) {
	most := map[string]int{
		"constant integer": 4, "constant decimal": 4, "constant bits": 10, "ramp": 7,
		"counter": 380, "mostly unchanged": 24, "bytes": 272, "two decimals": 560,
		"milli multiples": 560, "counter that goes stale": 20, "one noisy value": 70, "outliers": 220,
	}
	for _, c := range floatColumns() {
		if limit, ok := most[c.name]; ok {
			require.LessOrEqual(t, len(AppendFloats(nil, c.values)), limit, c.name)
			delete(most, c.name)
		}
	}
	require.Empty(t, most, "columns that do not exist")
}

func TestFloatsNeverMuchLargerThanRaw(t *testing.T) {
	for _, c := range floatColumns() {
		raw := 8 * len(c.values)
		require.LessOrEqual(t, len(AppendFloats(nil, c.values)), raw+20+raw/64, c.name)
	}
}

func TestDecimal(t *testing.T) {
	for _, c := range floatColumns() {
		for _, v := range c.values {
			for e := range MaxExponent + 1 {
				m, ok := Decimal(v, e)
				if ok {
					require.Equal(t, math.Float64bits(v), math.Float64bits(FromDecimal(m, e)))
					require.LessOrEqual(t, m, int64(1<<53))
					require.GreaterOrEqual(t, m, int64(-1<<53))
				}
				scaled := math.RoundToEven(v * math.Pow10(e))
				want := math.Abs(scaled) <= 1<<53 && math.Float64bits(float64(int64(scaled))/math.Pow10(e)) == math.Float64bits(v)
				require.Equal(t, want, ok, "%v at %d", v, e)
			}
			require.Equal(t, math.Float64bits(v), math.Float64bits(FromOrderedBits(OrderedBits(v))))
		}
	}
	require.Less(t, OrderedBits(-1), OrderedBits(math.Copysign(0, -1)))
	require.Less(t, OrderedBits(math.Copysign(0, -1)), OrderedBits(0))
	require.Less(t, OrderedBits(1), OrderedBits(1.5))
	require.Equal(t, -1, DecimalExponent(math.Pi, 0))
	require.Equal(t, 3, DecimalExponent(0.125, 0))
	require.Equal(t, -1, DecimalExponent(math.Inf(1), 0))
}

func TestDecodeFloatsErrors(t *testing.T) {
	for name, src := range map[string][]byte{
		"nothing":                      {},
		"kind":                         {7, 1},
		"no rows":                      {kindDecimal},
		"rows over the limit":          {kindConstantBits, 0x81, 0x80, 0x04, 0, 0, 0, 0, 0, 0, 0, 0},
		"no constant":                  {kindConstantBits, 1, 0, 0},
		"exceptions of ordered bits":   {kindOrderedBits | kindExceptions, 2, 0, 0},
		"exponent of ordered bits":     {kindOrderedBits | 1<<kindExponentBit, 2, 0, 0},
		"exponent 15":                  {kindDecimal | 15<<kindExponentBit, 2, 0, 0},
		"decimal of no rows":           {kindDecimal, 0},
		"no mode":                      {kindDecimal, 2},
		"mode":                         {kindDecimal, 2, 9, 0},
		"no blocks":                    {kindDecimal, 2, modeDelta, 0},
		"delta² of one row":            {kindDecimal, 1, modeDelta2, 0, 0},
		"width 58":                     {kindDecimal, 2, modeDelta, 0, 58},
		"reserved bit":                 {kindDecimal, 2, modeDelta, 0, 0x40},
		"words cut off":                {kindDecimal, 3, modeDelta, 0, 56, 1, 2, 3},
		"raw words cut off":            {kindDecimal, 2, modeDelta, 0, widthRaw, 1},
		"raw with exceptions":          {kindDecimal, 2, modeDelta, 0, widthRaw | headerExceptions, 1},
		"no exceptions":                {kindDecimal, 2, modeDelta, 0, headerExceptions, 0},
		"too many exceptions":          {kindDecimal, 2, modeDelta, 0, headerExceptions, 2, 0, 1, 1, 1},
		"exception row":                {kindDecimal, 2, modeDelta, 0, headerExceptions, 1, 1, 1},
		"exception of zero":            {kindDecimal, 2, modeDelta, 0, headerExceptions, 1, 0, 0},
		"float exceptions missing":     {kindDecimal | kindExceptions, 2, modeConstant, 0},
		"float exceptions of none":     {kindDecimal | kindExceptions, 2, modeConstant, 0, 0},
		"float exception out of range": {kindDecimal | kindExceptions, 2, modeConstant, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0},
		"float exception cut off":      {kindDecimal | kindExceptions, 2, modeConstant, 0, 1, 1, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dst := []float64{7}
			got, rest, err := DecodeFloats(dst, src)
			require.ErrorIs(t, err, ErrCorrupt)
			require.Equal(t, dst, got)
			require.Nil(t, rest)
		})
	}
}

// TestDecodeFloatsCutOff cuts encoded columns at every byte.
func TestDecodeFloatsCutOff(t *testing.T) {
	for _, c := range floatColumns() {
		encoded := AppendFloats(nil, c.values)
		for n := range encoded {
			_, _, err := DecodeFloats(nil, encoded[:n:n])
			require.ErrorIs(t, err, ErrCorrupt, "%s cut at %d", c.name, n)
		}
	}
}
