package federate

import (
	"errors"
	"io"
	"math"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// now is the time of every request; its samples are at most five minutes old.
var now = time.Unix(6000, 0)

func exponential(hint histogram.CounterResetHint) *histogram.Histogram {
	return &histogram.Histogram{
		CounterResetHint: hint, Schema: 1, Count: 10, Sum: 3.5, ZeroThreshold: 0.001, ZeroCount: 2,
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}, {Offset: 1, Length: 1}}, PositiveBuckets: []int64{1, 2, -1},
		NegativeSpans: []histogram.Span{{Offset: 3, Length: 1}}, NegativeBuckets: []int64{2},
	}
}

// fill returns a store with every kind of series.
func fill(t *testing.T) *storagetest.Model {
	m := storagetest.NewModel(math.MaxInt64 / 4)
	app := m.Appender(t.Context())
	ms := now.UnixMilli()
	add := func(at int64, v float64, text ...string) {
		_, err := app.Append(0, labels.FromStrings(text...), at, v)
		require.NoError(t, err)
	}
	add(ms-60_000, 1, "__name__", "up", "job", "b", "instance", "i")
	add(ms, 2, "__name__", "up", "job", "b", "instance", "i")
	add(ms-299_000, 0, "__name__", "up", "job", "a<\"\\\n")
	add(ms-300_001, 9, "__name__", "up", "job", "too old")
	add(ms+1, 9, "__name__", "up", "job", "too new")
	add(ms-20, 1, "__name__", "up", "job", "ended")
	add(ms-10, math.Float64frombits(value.StaleNaN), "__name__", "up", "job", "ended")
	add(ms, math.Inf(1), "__name__", "aaa", "region", "own", "job", "a")
	add(ms, math.NaN(), "__name__", "odd name", "job", "a")
	add(ms, 5, "job", "nameless")

	custom := &histogram.FloatHistogram{
		Schema: histogram.CustomBucketsSchema, Count: 7, Sum: 9, CustomValues: []float64{1, 2, 3},
		PositiveSpans: []histogram.Span{{Offset: 1, Length: 1}, {Offset: 1, Length: 1}}, PositiveBuckets: []float64{4, 3},
	}
	for name, h := range map[string]*histogram.Histogram{
		"native": exponential(histogram.UnknownCounterReset), "native_gauge": exponential(histogram.GaugeType),
	} {
		_, err := app.AppendHistogram(0, labels.FromStrings("__name__", name, "job", "n"), ms, h, nil)
		require.NoError(t, err)
	}
	_, err := app.AppendHistogram(0, labels.FromStrings("__name__", "custom", "job", "n"), ms, nil, custom)
	require.NoError(t, err)
	stale := &histogram.FloatHistogram{Sum: math.Float64frombits(value.StaleNaN)}
	_, err = app.AppendHistogram(0, labels.FromStrings("__name__", "native_stale", "job", "n"), ms, nil, stale)
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	return m
}

func federation(s storage.Queryable, external labels.Labels, reg prometheus.Registerer) *Handler {
	return New(Options{
		Storage: s, ExternalLabels: func() labels.Labels { return external },
		Now: func() time.Time { return now }, Registerer: reg,
	})
}

