package encoding

import (
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/stretchr/testify/require"
)

// requireSameHistograms compares bit for bit; require.Equal says that no NaN is another.
func requireSameHistograms(t *testing.T, want, got []*histogram.Histogram) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		w, g := *want[i], *got[i]
		require.Equal(t, math.Float64bits(w.Sum), math.Float64bits(g.Sum))
		w.Sum, g.Sum = 0, 0
		require.Equal(t, w, g, "row %d", i)
	}
}

func requireSameFloatHistograms(t *testing.T, want, got []*histogram.FloatHistogram) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		w, g := *want[i], *got[i]
		require.Equal(t, math.Float64bits(w.Sum), math.Float64bits(g.Sum))
		w.Sum, g.Sum = 0, 0
		require.Equal(t, w, g, "row %d", i)
	}
}

func TestHistogramColumns(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 17, 128, 300} {
		hs := histogramColumn(n)
		encoded, err := AppendHistograms([]byte{1}, hs)
		require.NoError(t, err)
		got, rest, err := DecodeHistograms(nil, append(encoded[1:], 5))
		require.NoError(t, err)
		require.Equal(t, []byte{5}, rest)
		requireSameHistograms(t, hs, got)

		fhs := floatHistogramColumn(n)
		encoded, err = AppendFloatHistograms(nil, fhs)
		require.NoError(t, err)
		fgot, rest, err := DecodeFloatHistograms(nil, encoded)
		require.NoError(t, err)
		require.Empty(t, rest)
		requireSameFloatHistograms(t, fhs, fgot)

		_, _, err = DecodeHistograms(nil, encoded)
		require.ErrorIs(t, err, ErrCorrupt, "other flavour")
	}
}

func TestHistogramColumnsCutOff(t *testing.T) {
	hs, err := AppendHistograms(nil, histogramColumn(40))
	require.NoError(t, err)
	for n := range hs {
		_, _, err := DecodeHistograms(nil, hs[:n:n])
		require.ErrorIs(t, err, ErrCorrupt, n)
	}
	fhs, err := AppendFloatHistograms(nil, floatHistogramColumn(40))
	require.NoError(t, err)
	for n := range fhs {
		_, _, err := DecodeFloatHistograms(nil, fhs[:n:n])
		require.ErrorIs(t, err, ErrCorrupt, n)
	}
}

func TestHistogramLimits(t *testing.T) {
	h := &histogram.Histogram{PositiveBuckets: make([]int64, 100), PositiveSpans: []histogram.Span{{Length: 100}}}
	hs := make([]*histogram.Histogram, MaxRows)
	for i := range hs {
		hs[i] = h
	}
	dst := []byte{1, 2, 3}
	out, err := AppendHistograms(dst, hs)
	require.ErrorIs(t, err, ErrTooLarge)
	require.Equal(t, dst, out)
	_, err = AppendHistograms(nil, append(hs, h))
	require.ErrorIs(t, err, ErrTooLarge)
	// What says that it is too large is refused before memory is taken.
	src := append([]byte{flavourInteger, 0x80, 0x80, 0x04, 0x80, 0x80, 0x04, 0}, make([]byte, 8)...)
	src = append(src, 0, 0, 0, 0x80, 0x80, 0x80, 0x02, 0)
	_, _, err = DecodeHistograms(nil, src)
	require.ErrorIs(t, err, ErrCorrupt)
}

func TestSingleHistograms(t *testing.T) {
	for _, h := range histogramColumn(50) {
		encoded := AppendHistogram([]byte{1}, h)[1:]
		got, fgot, rest, err := DecodeHistogram(append(encoded, 3))
		require.NoError(t, err)
		require.Nil(t, fgot)
		require.Equal(t, []byte{3}, rest)
		requireSameHistograms(t, []*histogram.Histogram{h}, []*histogram.Histogram{got})
		for n := range encoded {
			_, _, _, err := DecodeHistogram(encoded[:n:n])
			require.ErrorIs(t, err, ErrCorrupt)
		}
	}
	for _, h := range floatHistogramColumn(50) {
		encoded := AppendFloatHistogram(nil, h)
		got, fgot, rest, err := DecodeHistogram(encoded)
		require.NoError(t, err)
		require.Nil(t, got)
		require.Empty(t, rest)
		requireSameFloatHistograms(t, []*histogram.FloatHistogram{h}, []*histogram.FloatHistogram{fgot})
		for n := range encoded {
			_, _, _, err := DecodeHistogram(encoded[:n:n])
			require.ErrorIs(t, err, ErrCorrupt)
		}
	}
	_, _, _, err := DecodeHistogram([]byte{0x10 | flavourInteger})
	require.ErrorIs(t, err, ErrCorrupt)
}
