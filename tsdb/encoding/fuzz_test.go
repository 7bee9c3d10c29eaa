package encoding

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/stretchr/testify/require"
)

func seedEncodings(f *testing.F) {
	for _, c := range floatColumns() {
		f.Add(AppendFloats(nil, c.values))
	}
	for _, times := range timelines() {
		f.Add(AppendTimes(nil, times))
	}
	hs, err := AppendHistograms(nil, histogramColumn(20))
	require.NoError(f, err)
	f.Add(hs)
	fhs, err := AppendFloatHistograms(nil, floatHistogramColumn(20))
	require.NoError(f, err)
	f.Add(fhs)
	f.Add(AppendHistogram(nil, histogramColumn(20)[10]))
	f.Add(AppendFloatHistogram(nil, floatHistogramColumn(20)[10]))
}

// FuzzDecode gives any bytes to every decoder. What decodes is encoded again and must then
// decode to the same.
func FuzzDecode(f *testing.F) {
	seedEncodings(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		if values, rest, err := DecodeFloats(nil, src); err == nil {
			require.LessOrEqual(t, len(values), MaxRows)
			require.LessOrEqual(t, len(rest), len(src))
			again, _, err := DecodeFloats(nil, AppendFloats(nil, values))
			require.NoError(t, err)
			require.Equal(t, bitsOf(values), bitsOf(again))
			if v, n, ok := Constant(src); ok {
				require.Equal(t, len(values), n)
				require.Equal(t, math.Float64bits(values[0]), math.Float64bits(v))
			}
		}
		if times, _, err := DecodeTimes(nil, src); err == nil {
			again, _, err := DecodeTimes(nil, AppendTimes(nil, times))
			require.NoError(t, err)
			require.Equal(t, times, again)
		}
		if hs, _, err := DecodeHistograms(nil, src); err == nil {
			encoded, err := AppendHistograms(nil, hs)
			require.NoError(t, err)
			again, _, err := DecodeHistograms(nil, encoded)
			require.NoError(t, err)
			require.Len(t, again, len(hs))
		}
		if fhs, _, err := DecodeFloatHistograms(nil, src); err == nil {
			encoded, err := AppendFloatHistograms(nil, fhs)
			require.NoError(t, err)
			again, _, err := DecodeFloatHistograms(nil, encoded)
			require.NoError(t, err)
			require.Len(t, again, len(fhs))
		}
		if h, fh, _, err := DecodeHistogram(src); err == nil {
			require.True(t, (h == nil) != (fh == nil))
		}
	})
}

// FuzzFloats takes the input as float bits, with a byte in front that says how to spread
// them, so that runs, decimals and integers are met and not only noise.
func FuzzFloats(f *testing.F) {
	for _, c := range floatColumns() {
		src := []byte{0}
		for _, v := range c.values {
			src = binary.LittleEndian.AppendUint64(src, math.Float64bits(v))
		}
		f.Add(src)
		src = append([]byte(nil), src...)
		src[0] = 3
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) == 0 {
			return
		}
		mode := src[0]
		var values []float64
		for src = src[1:]; len(src) >= 8 && len(values) < 2000; src = src[8:] {
			u := binary.LittleEndian.Uint64(src)
			switch mode % 5 {
			case 0:
				values = append(values, math.Float64frombits(u))
			case 1:
				values = append(values, float64(int64(u)>>(mode>>3)))
			case 2:
				values = append(values, float64(int32(u))/pow10[mode%15])
			case 3:
				for range u%9 + 1 {
					values = append(values, float64(uint16(u))*0.001)
				}
			case 4:
				values = append(values, float64(int32(u))*invPow10[mode%15], math.Float64frombits(u))
			}
		}
		checkFloats(t, values)
		times := make([]int64, len(values))
		for i, v := range values {
			times[i] = int64(math.Float64bits(v))
		}
		checkTimes(t, times)
	})
}

// FuzzHistograms makes histograms of the input.
func FuzzHistograms(f *testing.F) {
	f.Add([]byte{3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	f.Add([]byte{0, 0, 0, 255, 255, 255, 0, 1})
	f.Fuzz(func(t *testing.T, src []byte) {
		var hs []*histogram.Histogram
		var fhs []*histogram.FloatHistogram
		next := func() int64 {
			if len(src) == 0 {
				return 0
			}
			b := src[0]
			src = src[1:]
			if b == 255 {
				return math.MinInt64
			}
			return int64(int8(b))
		}
		for len(src) > 0 && len(hs) < 300 {
			h := &histogram.Histogram{
				CounterResetHint: histogram.CounterResetHint(next() & 3), Schema: int32(next()),
				Count: uint64(next()), ZeroCount: uint64(next()), Sum: float64(next()) / 8, ZeroThreshold: float64(next()),
			}
			for range next() & 3 {
				h.PositiveBuckets = append(h.PositiveBuckets, next())
				h.PositiveSpans = append(h.PositiveSpans, histogram.Span{Offset: int32(next()), Length: uint32(next())})
			}
			for range next() & 1 {
				h.NegativeBuckets = append(h.NegativeBuckets, next())
				h.CustomValues = append(h.CustomValues, float64(next()))
			}
			hs = append(hs, h)
			fh := &histogram.FloatHistogram{
				CounterResetHint: h.CounterResetHint, Schema: h.Schema, Count: float64(h.Count), ZeroCount: float64(h.ZeroCount),
				Sum: h.Sum, ZeroThreshold: h.ZeroThreshold, PositiveSpans: h.PositiveSpans, CustomValues: h.CustomValues,
			}
			for _, b := range h.PositiveBuckets {
				fh.PositiveBuckets = append(fh.PositiveBuckets, float64(b)/3)
			}
			fhs = append(fhs, fh)
		}
		encoded, err := AppendHistograms(nil, hs)
		require.NoError(t, err)
		got, rest, err := DecodeHistograms(nil, encoded)
		require.NoError(t, err)
		require.Empty(t, rest)
		requireSameHistograms(t, hs, got)

		encoded, err = AppendFloatHistograms(nil, fhs)
		require.NoError(t, err)
		fgot, _, err := DecodeFloatHistograms(nil, encoded)
		require.NoError(t, err)
		requireSameFloatHistograms(t, fhs, fgot)
		for i := range hs {
			h, _, _, err := DecodeHistogram(AppendHistogram(nil, hs[i]))
			require.NoError(t, err)
			requireSameHistograms(t, hs[i:i+1], []*histogram.Histogram{h})
		}
	})
}
