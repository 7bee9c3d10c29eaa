package parse

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

const (
	openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
	protobuf    = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

const openMetricsBody = `# HELP busy_seconds Seconds busy.
# TYPE busy_seconds counter
# UNIT busy_seconds seconds
busy_seconds_total{code="200"} %d # {trace="a"} 0.5 123.4
busy_seconds_created{code="200"} 1700000000
# TYPE latency histogram
latency_bucket{le="1"} %d # {trace="b"} 0.25
latency_bucket{le="+Inf"} 7
latency_count 7
latency_sum 3.5
latency_created 1700000001
# TYPE g gauge
g{a="b"} 1 %d.5
g{a="x"} 2
# EOF
`

func allFormats(t testing.TB, f func(name, contentType string, body func(i int) []byte)) {
	f("text", plainText, func(i int) []byte {
		return fmt.Appendf(nil, "# TYPE latency histogram\nlatency_bucket{le=\"1\"} %d\nlatency_bucket{le=\"+Inf\"} 7\nlatency_count 7\nlatency_sum 3\n# TYPE a gauge\na 1\n", i)
	})
	f("OpenMetrics", openMetrics, func(i int) []byte { return fmt.Appendf(nil, openMetricsBody, i, i%8, 1700000000+i) })
	f("protobuf", protobuf, func(i int) []byte { return protobufBody(t, i) })
}

// protobufBody returns a body with a counter, a summary, and a histogram that is
// classic and native, with exemplars.
func protobufBody(t testing.TB, n int) []byte {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "requests_total", Help: "Number of requests."})
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "latency", Help: "Latency.", Buckets: []float64{1, 2}, NativeHistogramBucketFactor: 1.1,
	}, []string{"code"})
	s := prometheus.NewSummary(prometheus.SummaryOpts{Name: "size", Objectives: map[float64]float64{0.5: 0.1}})
	reg.MustRegister(c, h, s)
	c.(prometheus.ExemplarAdder).AddWithExemplar(float64(n), prometheus.Labels{"trace": "a"})
	for i := range n + 1 {
		o := h.WithLabelValues("200").(prometheus.ExemplarObserver)
		o.ObserveWithExemplar(0.5+float64(i), prometheus.Labels{"trace": fmt.Sprint(i)})
		s.Observe(1)
	}
	families, err := reg.Gather()
	require.NoError(t, err)
	var b bytes.Buffer
	e := expfmt.NewEncoder(&b, expfmt.NewFormat(expfmt.TypeProtoDelim))
	for _, f := range families {
		require.NoError(t, e.Encode(f))
	}
	return b.Bytes()
}

func TestFormats(t *testing.T) {
	for _, opts := range []Options{
		{HonorTimestamps: true},
		{NativeHistograms: true},
		{NativeHistograms: true, KeepClassic: true},
		{ClassicToNHCB: true},
		{ClassicToNHCB: true, NativeHistograms: true, KeepClassic: true},
		{StartTimestamps: true, NativeHistograms: true},
		{TypeAndUnitLabels: true},
	} {
		opts.Admit, opts.MaxSchema = admitSome, histogram.ExponentialSchemaMax
		allFormats(t, func(name, contentType string, body func(int) []byte) {
			t.Run(fmt.Sprintf("%s %+v", name, opts.textparse()), func(t *testing.T) {
				ref, r := newReference(), newReader()
				for i := range 4 {
					require.NoError(t, requireSame(t, ref, r, body(i), contentType, &opts))
					checkLayout(t, r.layout)
				}
				require.Zero(t, r.scrape.SeriesAdded)
				for name, m := range ref.families {
					got, _ := r.layout.Families().Get(name)
					require.Equal(t, m, got, name)
				}
			})
		})
	}
}

func TestFormatErrors(t *testing.T) {
	opts := &Options{Admit: admitSome}
	for _, c := range []struct{ contentType, body string }{
		{openMetrics, "a 1\n"},
		{openMetrics, "a 1\nb x\n# EOF\n"},
		{protobuf, "\xff\xff"},
		{"", "a 1\n"},
		{"image/png", "a 1\n"},
		{"text/", "a 1\n"},
	} {
		ref, r := newReference(), newReader()
		want, wantErr := ref.read([]byte(c.body), c.contentType, opts)
		got, err := r.read([]byte(c.body), c.contentType, opts)
		require.Error(t, wantErr, c)
		require.ErrorContains(t, err, wantErr.Error())
		require.Equal(t, want.Total, got.Total)
		require.Zero(t, r.layout.Lines())
	}
	opts.Fallback = "text/plain"
	got, err := newReader().read([]byte("a 1\n"), "image/png", opts)
	require.NoError(t, err)
	require.Equal(t, 1, got.Total)
}

