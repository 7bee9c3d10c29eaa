package encoding

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/value"
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

// TestFloatsOfFewChanges has columns that change in one row of eight or less, in the rows around the ends
// of blocks too, and with values that make it leave the short way for such columns.
func TestFloatsOfFewChanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 600 {
		n := 2 + rng.IntN(520)
		values := make([]float64, n)
		v := float64(rng.IntN(100))
		for row := range values {
			if rng.IntN(9+i%40) == 0 || (i%3 == 0 && (row == 1 || row == 128 || row == 129 || row == n-1)) {
				switch rng.IntN(12 + i%20) {
				case 0:
					v = math.Float64frombits(value.StaleNaN)
				case 1:
					v = math.Sqrt(float64(row))
				case 2:
					v = float64(rng.IntN(1000)) / 100
				default:
					v = math.Trunc(v) + float64(rng.IntN(1<<(i%40))*(1+i%5)-i%2*10)
				}
			}
			values[row] = v
		}
		checkFloats(t, values)
		w := writePage([]pageColumn{{values, -1}, {values, 0}})
		p, err := OpenPage(w.AppendHeads(nil))
		require.NoError(t, err)
		for number := range 2 {
			got, err := new(Decoder).Floats(nil, p, w.Payload(), number)
			require.NoError(t, err)
			requireBits(t, values, got, number)
		}
	}
}

// TestFloatsOfOneChange has a column of one value but for one row, each row in turn.
func TestFloatsOfOneChange(t *testing.T) {
	for _, other := range []float64{0, 1.5, math.NaN(), math.Copysign(0, -1), math.Pi} {
		for n := 1; n < 140; n += 23 {
			for row := range n {
				values := series(n, func(int) float64 { return 1 })
				values[row] = other
				checkFloats(t, values)
				values[0], values[n-1] = other, other
				checkFloats(t, values)
			}
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
	for _, bad := range [][]byte{nil, {0}, {0, 5}, {8, 5}, {0xff, 1}, {9, 1}, {8, 0}} {
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
		"nothing":                        {},
		"kind":                           {kinds | columnRows, 1},
		"rows of a column before":        {kindConstantDecimal, 1},
		"no rows":                        {kindDecimal | columnRows},
		"rows over the limit":            {kindConstantBits | columnRows, 0x81, 0x80, 0x04, 0, 0, 0, 0, 0, 0, 0, 0},
		"no constant":                    {kindConstantBits | columnRows, 1, 0, 0},
		"exponent 15":                    {kindDecimal | columnRows | 15<<exponentShift, 2, predictDelta, 0, 0},
		"decimal of no rows":             {kindDecimal | columnRows, 0},
		"no predictor":                   {kindDecimal | columnRows, 2},
		"predictor":                      {kindDecimal | columnRows, 2, predictors, 0},
		"no first":                       {kindDecimal | columnRows, 2, predictDelta},
		"no divisor":                     {kindDecimal | columnRows, 2, predictDelta | streamDivided, 0},
		"no least":                       {kindDecimal | columnRows, 2, predictFrame, 0},
		"no distance":                    {kindDecimal | columnRows, 2, predictNeighbour, 0},
		"distance of itself":             {kindDecimal | columnRows, 2, predictNeighbour | streamEmpty, 0, 0},
		"neighbour of one that is alone": {kindDecimal | columnRows, 2, predictNeighbour | streamEmpty, 0, 1},
		"duplicate of none":              {kindDecimal | columnRows, 2, predictDelta | streamDuplicate, 0, 1},
		"empty duplicate":                {kindDecimal | columnRows, 2, predictDelta | streamDuplicate | streamEmpty, 0, 1},
		"no blocks":                      {kindDecimal | columnRows, 2, predictDelta, 0},
		"width 58":                       {kindDecimal | columnRows, 2, predictDelta, 0, 58},
		"both forms":                     {kindDecimal | columnRows, 2, predictDelta, 0, formMask, 1, 1},
		"words cut off":                  {kindDecimal | columnRows, 3, predictDelta, 0, 56, 1, 2, 3},
		"raw words cut off":              {kindDecimal | columnRows, 2, predictDelta, 0, widthRaw, 1},
		"raw with exceptions":            {kindDecimal | columnRows, 2, predictDelta, 0, widthRaw | formExceptions, 1, 1},
		"no exceptions":                  {kindDecimal | columnRows, 2, predictDelta, 0, formExceptions, 0, 1},
		"too many exceptions":            {kindDecimal | columnRows, 2, predictDelta, 0, formExceptions, 2, 1, 1, 1},
		"exception without bits":         {kindDecimal | columnRows, 2, predictDelta, 0, formExceptions, 1, 0, 1, 1},
		"exception of too many bits":     {kindDecimal | columnRows, 2, predictDelta, 0, formExceptions, 1, 50, 1, 1},
		"exception over 64 bits":         {kindDecimal | columnRows, 2, predictDelta, 0, formExceptions | 56, 1, 9, 1, 1},
		"exception row":                  {kindDecimal | columnRows, 2, predictDelta, 0, formExceptions, 1, 1, 0xff},
		"bitmap of none":                 {kindDecimal | columnRows, 2, predictDelta, 0, formBitmap, 0, 0},
		"bitmap of too many":             {kindDecimal | columnRows, 3, predictDelta, 0, formBitmap | 1, 1, 3, 1},
		"bitmap beyond the rows":         {kindDecimal | columnRows, 3, predictDelta, 0, formBitmap | 1, 1, 4, 1},
		"no dictionary":                  {kindDictionary | columnRows, 2, predictDelta | streamEmpty, 0},
		"empty dictionary":               {kindDictionary | columnRows, 2, predictDelta | streamEmpty, 0, 0},
		"dictionary cut off":             {kindDictionary | columnRows, 2, predictDelta | streamEmpty, 0, 1, 0, 0, 0},
		"place behind the dictionary":    {kindDictionary | columnRows, 2, predictDelta | streamEmpty, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		"no ulps":                        {kindUlps | columnRows, 2, predictDelta | streamEmpty, 0},
		"ulps of a neighbour":            {kindUlps | columnRows, 2, predictDelta | streamEmpty, 0, predictNeighbour | streamEmpty, 0, 1},
		"ulps of a duplicate":            {kindUlps | columnRows, 2, predictDelta | streamEmpty, 0, predictDelta | streamDuplicate, 0, 1},
		"float exceptions missing":       {kindDecimal | columnRows, 2, predictDelta | streamEmpty | streamExceptions, 0},
		"float exceptions of none":       {kindDecimal | columnRows, 2, predictDelta | streamEmpty | streamExceptions, 0, 0},
		"too many float exceptions":      {kindDecimal | columnRows, 2, predictDelta | streamEmpty | streamExceptions, 0, 3, 0, 0, 0},
		"float exception out of range":   {kindDecimal | columnRows, 2, predictDelta | streamEmpty | streamExceptions, 0, 1, 4},
		"float exception cut off":        {kindDecimal | columnRows, 2, predictDelta | streamEmpty | streamExceptions, 0, 1, 1, 0, 0},
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
