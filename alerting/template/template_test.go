package template

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	upstream "github.com/prometheus/prometheus/template"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/alerting"
)

var (
	evaluatedAt = time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC)
	externalURL = &url.URL{Scheme: "http", Host: "gnomon.test:9090", Path: "/prefix"}
	external    = map[string]string{"cluster": "c1"}
	floatSample = alerting.Sample{
		Labels: labels.FromStrings("__name__", "m", "instance", "web.example.com:9100", "empty-free", "x"),
		V:      1234.5,
	}
	histogramSample = alerting.Sample{
		Labels: labels.FromStrings("instance", "h"),
		H:      &histogram.FloatHistogram{Count: 3, Sum: 6, PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []float64{3}},
	}
)

// answer is the query function of the tests.
func answer(_ context.Context, expr string, t time.Time) (alerting.Vector, error) {
	switch expr {
	case "two":
		return alerting.Vector{
			{Labels: labels.FromStrings("instance", "b", "__value__", "twenty"), T: t.UnixMilli(), V: 20},
			{Labels: labels.FromStrings("instance", "a"), T: t.UnixMilli(), V: 10},
		}, nil
	case "histogram":
		return alerting.Vector{histogramSample}, nil
	case "time":
		return alerting.Vector{{V: float64(t.UnixMilli())}}, nil
	case "none":
		return nil, nil
	default:
		return nil, errors.New("no such expression")
	}
}

// texts are expanded by both implementations: every function, with what it
// accepts and what it refuses.
var texts = []string{
	"",
	"literal } }} text",
	"{{ $value }} {{ $labels.instance }} {{ $externalLabels.cluster }} {{ $externalURL }}",
	"{{ .Value }} {{ .Labels.instance }} {{ .ExternalLabels.cluster }} {{ .ExternalURL }}",
	"missing: {{ $labels.nope }}|{{ $externalLabels.nope }}",
	"{{ $labels }}",
	"{{ range query \"two\" }}{{ . | label \"instance\" }}={{ . | value }} {{ end }}",
	"{{ query \"two\" | first | value }} {{ query \"two\" | first | strvalue }}",
	"{{ range sortByLabel \"instance\" (query \"two\") }}{{ .Labels.instance }}={{ .Value }};{{ end }}",
	"{{ query \"histogram\" | first | value }}",
	"{{ query \"time\" | first | value | printf \"%.0f\" }}",
	"{{ query \"none\" | first | value }}",
	"{{ query \"bad\" }}",
	"{{ with query \"none\" }}some{{ else }}none{{ end }}",
	"{{ define \"x\" }}{{ .arg0 }}-{{ .arg1 }}{{ end }}{{ template \"x\" (args 1 \"two\") }}",
	"{{ reReplaceAll \"(.*)\\\\.example.com\" \"$1\" $labels.instance }}",
	"{{ reReplaceAll \"(\" \"\" \"x\" }}",
	"{{ reReplaceAll \"(`\" \"\" \"x\" }}",
	"{{ match \"^web\" $labels.instance }} {{ match \"^x\" $labels.instance }}",
	"{{ match \"[\" \"x\" }}",
	"{{ title \"hello wORLD ǆ\" }} {{ toUpper \"aé\" }} {{ toLower \"AÉ\" }}",
	"{{ graphLink \"up == 0\" }} {{ tableLink \"up{job=\\\"a b\\\"}\" }}",
	"{{ stripPort $labels.instance }} {{ stripPort \"[::1]:80\" }} {{ stripPort \"bare\" }} {{ stripPort \"1.2.3.4:5\" }}",
	"{{ stripDomain $labels.instance }} {{ stripDomain \"web.example.com\" }} {{ stripDomain \"1.2.3.4:9\" }} {{ stripDomain \"[::1]:80\" }} {{ stripDomain \"::1\" }}",
	"{{ safeHtml \"<b>\" }} {{ urlQueryEscape \"a b&c\" }}",
	"{{ pathPrefix }} {{ externalURL }} {{ now }}",
	"{{ parseDuration \"1h30m\" }} {{ parseDuration \"-5m\" }}",
	"{{ parseDuration \"soon\" }}",
	"{{ toDuration 90 }} {{ toDuration \"1.5\" }} {{ (toTime 1772366400.5).Year }} {{ toTime \"0\" }}",
	"{{ toTime \"x\" }}", "{{ toDuration \"x\" }}", "{{ toTime 1e300 }}", "{{ toTime \"NaN\" }}",
	"{{ $value | humanize }} {{ $value | humanize1024 }} {{ $value | humanizeDuration }} {{ $value | humanizePercentage }} {{ $value | humanizeTimestamp }}",
	"{{ humanize \"x\" }}", "{{ humanize1024 \"x\" }}", "{{ humanizePercentage \"x\" }}", "{{ humanizeDuration \"x\" }}", "{{ humanizeTimestamp \"x\" }}",
	"{{ humanize $labels }}",
	"{{ printf \"%.2f\" $value }} {{ len $labels.instance }} {{ if gt $value 5.0 }}big{{ end }}",
	// Faults of the text itself.
	"{{ unknownFunction }}", "{{ .Nope }}", "{{ $nope }}", "{{ if }}", "unclosed {{ $value", "{{ end }}", "{{ template \"absent\" }}",
	"{{ index $labels 3 }}", "{{ first 3 }}", "{{ label }}", "{{ $value.Foo }}", "{{ (query \"two\").X }}", "{{ range $value }}{{ end }}",
}

