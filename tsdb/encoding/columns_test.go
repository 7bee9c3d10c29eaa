package encoding

import (
	"math"
	"math/rand/v2"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
)

// namedFloats is a column for tests.
type namedFloats struct {
	name   string
	values []float64
}

func series(n int, f func(i int) float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = f(i)
	}
	return out
}

// floatColumns are columns of every kind, and the edges of each.
func floatColumns() []namedFloats {
	rng := rand.New(rand.NewPCG(1, 2))
	stale := math.Float64frombits(value.StaleNaN)
	counter := 0.0
	sum := 0.0
	return []namedFloats{
		{"empty", nil},
		{"one zero", []float64{0}},
		{"one minus zero", []float64{math.Copysign(0, -1)}},
		{"one stale marker", []float64{stale}},
		{"constant integer", series(120, func(int) float64 { return 42 })},
		{"constant decimal", series(120, func(int) float64 { return 0.25 })},
		{"constant bits", series(120, func(int) float64 { return math.Pi })},
		{"constant large", series(120, func(int) float64 { return 1 << 60 })},
		{"two zeroes", []float64{0, math.Copysign(0, -1), 0, 0}},
		{"ramp", series(300, func(i int) float64 { return float64(i * 5) })},
		{"counter", series(480, func(int) float64 { counter += float64(rng.IntN(50)); return counter })},
		{"mostly unchanged", series(480, func(i int) float64 { return float64(i / 100) })},
		{"gauge", series(129, func(int) float64 { return float64(rng.IntN(1000)) - 500 })},
		{"bytes", series(128, func(i int) float64 { return float64(4096 * (100 + i%7)) })},
		{"two decimals", series(256, func(int) float64 { return float64(rng.IntN(100000)) / 100 })},
		{"milli multiples", series(256, func(int) float64 { return float64(rng.IntN(100000)) * 0.001 })},
		{"float sum", series(200, func(int) float64 { sum += rng.Float64() / 1000; return sum })},
		{"random bits", series(150, func(int) float64 { return math.Float64frombits(rng.Uint64()) })},
		{"counter that goes stale", append(series(40, func(i int) float64 { return float64(i) }), stale)},
		{"stale at first", append([]float64{stale, stale}, series(40, func(i int) float64 { return float64(i * i) })...)},
		{"stale and infinities", []float64{1, stale, 2, math.Inf(1), 3, math.Inf(-1), 4, math.NaN(), 5, 6, 7, 8}},
		{"minus zero among integers", []float64{1, 2, math.Copysign(0, -1), 0, 3, 4, 5, 6}},
		{"nan payloads", []float64{math.Float64frombits(0x7ff0000000000001), math.Float64frombits(0xfff8dead00000000), math.NaN(), stale}},
		{"denormals", []float64{math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, 2.5e-320, 0}},
		{"edges of integers", []float64{1 << 53, 1<<53 - 1, 1<<53 + 2, -(1 << 53), -(1<<53 + 2), 1 << 62, -(1 << 63), 1 << 63}},
		{"extremes", []float64{math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1)}},
		{"one noisy value", append(series(127, func(i int) float64 { return float64(i % 5) }), 0.1234567890123)},
		{"outliers", series(256, func(i int) float64 {
			if i%50 == 0 {
				return 1e12
			}
			return float64(i % 8)
		})},
	}
}

// timelines are timelines, and what else int64 can be.
func timelines() map[string][]int64 {
	rng := rand.New(rand.NewPCG(3, 4))
	ints := func(n int, f func(i int) int64) []int64 {
		out := make([]int64, n)
		for i := range out {
			out[i] = f(i)
		}
		return out
	}
	const start = 1_790_000_000_000
	return map[string][]int64{
		"empty":     nil,
		"one":       {start},
		"two":       {start, start + 15000},
		"regular":   ints(480, func(i int) int64 { return start + int64(i)*15000 }),
		"jitter":    ints(480, func(i int) int64 { return start + int64(i)*15000 + rng.Int64N(5) }),
		"one gap":   ints(480, func(i int) int64 { return start + int64(i)*15000 + int64(i/200)*3_600_000 }),
		"unordered": ints(200, func(int) int64 { return rng.Int64N(1 << 40) }),
		"random":    ints(200, func(int) int64 { return int64(rng.Uint64()) }),
		"extremes":  {math.MinInt64, math.MaxInt64, 0, math.MaxInt64, math.MinInt64, -1, 1},
		"constant":  ints(100, func(int) int64 { return start }),
		"restarts":  ints(480, func(i int) int64 { return start + int64(i/160)*99999 }),
	}
}

// histogramColumn is a column of integer histograms that grows and changes its layout.
func histogramColumn(n int) []*histogram.Histogram {
	rng := rand.New(rand.NewPCG(5, 6))
	out := make([]*histogram.Histogram, n)
	counts := [6]int64{}
	for i := range out {
		h := &histogram.Histogram{
			Schema: 3, ZeroThreshold: 1e-128, ZeroCount: uint64(i / 7),
			PositiveSpans: []histogram.Span{{Offset: -2, Length: 2}, {Offset: 3, Length: 2}},
			NegativeSpans: []histogram.Span{{Offset: 0, Length: 2}},
		}
		switch {
		case i == 0:
			h.CounterResetHint = histogram.UnknownCounterReset
		case i == n/2:
			h.CounterResetHint = histogram.CounterReset
			counts = [6]int64{}
		default:
			h.CounterResetHint = histogram.NotCounterReset
		}
		total := int64(h.ZeroCount)
		for b := range counts {
			counts[b] += rng.Int64N(3)
			total += counts[b]
		}
		h.PositiveBuckets = []int64{counts[0], counts[1] - counts[0], counts[2] - counts[1], counts[3] - counts[2]}
		h.NegativeBuckets = []int64{counts[4], counts[5] - counts[4]}
		h.Count = uint64(total)
		h.Sum = float64(total) * 0.37
		if i >= 2*n/3 { // Another layout.
			h.PositiveSpans = []histogram.Span{{Offset: -2, Length: 4}}
		}
		out[i] = h
	}
	if n > 2 {
		out[n-1] = &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}
		out[n-2] = &histogram.Histogram{
			CounterResetHint: histogram.GaugeType, Schema: histogram.CustomBucketsSchema, Count: 3, Sum: 1.5,
			PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1, 1},
			CustomValues: []float64{0.5, 1, math.Inf(1)},
		}
	}
	return out
}

func floatHistogramColumn(n int) []*histogram.FloatHistogram {
	out := make([]*histogram.FloatHistogram, n)
	for i, h := range histogramColumn(n) {
		out[i] = h.ToFloat(nil)
		out[i].CounterResetHint = h.CounterResetHint
		out[i].Count += 0.25
	}
	return out
}
