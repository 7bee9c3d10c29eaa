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

// FuzzPage gives any bytes to the reader of pages, cut in two.
func FuzzPage(f *testing.F) {
	w := writePage(pageColumns())
	f.Add(w.AppendHeads(nil), w.Payload())
	for _, c := range pageColumns() {
		w := writePage([]pageColumn{{c.values, -1}, {c.values, 0}, {c.values, 1}})
		f.Add(w.AppendHeads(nil), w.Payload())
	}
	f.Fuzz(func(t *testing.T, heads, payload []byte) {
		p, err := OpenPage(heads)
		if err != nil {
			return
		}
		var d Decoder
		for number := range min(p.Columns(), 100) {
			got, err := d.Floats(nil, p, payload, number)
			require.LessOrEqual(t, len(got), MaxRows)
			alone, err2 := new(Decoder).Floats(nil, p, payload, number)
			require.Equal(t, err == nil, err2 == nil)
			require.Equal(t, bitsOf(got), bitsOf(alone))
			if v, ok := p.Constant(number); ok && err == nil {
				require.Len(t, got, p.Rows(number))
				require.Equal(t, math.Float64bits(got[0]), math.Float64bits(v))
			}
		}
	})
}

// FuzzPageRoundTrip makes columns of the input that resemble each other.
func FuzzPageRoundTrip(f *testing.F) {
	f.Add([]byte{9, 1, 0, 0, 5, 0, 0, 1, 0, 0, 0, 200, 3}, uint8(4))
	f.Add([]byte("a histogram has buckets, and those move together, as a rule"), uint8(7))
	f.Fuzz(func(t *testing.T, src []byte, width uint8) {
		rows := int(width)%200 + 1
		var columns []pageColumn
		last := make([]float64, rows)
		for i := 0; i < len(src) && len(columns) < 70; i += 3 {
			kind, at := src[i], 0
			if i+1 < len(src) {
				at = int(src[i+1])
			}
			values := append([]float64(nil), last...)
			switch kind % 6 {
			case 0:
				values[at%rows] += float64(at)
			case 1:
				for j := range values {
					values[j] += float64(j * at)
				}
			case 2:
				for j := at % rows; j < rows; j++ {
					values[j] += float64(j%7) * 0.1
				}
			case 3:
				values[at%rows] = math.NaN()
			case 4:
				values = values[:at%rows]
			case 5:
				for j := range values {
					values[j] = float64(int(src[(i+j)%len(src)])*4096 + at)
				}
			}
			columns = append(columns, pageColumn{values, len(columns) - 1 - min(len(columns), int(kind/6)%4)})
			if len(values) == rows {
				last = values
			}
		}
		w := writePage(columns)
		p, err := OpenPage(w.AppendHeads(nil))
		require.NoError(t, err)
		var d Decoder
		for number, c := range columns {
			got, err := d.Floats(nil, p, w.Payload(), number)
			require.NoError(t, err)
			requireBits(t, c.values, got, number)
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