func get(h *Handler, accept string, selectors ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/federate?"+url.Values{"match[]": selectors}.Encode(), nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestText(t *testing.T) {
	store := fill(t)
	for _, c := range []struct {
		name      string
		external  labels.Labels
		selectors []string
		want      string
	}{
		{"nothing asked for", labels.EmptyLabels(), nil, ""},
		{"nothing found", labels.EmptyLabels(), []string{"nothing"}, ""},
		{"instance is set even if empty", labels.EmptyLabels(), []string{"up"}, `# TYPE up untyped
up{instance="i",job="b"} 2 6000000
up{job="a<\"\\\n",instance=""} 0 5701000
`},
		{"external labels do not replace others", labels.FromStrings("region", "eu", "zone", "z"), []string{"up", "aaa"}, `# TYPE aaa untyped
aaa{job="a",region="own",instance="",zone="z"} +Inf 6000000
# TYPE up untyped
up{instance="i",job="b",region="eu",zone="z"} 2 6000000
up{job="a<\"\\\n",instance="",region="eu",zone="z"} 0 5701000
`},
		{"an external instance label", labels.FromStrings("instance", "me"), []string{"up"}, `# TYPE up untyped
up{instance="i",job="b"} 2 6000000
up{job="a<\"\\\n",instance="me"} 0 5701000
`},
		{"a series that two selectors match", labels.EmptyLabels(), []string{`{job="b"}`, "up"}, `# TYPE up untyped
up{instance="i",job="b"} 2 6000000
up{job="a<\"\\\n",instance=""} 0 5701000
`},
		{"a name that the text format of old does not allow", labels.EmptyLabels(), []string{`{"odd name"}`}, `# TYPE odd_name untyped
odd_name{job="a",instance=""} NaN 6000000
`},
		{"nameless and native ones are left out", labels.EmptyLabels(), []string{`{job=~"n|nameless"}`}, `# TYPE custom histogram
custom_bucket{job="n",instance="",le="1.0"} 0 6000000
custom_bucket{job="n",instance="",le="2.0"} 4 6000000
custom_bucket{job="n",instance="",le="3.0"} 4 6000000
custom_bucket{job="n",instance="",le="+Inf"} 7 6000000
custom_sum{job="n",instance=""} 9 6000000
custom_count{job="n",instance=""} 7 6000000
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := get(federation(store, c.external, nil), "", c.selectors...)
			require.Equal(t, 200, w.Code)
			require.Contains(t, w.Header().Get("Content-Type"), "text/plain")
			// The text of bounds and of large values is the library's business.
			require.Equal(t, strings.ReplaceAll(c.want, ".0\"", "\""), strings.ReplaceAll(w.Body.String(), ".0\"", "\""))
		})
	}
}

// TestProtobuf reads native histograms, which only protobuf has a form for.
func TestProtobuf(t *testing.T) {
	w := get(federation(fill(t), labels.EmptyLabels(), nil),
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", `{job="n"}`)
	require.Equal(t, 200, w.Code)
	decoder := expfmt.NewDecoder(w.Body, expfmt.Format(w.Header().Get("Content-Type")))
	families := map[string]*dto.MetricFamily{}
	for {
		var f dto.MetricFamily
		err := decoder.Decode(&f)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		families[f.GetName()] = &f
	}
	require.Len(t, families, 3)
	require.Equal(t, dto.MetricType_GAUGE_HISTOGRAM, families["native_gauge"].GetType())
	native := families["native"]
	require.Equal(t, dto.MetricType_HISTOGRAM, native.GetType())
	require.EqualValues(t, now.UnixMilli(), native.Metric[0].GetTimestampMs())
	h := native.Metric[0].Histogram
	require.EqualValues(t, 10, h.GetSampleCountFloat())
	require.Equal(t, 3.5, h.GetSampleSum())
	require.EqualValues(t, 1, h.GetSchema())
	require.Equal(t, 0.001, h.GetZeroThreshold())
	require.EqualValues(t, 2, h.GetZeroCountFloat())
	require.Equal(t, []float64{1, 3, 2}, h.GetPositiveCount())
	require.Equal(t, []float64{2}, h.GetNegativeCount())
	require.Len(t, h.GetPositiveSpan(), 2)
	require.EqualValues(t, 1, h.GetPositiveSpan()[1].GetOffset())
	require.EqualValues(t, 3, h.GetNegativeSpan()[0].GetOffset())
	require.Len(t, families["custom"].Metric[0].Histogram.GetBucket(), 3)
}

func TestErrors(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := federation(fill(t), labels.EmptyLabels(), reg)
	w := get(h, "", "up{")
	require.Equal(t, 400, w.Code)
	require.Equal(t, "1:4: parse error: unexpected end of input inside braces\n", w.Body.String())

	r := httptest.NewRequest("GET", "/federate?match[]=%zz", nil)
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), "error parsing form values")
	require.EqualValues(t, 0, testutil.ToFloat64(h.errors))

	closed := storagetest.NewModel(0)
	require.NoError(t, closed.Close())
	h = federation(closed, labels.EmptyLabels(), nil)
	require.Equal(t, 503, get(h, "", "up").Code)
	require.EqualValues(t, 1, testutil.ToFloat64(h.errors))
	require.Equal(t, 500, get(federation(nil, labels.EmptyLabels(), nil), "", "up").Code)
}