func TestExpandLikeUpstream(t *testing.T) {
	queries := func(ctx context.Context, expr string, ts time.Time) (promql.Vector, error) {
		vector, err := answer(ctx, expr, ts)
		out := make(promql.Vector, len(vector))
		for i, s := range vector {
			out[i] = promql.Sample{Metric: s.Labels, T: s.T, F: s.V, H: s.H}
		}
		return out, err
	}
	for _, s := range []alerting.Sample{floatSample, histogramSample, {V: math.NaN()}, {V: math.Inf(-1)}, {V: 0}, {V: -0.00012}} {
		theirData := upstream.AlertTemplateData(s.Labels.Map(), external, externalURL.String(), promql.Sample{F: s.V, H: s.H})
		for _, text := range texts {
			want, wantErr := upstream.NewTemplateExpander(t.Context(), variables+text, "__alert_Name", theirData,
				model.Time(evaluatedAt.UnixMilli()), queries, externalURL, nil).Expand()
			got, err := Compile("Name", text).Expand(t.Context(),
				Scope{Now: evaluatedAt, Query: answer, ExternalURL: externalURL},
				DataOf(s, external, externalURL.String()))
			if wantErr != nil {
				require.EqualError(t, err, wantErr.Error(), "text %q", text)
				continue
			}
			require.NoError(t, err, "text %q", text)
			require.Equal(t, want, got, "text %q", text)
		}
	}
}

// TestFunctionsLikeUpstream holds that no function of upstream's is missing: a
// text that calls it parses.
func TestFunctionsLikeUpstream(t *testing.T) {
	var names functionNames
	upstream.RegisterFeatures(&names)
	require.NotEmpty(t, names)
	table := (&functions{}).table()
	for _, name := range names {
		require.Contains(t, table, name)
	}
	require.Len(t, table, len(names))
}

// functionNames collects what upstream registers as its functions.
type functionNames []string

func (f *functionNames) Enable(_, name string)           { *f = append(*f, name) }
func (f *functionNames) Disable(string, string)          {}
func (f *functionNames) Set(string, string, bool)        {}
func (f *functionNames) Get() map[string]map[string]bool { return nil }

func TestNumbersLikeUpstream(t *testing.T) {
	var numbers []float64
	for exp := -30; exp <= 30; exp++ {
		for _, m := range []float64{1, 1.024, 1.5, 9.9995, 9.99949, -3.25} {
			numbers = append(numbers, m*math.Pow(10, float64(exp)), m*math.Pow(2, float64(exp)))
		}
	}
	text := "{{ $value | humanize }} {{ $value | humanize1024 }} {{ $value | humanizeDuration }} {{ $value | humanizePercentage }}"
	ours := Compile("Name", text)
	for _, v := range numbers {
		data := upstream.AlertTemplateData(nil, nil, "", promql.Sample{F: v})
		want, err := upstream.NewTemplateExpander(t.Context(), variables+text, "__alert_Name", data, 0, nil, externalURL, nil).Expand()
		require.NoError(t, err)
		got, err := ours.Expand(t.Context(), Scope{}, DataOf(alerting.Sample{V: v}, nil, ""))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestCheck(t *testing.T) {
	require.NoError(t, Compile("A", "plain").Check())
	require.NoError(t, Compile("A", "{{ $value }} {{ query \"x\" }}").Check())
	require.EqualError(t, Compile("A", "{{ $nope }}").Check(), `template: __alert_A:1: undefined variable "$nope"`)
}

func TestExpandIsBounded(t *testing.T) {
	text := "{{ range query \"many\" }}" + strings.Repeat("x", 1<<10) + "{{ end }}"
	many := func(context.Context, string, time.Time) (alerting.Vector, error) {
		return make(alerting.Vector, 2<<10), nil
	}
	_, err := Compile("A", text).Expand(t.Context(), Scope{Query: many}, Data{})
	require.ErrorContains(t, err, fmt.Sprintf("result is longer than %d bytes", MaxResultBytes))
}

func TestExpandSurvivesPanic(t *testing.T) {
	// Without an external URL the function has nothing to dereference.
	_, err := Compile("A", "{{ externalURL }}").Expand(t.Context(), Scope{}, Data{})
	require.ErrorContains(t, err, "__alert_A")
}

func TestExpandAgain(t *testing.T) {
	tmpl := Compile("A", "{{ define \"x\" }}{{ . }}{{ end }}{{ template \"x\" $value }}{{ now }}")
	for i := range 3 {
		got, err := tmpl.Expand(t.Context(), Scope{Now: time.Unix(int64(i), 0)}, DataOf(alerting.Sample{V: float64(i)}, nil, ""))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i, i)[:1]+fmt.Sprint(i), got)
	}
}

func FuzzExpand(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	data := DataOf(floatSample, external, externalURL.String())
	f.Fuzz(func(t *testing.T, text string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tmpl := Compile("Name", text)
		_, err := tmpl.Expand(ctx, Scope{Now: evaluatedAt, Query: answer, ExternalURL: externalURL}, data)
		if tmpl.Check() != nil {
			require.Error(t, err)
		}
	})
}
