package functions

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	upstream "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/randomseries"
)

func TestLabelReplace(t *testing.T) {
	src := labels.FromStrings("__name__", "m", "a", "x-y")
	for _, tc := range []struct {
		dst, replacement, src, pattern string
		want                           labels.Labels
		named                          bool
	}{
		{"b", "$2/$1", "a", "(.*)-(.*)", labels.FromStrings("__name__", "m", "a", "x-y", "b", "y/x"), false},
		{"b", "$1", "a", "x", src, false}, // the whole value must match
		{"a", "", "a", ".*", labels.FromStrings("__name__", "m"), false},
		{"__name__", "n", "a", ".*", labels.FromStrings("__name__", "n", "a", "x-y"), true},
		{"__name__", "n", "a", "no", src, false},
		{"b", "$name", "missing", "(?P<name>)", src, false},
	} {
		tr, err := NewLabelReplace(tc.dst, tc.replacement, tc.src, tc.pattern)
		require.NoError(t, err)
		got, named := tr.Apply(src)
		require.Equal(t, tc.want.String(), got.String())
		require.Equal(t, tc.named, named)
	}
	_, err := NewLabelReplace("b", "", "a", "(")
	require.EqualError(t, err, "invalid regular expression in label_replace(): (")
	_, err = NewLabelReplace("", "", "a", "")
	require.EqualError(t, err, "invalid destination label name in label_replace(): ")
}

func TestLabelJoin(t *testing.T) {
	tr, err := NewLabelJoin("c", "-", []string{"a", "missing", "b"})
	require.NoError(t, err)
	got, named := tr.Apply(labels.FromStrings("a", "1", "b", "2"))
	require.Equal(t, `{a="1", b="2", c="1--2"}`, got.String())
	require.False(t, named)
	_, err = NewLabelJoin("c", "-", []string{""})
	require.EqualError(t, err, "invalid source label name in label_join(): ")
	_, err = NewLabelJoin("", "-", nil)
	require.EqualError(t, err, "invalid destination label name in label_join(): ")
}

func TestAbsentLabels(t *testing.T) {
	for q, want := range map[string]string{
		`absent(m)`:                               `{}`,
		`absent(m{a="1", b!="2", c=~"3"})`:        `{a="1"}`,
		`absent(m{a="1", a="2"})`:                 `{}`,
		`absent(sum(m{a="1"}))`:                   `{}`,
		`absent_over_time(m{a="1"}[5m])`:          `{a="1"}`,
		`absent_over_time(m{a="1"}[5m:1m])`:       `{}`,
		`absent(m{a="1", a=~".*", b="2", b="2"})`: `{}`,
	} {
		require.Equal(t, want, AbsentLabels(parse(t, q).Args[0]).String(), q)
	}
}

func TestNonCounterInfo(t *testing.T) {
	info := func(byType bool, ls ...string) bool {
		return NonCounterInfo(labels.FromStrings(ls...), byType, posrange.PositionRange{}) != nil
	}
	require.True(t, info(false, "__name__", "m"))
	require.False(t, info(false, "__name__", "m_total"))
	require.False(t, info(false, "a", "b"))
	require.True(t, info(true, "__name__", "m_total"))
	require.False(t, info(true, "__name__", "m", "__type__", "counter"))
	require.True(t, info(true, "__name__", "m", "__type__", "gauge"))
}

func TestSortingAgreesWithUpstream(t *testing.T) {
	for seed := range uint64(*seeds) {
		r := rand.New(rand.NewPCG(seed, 8))
		values := randomseries.Floats(r, r.IntN(60))
		for i := range values {
			if r.IntN(3) == 0 {
				values[i] = []float64{0, math.NaN(), math.Copysign(0, -1), 1}[r.IntN(4)]
			}
		}
		for name, desc := range map[string]bool{"sort": false, "sort_desc": true} {
			var v upstream.Vector
			for i, f := range values {
				v = append(v, upstream.Sample{F: f, T: int64(i)})
			}
			want, _ := upstream.FunctionCalls[name]([]upstream.Vector{v}, nil, nil, nil)
			for i, j := range SortOrder(values, desc) {
				require.Equal(t, want[i].T, int64(j), "%s seed %d", name, seed)
			}
		}
	}
}

func TestSortByLabelAgreesWithUpstream(t *testing.T) {
	for seed := range uint64(*seeds) {
		r := rand.New(rand.NewPCG(seed, 9))
		random := func() labels.Labels {
			value := func() string { return []string{"", "1", "2", "10", "x1", "x10", "x2"}[r.IntN(7)] }
			return labels.FromStrings("a", value(), "b", value(), "c", value())
		}
		series := make([]labels.Labels, 30)
		var v upstream.Vector
		for i := range series {
			series[i] = random()
			v = append(v, upstream.Sample{Metric: series[i]})
		}
		desc := r.IntN(2) == 0
		call := parse(t, `sort_by_label(m, "a", "b")`)
		if desc {
			call = parse(t, `sort_by_label_desc(m, "a", "b")`)
		}
		want, _ := upstream.FunctionCalls[call.Func.Name]([]upstream.Vector{v}, nil, call.Args, nil)
		slices.SortFunc(series, func(a, b labels.Labels) int {
			if desc {
				return -CompareLabels(a, b, []string{"a", "b"})
			}
			return CompareLabels(a, b, []string{"a", "b"})
		})
		for i := range series {
			require.Equal(t, want[i].Metric.String(), series[i].String(), "seed %d", seed)
		}
	}
}

func TestCountValue(t *testing.T) {
	require.Equal(t, "0.1", CountValue(0.1, nil))
	require.Equal(t, "100000000000000000000000", CountValue(1e23, nil))
	require.Equal(t, "{count:1, sum:2}", CountValue(0, &histogram.FloatHistogram{Count: 1, Sum: 2}))
}
