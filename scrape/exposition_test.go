package scrape

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// formats are the content types of the formats and how expfmt writes them.
var formats = map[string]struct {
	contentType string
	format      expfmt.Format
}{
	"text 0.0.4":        {plainType, expfmt.NewFormat(expfmt.TypeTextPlain)},
	"text 1.0.0":        {"text/plain; version=1.0.0; escaping=allow-utf-8", expfmt.NewFormat(expfmt.TypeTextPlain).WithEscapingScheme(model.NoEscaping)},
	"OpenMetrics 0.0.1": {"application/openmetrics-text; version=0.0.1; charset=utf-8", expfmt.FmtOpenMetrics_0_0_1},
	"OpenMetrics 1.0.0": {"application/openmetrics-text; version=1.0.0; charset=utf-8", expfmt.FmtOpenMetrics_1_0_0},
	"protobuf":          {"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", expfmt.NewFormat(expfmt.TypeProtoDelim)},
}

// exposition is a target that exposes families of every type, which change from
// one scrape to the next.
type exposition struct {
	rng      *rand.Rand
	families []*dto.MetricFamily
	absent   map[*dto.Metric]bool
	scrapes  int
	// timed gives some samples timestamps of their own.
	timed bool
}

func newExposition(rng *rand.Rand, timed bool) *exposition {
	x := &exposition{rng: rng, absent: map[*dto.Metric]bool{}, timed: timed}
	for i, typ := range []dto.MetricType{
		dto.MetricType_COUNTER, dto.MetricType_GAUGE, dto.MetricType_HISTOGRAM, dto.MetricType_SUMMARY, dto.MetricType_UNTYPED,
		dto.MetricType_COUNTER, dto.MetricType_HISTOGRAM, dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE,
	} {
		name, help := fmt.Sprintf("m%d", i), fmt.Sprintf("help of %d", i)
		if typ == dto.MetricType_COUNTER {
			name += "_total"
		}
		if i == 8 {
			name = "m.dotted"
		}
		f := &dto.MetricFamily{Name: &name, Help: &help, Type: &typ}
		if i == 7 {
			f.Help = nil
		}
		for j := range 1 + rng.IntN(4) {
			f.Metric = append(f.Metric, x.newMetric(typ, i, j))
		}
		x.families = append(x.families, f)
	}
	return x
}

func label(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

func (x *exposition) newMetric(typ dto.MetricType, i, j int) *dto.Metric {
	m := &dto.Metric{Label: []*dto.LabelPair{label("a", fmt.Sprint(j))}}
	switch j {
	case 2:
		m.Label = append(m.Label, label("instance", "y"), label("job", "x"))
	case 3:
		m.Label = append(m.Label, label("b", "with \"quotes\" \\ and é"))
	}
	started := timestamppb.New(time.UnixMilli(1_600_000_000_000 + int64(i)*1000 + int64(j)))
	switch typ {
	case dto.MetricType_COUNTER:
		m.Counter = &dto.Counter{Value: new(float64)}
		if j != 1 {
			m.Counter.CreatedTimestamp = started
		}
	case dto.MetricType_GAUGE:
		m.Gauge = &dto.Gauge{Value: new(float64)}
	case dto.MetricType_UNTYPED:
		m.Untyped = &dto.Untyped{Value: new(float64)}
	case dto.MetricType_SUMMARY:
		m.Summary = &dto.Summary{CreatedTimestamp: started, SampleCount: new(uint64), SampleSum: new(float64)}
		for _, q := range []float64{0.5, 0.9, 0.99}[:j%4] {
			m.Summary.Quantile = append(m.Summary.Quantile, &dto.Quantile{Quantile: &q, Value: new(float64)})
		}
	case dto.MetricType_HISTOGRAM:
		m.Histogram = newHistogram(i, j)
		m.Histogram.CreatedTimestamp = started
	}
	return m
}

// newHistogram returns a classic histogram in family 2, a native one in family 7,
// and one that is both in family 6.
func newHistogram(i, j int) *dto.Histogram {
	h := &dto.Histogram{SampleCount: new(uint64), SampleSum: new(float64)}
	if i != 7 {
		for _, bound := range []float64{1, 2.5, 1000, math.Inf(1)}[:3+j%2] {
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: new(uint64)})
		}
	}
	if i != 2 {
		schema, threshold, zero := int32(j), 1e-9, uint64(0)
		h.Schema, h.ZeroThreshold, h.ZeroCount = &schema, &threshold, &zero
	}
	return h
}

// change changes values, and a few of the series, as time goes by.
func (x *exposition) change() {
	x.scrapes++
	for i, f := range x.families {
		for _, m := range f.Metric {
			if x.rng.IntN(2) == 0 {
				x.changeMetric(m)
			}
			m.TimestampMs = nil
			if x.timed && i%3 == 1 && len(m.Label) > 2 {
				t := 946685200123 + 1000*int64(x.scrapes)
				m.TimestampMs = &t
			}
			if x.rng.IntN(12) == 0 {
				x.absent[m] = !x.absent[m]
			}
		}
		if x.rng.IntN(25) == 0 {
			help := fmt.Sprint("help ", x.scrapes)
			f.Help = &help
		}
		if x.rng.IntN(15) == 0 {
			x.rng.Shuffle(len(f.Metric), func(a, b int) { f.Metric[a], f.Metric[b] = f.Metric[b], f.Metric[a] })
		}
	}
	if x.rng.IntN(10) == 0 {
		x.rng.Shuffle(len(x.families), func(a, b int) { x.families[a], x.families[b] = x.families[b], x.families[a] })
	}
}