// TestFormatChanges has a target that answers in another format every time: its
// series are the same ones.
func TestFormatChanges(t *testing.T) {
	r := newReader()
	opts := &Options{Admit: admitSome}
	for i := range 6 {
		contentType, body := plainText, "# TYPE a gauge\na 1\nb{c=\"d\"} 2\n"
		if i%2 == 1 {
			contentType, body = openMetrics, body+"# EOF\n"
		}
		got, err := r.read([]byte(body), contentType, opts)
		require.NoError(t, err)
		require.Len(t, got.Row, 2)
		require.Len(t, r.group.series, 2)
		require.Zero(t, got.Duplicates)
		checkLayout(t, r.layout)
	}
}

func TestStartTimestamps(t *testing.T) {
	r := newReader()
	opts := &Options{Admit: admitSome, StartTimestamps: true}
	for i := range 3 {
		_, err := r.read(fmt.Appendf(nil, openMetricsBody, i, i, 1700000000+i), openMetrics, opts)
		require.NoError(t, err)
		c := r.group.columns[`{__name__="busy_seconds_total", code="200", job="test"}`]
		require.Equal(t, int64(1700000000000), r.scrape.Row.StartTimes[c])
		require.Len(t, r.scrape.Row.StartTimes, len(r.scrape.Row.Values))
		require.NotContains(t, r.group.columns, `{__name__="busy_seconds_created", code="200", job="test"}`)
	}
}

func TestHistogramLimits(t *testing.T) {
	body := protobufBody(t, 100)
	read := func(bucketLimit int, schema int32) (*histogram.Histogram, error) {
		r := newReader()
		opts := &Options{Admit: admitSome, NativeHistograms: true, BucketLimit: bucketLimit, MaxSchema: schema}
		_, err := r.read(body, protobuf, opts)
		if err != nil {
			return nil, err
		}
		require.Len(t, r.scrape.Row.Histograms, 1)
		return r.scrape.Row.Histograms[0].Histogram, nil
	}
	full, err := read(0, histogram.ExponentialSchemaMax)
	require.NoError(t, err)
	require.Greater(t, len(full.PositiveBuckets), 20)
	limited, err := read(20, histogram.ExponentialSchemaMax)
	require.NoError(t, err)
	require.LessOrEqual(t, len(limited.PositiveBuckets), 20)
	require.Less(t, limited.Schema, full.Schema)
	require.Equal(t, full.Count, limited.Count)
	coarse, err := read(0, 1)
	require.NoError(t, err)
	require.Equal(t, int32(1), coarse.Schema)
	_, err = read(1, histogram.ExponentialSchemaMax)
	require.ErrorIs(t, err, ErrBucketLimit)
	r := newReader()
	_, err = r.read([]byte("# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"2\"} 2\na_bucket{le=\"+Inf\"} 3\na_count 3\na_sum 3\nb 1\n"), plainText,
		&Options{Admit: admitAll, ClassicToNHCB: true, BucketLimit: 1, MaxSchema: 8})
	require.ErrorIs(t, err, ErrBucketLimit)
	require.Equal(t, 2, r.scrape.Total)
}

// TestForgottenLabels has a store that forgot series with timestamps.
func TestForgottenLabels(t *testing.T) {
	opts := &Options{Admit: admitSome, HonorTimestamps: true}
	body := []byte("# TYPE h histogram\nh_bucket{le=\"1\"} 1 1000\na 1\nb 1 2000\nx 5 1\nc 1 3000\n")
	r := newReader()
	for range 2 {
		_, err := r.read(body, plainText, opts)
		require.NoError(t, err)
	}
	require.Len(t, r.scrape.Timed, 3)
	found := map[int]string{}
	require.NoError(t, r.layout.Labels(r.scrape, body, plainText, opts, []int{0, 2}, func(i int, ls labels.Labels) {
		found[i] = ls.String()
	}))
	require.Equal(t, map[int]string{0: `{__name__="h_bucket", job="test", le="1.0"}`, 2: `{__name__="c", job="test"}`}, found)
}

func TestFamiliesChangeAndExpire(t *testing.T) {
	l, s, m := NewLayout(), new(Scrape), newMemory()
	opts := &Options{Admit: admitAll}
	read := func(body string) {
		t.Helper()
		require.NoError(t, l.Parse(s, []byte(body), plainText, opts))
		require.NoError(t, l.Commit(s, m))
	}
	help := func(series string) string { return m.metadata[m.columns[series]].Help }
	read("# HELP a one\n# TYPE a histogram\na_sum 1\na_count 1\nb 1\n")
	require.Equal(t, "one", help(`{__name__="a_sum"}`))
	require.Equal(t, "one", help(`{__name__="a_count"}`))
	require.Equal(t, "", help(`{__name__="b"}`))
	read("# HELP a two\n# TYPE a histogram\na_sum 1\na_count 1\nb 1\n")
	require.Equal(t, "two", help(`{__name__="a_sum"}`))
	require.Equal(t, "two", help(`{__name__="a_count"}`))
	require.Equal(t, 6, l.Families().Size()-len("histogram")+len("two"))
	for range familyGrace - 1 {
		read("b 1\n")
		require.Equal(t, 1, l.Families().Len())
	}
	for range familyGrace + 1 {
		read("b 1\n")
	}
	require.Equal(t, 0, l.Families().Len())
	require.Empty(t, l.Families().List())
	_, ok := l.Families().Get("a")
	require.False(t, ok)
	var none *Families
	require.Zero(t, none.Len()+none.Size()+len(none.List()))
}

