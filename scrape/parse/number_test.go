package parse

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"
)

// requireNumber checks that a number is read as strconv does.
func requireNumber(t testing.TB, text string) {
	t.Helper()
	want, err := parseFloat(text)
	for _, end := range []string{"\n", " 1\n", "\t\n"} {
		v, i, ok := number([]byte(text+end), 0)
		if ok != (err == nil) || ok && (i != len(text) || math.Float64bits(v) != math.Float64bits(want)) {
			t.Fatalf("%q: want %v and %v, got %v, %v up to %d", text, want, err, v, ok, i)
		}
	}
}

func TestNumberIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 30_000 {
		var v float64
		switch rng.IntN(4) {
		case 0:
			v = math.Float64frombits(rng.Uint64())
		case 1:
			v = float64(rng.Int64N(1 << 60))
		case 2:
			v = float64(rng.Int64N(1e9)) / math.Pow10(rng.IntN(12))
		case 3:
			v = rng.NormFloat64()
		}
		format := []byte("gGeEf")[rng.IntN(5)]
		precision := -1
		if rng.IntN(2) == 0 {
			precision = rng.IntN(20)
		}
		requireNumber(t, strconv.FormatFloat(v, format, precision, 64))
	}
	for mantissa := range 20 {
		for exponent := -30; exponent <= 30; exponent++ {
			requireNumber(t, fmt.Sprintf("%d%se%d", 9007199254740983+mantissa, "", exponent))
			requireNumber(t, fmt.Sprintf("-%d.%de%+03d", mantissa, mantissa, exponent))
		}
	}
}

func TestNumberIsNoStalenessMarker(t *testing.T) {
	for _, text := range []string{"NaN", "nan", "+nan", "-NaN"} {
		v, _, ok := number([]byte(text+"\n"), 0)
		if ok {
			require.Equal(t, uint64(value.NormalNaN), math.Float64bits(v), text)
		}
	}
}

func FuzzNumber(f *testing.F) {
	for _, text := range []string{"", "0", "-0", "1.5e+09", "1e22", "1e23", "9007199254740993", "0x1p-2", "1_0", "NaN", "+Inf", "1e", ".", "1.", ".5", "00000000000000000000001", "5e-324"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for i := range len(text) {
			if endsNumber(text[i]) {
				return
			}
		}
		requireNumber(t, text)
	})
}