func (x *exposition) changeMetric(m *dto.Metric) {
	switch {
	case m.Counter != nil:
		*m.Counter.Value += float64(x.rng.IntN(3))
		m.Counter.Exemplar = x.exemplar()
	case m.Gauge != nil:
		*m.Gauge.Value = []float64{math.NaN(), math.Inf(1), 0, -1.5, x.rng.Float64(), 1e300}[x.rng.IntN(6)]
	case m.Untyped != nil:
		*m.Untyped.Value = float64(x.rng.IntN(3))
	case m.Summary != nil:
		*m.Summary.SampleCount++
		*m.Summary.SampleSum += 0.5
		for _, q := range m.Summary.Quantile {
			*q.Value = x.rng.Float64()
		}
	case m.Histogram != nil:
		x.observe(m.Histogram)
	}
}

func (x *exposition) observe(h *dto.Histogram) {
	n := uint64(1 + x.rng.IntN(3))
	*h.SampleCount += n
	*h.SampleSum += float64(n) * 2
	at := 0
	if len(h.Bucket) > 0 {
		at = x.rng.IntN(len(h.Bucket))
	}
	for i, b := range h.Bucket {
		if i >= at {
			*b.CumulativeCount += n
		}
		b.Exemplar = nil
		if i == at {
			b.Exemplar = x.exemplar()
		}
	}
	if h.Schema == nil {
		return
	}
	if x.rng.IntN(20) == 0 {
		*h.Schema = int32(x.rng.IntN(5))
	}
	// Buckets are populated from the first on, as far as there were
	// observations; some of them are empty.
	h.PositiveSpan, h.PositiveDelta, h.NegativeSpan, h.NegativeDelta, h.Exemplars = nil, nil, nil, nil, nil
	rest, last := int64(*h.SampleCount), int64(0)
	offset, length := int32(x.rng.IntN(5)-2), uint32(0)
	for rest > 0 {
		c := min(rest, int64(x.rng.IntN(4)))
		h.PositiveDelta = append(h.PositiveDelta, c-last)
		last, rest, length = c, rest-c, length+1
	}
	h.PositiveSpan = append(h.PositiveSpan, &dto.BucketSpan{Offset: &offset, Length: &length})
	for range x.rng.IntN(3) {
		h.Exemplars = append(h.Exemplars, x.exemplar())
	}
}

func (x *exposition) exemplar() *dto.Exemplar {
	if x.rng.IntN(2) == 0 {
		return nil
	}
	v := x.rng.Float64()
	e := &dto.Exemplar{Label: []*dto.LabelPair{label("trace", fmt.Sprint(x.rng.IntN(9)))}, Value: &v}
	if x.rng.IntN(3) > 0 {
		e.Timestamp = timestamppb.New(time.UnixMilli(946685200000 + int64(x.scrapes)*1000 + int64(x.rng.IntN(900))))
	}
	return e
}

// body writes what is exposed in a format.
func (x *exposition) body(t testing.TB, format string) []byte {
	var b bytes.Buffer
	f := formats[format]
	e := expfmt.NewEncoder(&b, f.format, expfmt.WithCreatedLines())
	for _, family := range x.families {
		present := &dto.MetricFamily{Name: family.Name, Help: family.Help, Type: family.Type}
		for _, m := range family.Metric {
			if !x.absent[m] {
				present.Metric = append(present.Metric, withoutNil(m))
			}
		}
		if len(present.Metric) > 0 {
			require.NoError(t, e.Encode(present))
		}
	}
	if c, ok := e.(expfmt.Closer); ok {
		require.NoError(t, c.Close())
	}
	return b.Bytes()
}

// withoutNil drops the exemplars that are not there.
func withoutNil(m *dto.Metric) *dto.Metric {
	if m.Histogram == nil {
		return m
	}
	var some []*dto.Exemplar
	for _, e := range m.Histogram.Exemplars {
		if e != nil {
			some = append(some, e)
		}
	}
	m.Histogram.Exemplars = some
	return m
}

// answersIn returns the answers of an exposition in a format. Some are damaged.
func answersIn(t testing.TB, rng *rand.Rand, format string, n int, timed bool) (answers []answer) {
	x := newExposition(rng, timed)
	for len(answers) < n {
		x.change()
		a := answer{contentType: formats[format].contentType, body: string(x.body(t, format))}
		switch rng.IntN(16) {
		case 0:
			a = answer{status: http.StatusInternalServerError}
		case 1:
			a.body = ""
		case 2: // truncated
			a.body = a.body[:rng.IntN(len(a.body))]
		case 3:
			a.body = string(damage(rng, format, []byte(a.body)))
		}
		answers = append(answers, a)
	}
	return answers
}

// damage changes lines of a body, or bytes if it has none.
func damage(rng *rand.Rand, format string, body []byte) []byte {
	if format == "protobuf" {
		for range 1 + rng.IntN(2) {
			body[rng.IntN(len(body))] ^= 1 << rng.IntN(8)
		}
		return body
	}
	lines := bytes.SplitAfter(body, []byte{'\n'})
	i, j := rng.IntN(len(lines)), rng.IntN(len(lines))
	switch rng.IntN(5) {
	case 0:
		lines[i], lines[j] = lines[j], lines[i]
	case 1:
		lines[i] = nil
	case 2:
		lines[i] = append(bytes.Clone(lines[i]), lines[j]...)
	case 3:
		lines[i] = append(bytes.Clone(lines[i]), fmt.Sprintf("new_%d{a=\"%d\"} %d\n", rng.IntN(3), rng.IntN(3), rng.IntN(9))...)
	case 4:
		if n := len(lines[i]); n > 0 {
			lines[i] = bytes.Clone(lines[i])
			lines[i][rng.IntN(n)] = " \n\t{}\",=\\#a0.e-\x00\xff"[rng.IntN(17)]
		}
	}
	return bytes.Join(lines, nil)
}