// TestLateComments has a target whose series get their metadata later.
func TestLateComments(t *testing.T) {
	for _, c := range []struct{ contentType, before, after string }{
		{plainText, "a 1\nb 1\n", "# HELP a help\n# TYPE a gauge\na 1\nb 1\n"},
		{plainText, "b 1\na 1\nc 1\n", "# HELP a help\n# TYPE a gauge\nb 1\na 1\nc 1\n"},
		{plainText, "{\"a\"} 1\nb 1\n", "# HELP a help\n# TYPE a gauge\nb 1\n{\"a\"} 1\n"},
		{plainText, "a 1 5\na 2\nb 1\n", "# HELP a help\n# TYPE a gauge\na 2\nb 1\n"},
		{openMetrics, "a 1\nb 1\n# EOF\n", "# HELP a help\n# TYPE a gauge\na 1\nb 1\n# EOF\n"},
	} {
		r := newReader()
		opts := &Options{Admit: admitAll, HonorTimestamps: true}
		for _, body := range []string{c.before, c.before, c.after, c.after} {
			_, err := r.read([]byte(body), c.contentType, opts)
			require.NoError(t, err)
			checkLayout(t, r.layout)
		}
		require.Equal(t, "help", r.group.metadata[r.group.columns[`{__name__="a"}`]].Help, c)
		require.Empty(t, r.group.metadata[r.group.columns[`{__name__="b"}`]].Help, c)
	}
}

func TestManyLinesComeAndGo(t *testing.T) {
	r := newReader()
	opts := &Options{Admit: admitAll, HonorTimestamps: true}
	ref := newReference()
	body := func(from, to int) []byte {
		var b []byte
		for i := from; i < to; i++ {
			b = fmt.Appendf(b, "a{b=\"%d\"} %d\n", i, i)
		}
		return b
	}
	for _, c := range [][2]int{{0, 5000}, {0, 5000}, {4000, 4500}, {4000, 4500}, {4100, 9000}, {0, 10}, {0, 10}} {
		require.NoError(t, requireSame(t, ref, r, body(c[0], c[1]), plainText, opts))
		checkLayout(t, r.layout)
	}
	require.Less(t, cap(r.layout.lines), compactLines, "room that is not needed is given back")
}

func TestRefusedSeriesAreTriedAgain(t *testing.T) {
	l, s := NewLayout(), new(Scrape)
	full := &fullGroup{memory: newMemory(), limit: 1}
	opts := &Options{Admit: admitAll}
	for i, want := range []int{1, 0, 1, 0} {
		if i == 2 {
			full.limit = 2
		}
		require.NoError(t, l.Parse(s, []byte("a 1\nb 2\n"), plainText, opts))
		require.NoError(t, l.Commit(s, full))
		require.Equal(t, want, s.SeriesAdded, i)
		require.Len(t, full.row(s), full.limit)
		checkLayout(t, l)
	}
}

// fullGroup takes a limited number of series.
type fullGroup struct {
	*memory
	limit int
}

func (g *fullGroup) AddColumn(n *NewSeries) (storage.Column, bool, error) {
	if _, ok := g.columns[n.Labels.String()]; !ok && len(g.series) >= g.limit {
		return 0, false, nil
	}
	return g.memory.AddColumn(n)
}

func FuzzOpenMetrics(f *testing.F) {
	f.Add(fmt.Appendf(nil, openMetricsBody, 1, 2, 3), false)
	f.Add([]byte("a 1 5 # {} 1\n# EOF\n"), true)
	f.Fuzz(func(t *testing.T, body []byte, start bool) {
		ref, r := newReference(), newReader()
		opts := &Options{Admit: admitSome, HonorTimestamps: true, StartTimestamps: start}
		for range 2 {
			_ = requireSame(t, ref, r, body, openMetrics, opts)
			checkLayout(t, r.layout)
		}
	})
}

func FuzzProtobuf(f *testing.F) {
	f.Add(protobufBody(f, 3), true)
	f.Fuzz(func(t *testing.T, body []byte, native bool) {
		r := newReader()
		opts := &Options{Admit: admitSome, HonorTimestamps: true, NativeHistograms: native, MaxSchema: 8, BucketLimit: 100}
		done := time.AfterFunc(10*time.Second, func() { panic("it hangs") })
		defer done.Stop()
		for range 2 {
			_, _ = r.read(body, protobuf, opts)
			checkLayout(t, r.layout)
		}
	})
}
