package api

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	jsoniter "github.com/json-iterator/go"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/stats"
	upstream "github.com/prometheus/prometheus/web/api/v1"
	"github.com/stretchr/testify/require"
)

// encodeResult returns the data of a result's response.
func encodeResult(res *Result) string {
	e := newEncoder(nil)
	defer e.free()
	e.result(res, true)
	return string(e.buf)
}

// upstreamResult returns what Prometheus's marshaller makes of a value.
func upstreamResult(t testing.TB, v parser.Value) string {
	b, err := jsoniter.ConfigCompatibleWithStandardLibrary.Marshal(&upstream.QueryData{ResultType: v.Type(), Result: v})
	require.NoError(t, err)
	return string(b)
}

// oddFloats are the values at which the formatting of floats changes.
var oddFloats = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.1, 1e-6, 9.999e-7, 1e-7, -1e-300, 5e-324, 1e14, 1e15, -1e15, 1e15 + 1, 1e16,
	1e20, 1e21, 9.99e20, -1e21, math.MaxFloat64, math.MaxInt64, math.MinInt64, math.Inf(1), math.Inf(-1), math.NaN(),
	1 << 53, 1<<53 + 2, 123456.789, 0.30000000000000004,
}

var oddTimes = []int64{0, 1, -1, 10, 100, 999, 1000, 1001, 1010, 1100, -999, -1000, -1001, 1600000000123, math.MaxInt64, math.MinInt64 + 1}

func TestEncodeFloatsAndTimesLikeUpstream(t *testing.T) {
	for _, f := range oddFloats {
		for _, ms := range oddTimes {
			v := promql.Vector{{T: ms, F: f}}
			require.Equal(t, upstreamResult(t, v), encodeResult(convertValue(v)))
			s := promql.Scalar{T: ms, V: f}
			require.Equal(t, upstreamResult(t, s), encodeResult(convertValue(s)))
		}
	}
	require.Equal(t, "-9223372036854775.808", string(appendTimestamp(nil, math.MinInt64)), "upstream overflows here")
}

// TestEncodeDecimals compares the short way of writing decimals with the general
// one, around every value where one takes over from the other.
func TestEncodeDecimals(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	check := func(f float64) {
		want := strconv.FormatFloat(f, 'f', -1, 64)
		if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
			want = strconv.FormatFloat(f, 'e', -1, 64)
		}
		if got := string(appendFloat(nil, f)); got != want {
			t.Fatalf("%b is written as %s, want %s", f, got, want)
		}
	}
	for _, f := range oddFloats {
		check(f)
	}
	for range 50_000 {
		n := float64(rng.Int64N(int64(math.Pow10(1 + rng.IntN(18)))))
		f := n / math.Pow10(rng.IntN(6))
		for _, x := range []float64{f, -f, math.Nextafter(f, 0), math.Nextafter(f, math.Inf(1)), f + 0.1, 1 / f} {
			check(x)
		}
	}
	for _, edge := range []float64{1e15, 1e14, 1e12, 1e11, 999999999999.999, 1 << 53, 1 << 62, 1 << 63, 1e19} {
		for _, d := range []float64{0, 0.001, 0.5, 1, 0.125, 2048} {
			check(edge + d)
			check(edge - d)
			check(-edge - d)
		}
	}
}

func TestEncodeStringsLikeUpstream(t *testing.T) {
	var all strings.Builder
	for r := rune(0); r < 0x300; r++ {
		all.WriteRune(r)
	}
	for _, s := range []string{"", "plain", all.String(), "\u2028\u2029\ufffd😀", "a\"b\\c</script>"} {
		v := promql.String{T: 5, V: s}
		require.Equal(t, upstreamResult(t, v), encodeResult(convertValue(v)))
		m := promql.Vector{{Metric: labels.FromStrings("a", s, "b"+s, "x")}}
		require.Equal(t, upstreamResult(t, m), encodeResult(convertValue(m)))
		want, err := jsoniter.ConfigCompatibleWithStandardLibrary.Marshal(s)
		require.NoError(t, err)
		require.Equal(t, string(want), string(appendString(nil, s, true)))
	}
}

// TestEncodeInvalidUTF8 shows that a string that is not UTF-8 does not make the
// response invalid, as upstream's does for labels.
func TestEncodeInvalidUTF8(t *testing.T) {
	for _, html := range []bool{false, true} {
		require.Equal(t, `"a\ufffdb\ufffd\ufffdé"`, string(appendString(nil, "a\xffb\xc3\xe2é", html)))
	}
}

// randomMatrix returns a matrix with floats, histograms, both or few of them.
func randomMatrix(rng *rand.Rand, series int) promql.Matrix {
	var m promql.Matrix
	for i := range series {
		s := promql.Series{Metric: labels.FromStrings("__name__", "m", "i", strings.Repeat("<ü", rng.IntN(4)), "n", string(rune('a'+i%26)))}
		ms := rng.Int64N(1e13)
		for range rng.IntN(50) {
			ms += rng.Int64N(100000)
			s.Floats = append(s.Floats, promql.FPoint{T: ms, F: oddFloats[rng.IntN(len(oddFloats))] * float64(1+rng.IntN(3))})
		}
		for range rng.IntN(3) {
			ms += rng.Int64N(100000)
			s.Histograms = append(s.Histograms, promql.HPoint{T: ms, H: randomHistogram(rng)})
		}
		m = append(m, s)
	}
	return m
}

