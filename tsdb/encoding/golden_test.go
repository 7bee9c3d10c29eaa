package encoding

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"
)

var updateGolden = flag.Bool("update", false, "write golden files instead of comparing with them")

const goldenFile = "testdata/golden_v1.txt"

// goldenEncodings is everything that the golden file pins: a name and bytes each.
func goldenEncodings(t *testing.T) string {
	var out bytes.Buffer
	for _, c := range floatColumns() {
		fmt.Fprintf(&out, "floats %s: %x\n", c.name, AppendFloats(nil, c.values))
	}
	all := timelines()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&out, "times %s: %x\n", name, AppendTimes(nil, all[name]))
	}
	hs, err := AppendHistograms(nil, histogramColumn(20))
	require.NoError(t, err)
	fmt.Fprintf(&out, "histograms column: %x\n", hs)
	fhs, err := AppendFloatHistograms(nil, floatHistogramColumn(20))
	require.NoError(t, err)
	fmt.Fprintf(&out, "float histograms column: %x\n", fhs)
	page := writePage(goldenPage())
	fmt.Fprintf(&out, "page heads: %x\n", page.AppendHeads(nil))
	fmt.Fprintf(&out, "page payload: %x\n", page.Payload())
	fmt.Fprintf(&out, "histogram single: %x\n", AppendHistogram(nil, histogramColumn(20)[10]))
	fmt.Fprintf(&out, "float histogram single: %x\n", AppendFloatHistogram(nil, floatHistogramColumn(20)[10]))
	return out.String()
}

// goldenPage are columns of which some are told by others, and some have the blocks of others.
func goldenPage() []pageColumn {
	rng := rand.New(rand.NewPCG(11, 12))
	lower, upper, count := series(60, func(int) float64 { return 0 }), series(60, func(int) float64 { return 0 }), series(60, func(int) float64 { return 0 })
	for i := 1; i < 60; i++ {
		a, b := float64(rng.IntN(4)), float64(rng.IntN(3)/2)
		lower[i], upper[i], count[i] = lower[i-1]+a, upper[i-1]+a+b, count[i-1]+a+b
	}
	other := series(60, func(i int) float64 { return lower[i] + 1000 })
	tail := append(series(20, func(i int) float64 { return lower[i] / 10 }), math.Float64frombits(value.StaleNaN))
	return []pageColumn{{lower, -1}, {upper, 0}, {count, 1}, {other, -1}, {series(60, func(int) float64 { return 5 }), -1}, {tail, -1}, {nil, -1}}
}

// TestGolden holds the encoder to the bytes of version 1. A better encoder may change what it
// writes; then TestGoldenDecodes must still pass with the old file, which is kept.
func TestGolden(t *testing.T) {
	got := goldenEncodings(t)
	if *updateGolden {
		require.NoError(t, os.WriteFile(goldenFile, []byte(got), 0o666))
	}
	want, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// TestGoldenDecodes holds the decoder to the bytes of version 1.
func TestGoldenDecodes(t *testing.T) {
	file, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	golden := map[string][]byte{}
	for line := range strings.Lines(string(file)) {
		name, text, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			name, text = strings.TrimSuffix(strings.TrimSpace(line), ":"), ""
		}
		golden[name], err = hex.DecodeString(text)
		require.NoError(t, err, line)
	}
	for _, c := range floatColumns() {
		got, rest, err := DecodeFloats(nil, golden["floats "+c.name])
		require.NoError(t, err, c.name)
		require.Empty(t, rest)
		require.Equal(t, bitsOf(c.values), bitsOf(got), c.name)
	}
	for name, times := range timelines() {
		got, _, err := DecodeTimes(nil, golden["times "+name])
		require.NoError(t, err, name)
		require.Equal(t, times, got, name)
	}
	p, err := OpenPage(golden["page heads"])
	require.NoError(t, err)
	var d Decoder
	for number, c := range goldenPage() {
		got, err := d.Floats(nil, p, golden["page payload"], number)
		require.NoError(t, err)
		requireBits(t, c.values, got, number)
	}
	hs, _, err := DecodeHistograms(nil, golden["histograms column"])
	require.NoError(t, err)
	requireSameHistograms(t, histogramColumn(20), hs)
	fhs, _, err := DecodeFloatHistograms(nil, golden["float histograms column"])
	require.NoError(t, err)
	requireSameFloatHistograms(t, floatHistogramColumn(20), fhs)
}
