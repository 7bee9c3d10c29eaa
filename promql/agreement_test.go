package promql

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAgreesWithOracle asks the random questions about rollups ours and
// upstream's engine, both over samples: results are the same to the bit.
func TestAgreesWithOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 7))
	db := rollupStore(t)
	fillDays(t, db, rng, 2.3, testMinute)
	opts := scriptOptions()
	opts.UseStartTimestamps, opts.MaxSamples = false, 0
	opts.asWritten = true // so that samples are counted likewise
	store := samplesOnly{db}
	ours, theirs := newTestEngine(t, store, func(o *Options) { *o = opts }), newOracle(opts, store)
	for range 300 {
		q := randomQuestion(rng, 2)
		requireIdentical(t, ask(t, theirs, q), ask(t, ours, q), q)
	}
}

// requireIdentical demands the same results to the bit, annotations and counts
// of samples.
func requireIdentical(t testing.TB, want, got *Result, q question) {
	t.Helper()
	require.Len(t, got.Matrix, len(want.Matrix), "%s", q)
	for i, w := range want.Matrix {
		g := got.Matrix[i]
		require.Equal(t, w.Metric, g.Metric, "%s", q)
		require.Len(t, g.Floats, len(w.Floats), "%s of %s", q, w.Metric)
		for k, p := range w.Floats {
			same := math.Float64bits(p.F) == math.Float64bits(g.Floats[k].F) || math.IsNaN(p.F) && math.IsNaN(g.Floats[k].F)
			require.True(t, p.T == g.Floats[k].T && same, "%s of %s: want %v, got %v", q, w.Metric, p, g.Floats[k])
		}
		require.Len(t, g.Histograms, len(w.Histograms), "%s of %s", q, w.Metric)
		for k, p := range w.Histograms {
			require.True(t, p.T == g.Histograms[k].T && p.H.Equals(g.Histograms[k].H), "%s of %s: want %v, got %v", q, w.Metric, p, g.Histograms[k])
		}
	}
	require.Equal(t, want.Annotations, got.Annotations, "%s", q)
	require.Equal(t, want.Stats.TotalSamples, got.Stats.TotalSamples, "%s", q)
	require.Equal(t, want.Stats.SamplesRead, got.Stats.SamplesRead, "%s", q)
	require.Equal(t, want.Stats.PeakSamples, got.Stats.PeakSamples, "%s", q)
}