func randomHistogram(rng *rand.Rand) *histogram.FloatHistogram {
	h := &histogram.FloatHistogram{
		Schema: int32(rng.IntN(12) - 4), Count: rng.Float64() * 1e6, Sum: rng.NormFloat64(),
		ZeroThreshold: 1e-9, ZeroCount: float64(rng.IntN(2)),
		PositiveSpans:   []histogram.Span{{Offset: int32(rng.IntN(20) - 10), Length: 2}, {Offset: int32(rng.IntN(3)), Length: 1}},
		PositiveBuckets: []float64{float64(rng.IntN(2)), rng.Float64(), 3},
	}
	if rng.IntN(2) == 0 {
		h.NegativeSpans = []histogram.Span{{Offset: 1, Length: 1}}
		h.NegativeBuckets = []float64{rng.Float64()}
	}
	return h
}

func TestEncodeMatrixLikeUpstream(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, seed))
	for range 50 {
		m := randomMatrix(rng, 1+rng.IntN(10))
		require.Equal(t, upstreamResult(t, m), encodeResult(convertValue(m)))
	}
}

// TestEncodeSpills makes sure that a large result leaves in pieces that make up
// the whole.
func TestEncodeSpills(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	m := convertValue(randomMatrix(rng, 600))
	var out writeCounter
	e := newEncoder(&out)
	e.result(m, false)
	e.flush()
	require.NoError(t, e.err)
	require.Less(t, cap(e.buf), 2*spillBytes, "the buffer does not grow with the result")
	e.free()
	require.Greater(t, out.writes, 5)
	require.Equal(t, encodeResult(m), out.String())
}

type writeCounter struct {
	bytes.Buffer
	writes int
}

func (w *writeCounter) Write(p []byte) (int, error) {
	w.writes++
	return w.Buffer.Write(p)
}

func TestEncodeStatsLikeUpstream(t *testing.T) {
	f := newFixture(t)
	for _, perStep := range []bool{false, true} {
		q, err := f.engine.NewRangeQuery(t.Context(), f.storage, promql.NewPrometheusQueryOpts(perStep, 0), "rate(up[2m])", at(0), at(300), time.Minute)
		require.NoError(t, err)
		require.NoError(t, q.Exec(t.Context()).Err)
		want, err := jsoniter.ConfigCompatibleWithStandardLibrary.Marshal(stats.NewQueryStats(q.Stats()))
		require.NoError(t, err)
		e := newEncoder(nil)
		e.stats(convertStats(q.Stats()))
		require.Equal(t, string(want), string(e.buf))
		require.Equal(t, perStep, strings.Contains(string(want), "PerStep"))
		e.free()
		q.Close()
	}
}

func TestStatsParameter(t *testing.T) {
	f := newFixture(t)
	for value, shown := range map[string]bool{"": false, "true": true, "all": true, "yes<": true} {
		s := step{request: "GET /query?query=up&time=60&stats=" + value}
		var got, want map[string]any
		require.NoError(t, json.Unmarshal(s.do(t, f.handler(nil)).Body.Bytes(), &got))
		require.NoError(t, json.Unmarshal(s.do(t, f.upstreamHandler(t)).Body.Bytes(), &want))
		require.Equal(t, want["warnings"], got["warnings"])
		_, has := got["data"].(map[string]any)["stats"]
		require.Equal(t, shown, has)
	}
}

func FuzzEncodeResult(f *testing.F) {
	f.Add("name", "value", int64(1), 1.5, uint64(3))
	f.Add("\xff<", "\u2028\x00\"", int64(math.MinInt64), math.Inf(-1), uint64(0))
	f.Add("", "", int64(math.MaxInt64), math.Float64frombits(1), uint64(99))
	f.Fuzz(func(t *testing.T, name, text string, ms int64, value float64, seed uint64) {
		metric := labels.FromStrings("a"+name, text)
		h := randomHistogram(rand.New(rand.NewPCG(seed, 1)))
		values := []parser.Value{
			promql.Vector{{Metric: metric, T: ms, F: value}, {Metric: metric, T: ms, H: h}},
			promql.Matrix{{Metric: metric, Floats: []promql.FPoint{{T: ms, F: value}}, Histograms: []promql.HPoint{{T: ms, H: h}}}},
			promql.Scalar{T: ms, V: value},
			promql.String{T: ms, V: text},
		}
		for _, v := range values {
			got := encodeResult(convertValue(v))
			require.True(t, json.Valid([]byte(got)) && utf8.ValidString(got), "%q", got)
			if utf8.ValidString(name) && utf8.ValidString(text) && ms != math.MinInt64 {
				require.Equal(t, upstreamResult(t, v), got)
			}
		}
	})
}

// BenchmarkEncodeMatrix writes a range result of 100 series by 1000 points, of
// which each has up to three decimals.
func BenchmarkEncodeMatrix(b *testing.B) {
	var m promql.Matrix
	for i := range 100 {
		s := promql.Series{Metric: labels.FromStrings("__name__", "metric", "instance", string(rune('a'+i)))}
		for j := range 1000 {
			s.Floats = append(s.Floats, promql.FPoint{T: 1600000000000 + int64(j)*15000, F: float64(i*j) / 8})
		}
		m = append(m, s)
	}
	ours := convertValue(m)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e := newEncoder(io.Discard)
			e.result(ours, false)
			e.flush()
			e.free()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/point")
	})
	b.Run("upstream", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			upstreamResult(b, m)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/point")
	})
}
