package randomseries

import (
	"math"
	"math/rand/v2"

	"github.com/prometheus/prometheus/model/histogram"
)

var hints = []histogram.CounterResetHint{
	histogram.UnknownCounterReset, histogram.CounterReset, histogram.NotCounterReset, histogram.GaugeType,
}

// Histograms makes the native histograms of a series.
type Histograms struct {
	r             *rand.Rand
	custom, mixed bool
	hint          histogram.CounterResetHint
	varyHints     bool
	varySchemas   bool
	strange       bool
}

// NewHistograms returns a maker for a kind of series that it chooses: buckets and
// counter reset hints that stay or vary, numbers that make sense or do not.
func NewHistograms(r *rand.Rand) *Histograms {
	return &Histograms{
		r: r, custom: r.IntN(3) == 0, mixed: r.IntN(6) == 0, hint: hints[r.IntN(4)],
		varyHints: r.IntN(3) == 0, varySchemas: r.IntN(3) == 0, strange: r.IntN(6) == 0,
	}
}

// Next returns the next histogram.
func (m *Histograms) Next() *histogram.FloatHistogram {
	r := m.r
	custom := m.custom
	if m.mixed && r.IntN(5) == 0 {
		custom = !custom
	}
	h := &histogram.FloatHistogram{CounterResetHint: m.hint}
	if m.varyHints {
		h.CounterResetHint = hints[r.IntN(4)]
	}
	if custom {
		m.customBuckets(h)
	} else {
		m.exponentialBuckets(h)
	}
	h.Sum = float64(r.IntN(1000)) + r.Float64()
	if m.strange {
		switch r.IntN(5) {
		case 0:
			h.Sum = math.NaN()
		case 1:
			h.Count += float64(r.IntN(5))
			h.Sum = math.NaN()
		case 2:
			h.Sum = math.MaxFloat64 * r.Float64()
			h.Count = math.MaxFloat64 * r.Float64()
		case 3:
			h.PositiveSpans, h.PositiveBuckets, h.NegativeSpans, h.NegativeBuckets = nil, nil, nil, nil
			h.Count, h.ZeroCount = 0, 0
		}
	}
	return h
}

func (m *Histograms) customBuckets(h *histogram.FloatHistogram) {
	h.Schema = histogram.CustomBucketsSchema
	bounds := []float64{-1, 0, 0.5, 1, 5, 10, 100}
	h.CustomValues = bounds[m.r.IntN(2):]
	if m.varySchemas {
		h.CustomValues = bounds[m.r.IntN(3) : 4+m.r.IntN(4)]
	}
	h.PositiveSpans, h.PositiveBuckets = m.buckets(len(h.CustomValues) + 1)
	for _, c := range h.PositiveBuckets {
		h.Count += c
	}
}

func (m *Histograms) exponentialBuckets(h *histogram.FloatHistogram) {
	r := m.r
	h.Schema = 1
	h.ZeroThreshold = 0.001
	if m.varySchemas {
		h.Schema = int32(r.IntN(4) - 1)
		h.ZeroThreshold = []float64{0.001, 0.1, 1e-128}[r.IntN(3)]
	}
	h.ZeroCount = float64(r.IntN(4))
	h.Count = h.ZeroCount
	if r.IntN(8) != 0 {
		h.PositiveSpans, h.PositiveBuckets = m.buckets(8)
	}
	if r.IntN(2) == 0 {
		h.NegativeSpans, h.NegativeBuckets = m.buckets(8)
	}
	for _, c := range h.PositiveBuckets {
		h.Count += c
	}
	for _, c := range h.NegativeBuckets {
		h.Count += c
	}
}

// buckets returns buckets with indexes below n.
func (m *Histograms) buckets(n int) (spans []histogram.Span, counts []float64) {
	gap := int32(0)
	for range n {
		if m.r.IntN(3) == 0 {
			gap++
			continue
		}
		if gap > 0 || len(spans) == 0 {
			spans = append(spans, histogram.Span{Offset: gap})
		}
		spans[len(spans)-1].Length++
		gap = 0
		counts = append(counts, float64(m.r.IntN(20)))
	}
	return spans, counts
}
