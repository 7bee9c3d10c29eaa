package scan

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

// writeSeries writes a block of series that have one sample each, at 100, and opens it.
func writeSeries(tb testing.TB, list []labels.Labels) *block.Reader {
	tb.Helper()
	mem := vfs.NewMem()
	w, err := block.NewWriter(mem, "b", ulid.ULID{15: 1}, block.WriterOptions{})
	require.NoError(tb, err)
	_, err = w.AddTimeline([]int64{100})
	require.NoError(tb, err)
	for _, ls := range list {
		_, err := w.AddSeries(&block.Series{Labels: ls, Chunks: []block.Chunk{{Rows: 1, Floats: []float64{1}}}})
		require.NoError(tb, err)
	}
	m, err := w.Finish(block.Meta{MaxTime: 1000})
	require.NoError(tb, err)
	r, err := block.Open(mem, filepath.Join("b", m.ULID.String()), block.ReaderOptions{})
	require.NoError(tb, err)
	tb.Cleanup(r.Close)
	return r
}

// TestSortedSelect holds the order of the series against labels.Compare, whatever of it the
// order of the block gives.
func TestSortedSelect(t *testing.T) {
	var list []labels.Labels
	for i := range 10 {
		host := fmt.Sprint(i)
		list = append(list,
			labels.FromStrings(model.MetricNameLabel, "up", "job", "x", "instance", host),
			labels.FromStrings("A", host, model.MetricNameLabel, "total"),
		)
		for _, le := range []string{"0.5", "5", "10", "+Inf"} {
			list = append(list, labels.FromStrings(model.MetricNameLabel, "h_bucket", "le", le, "method", host))
		}
	}
	slices.SortFunc(list, block.Compare)
	r := writeSeries(t, list)
	q, err := NewQuerier(r, 1, math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer q.Close()
	name := func(typ labels.MatchType, value string) *labels.Matcher {
		return labels.MustNewMatcher(typ, model.MetricNameLabel, value)
	}
	for _, ms := range [][]*labels.Matcher{
		nil,
		{name(labels.MatchEqual, "up")},
		{name(labels.MatchEqual, "total")},
		{name(labels.MatchEqual, "h_bucket")},
		{name(labels.MatchEqual, "none")},
		{name(labels.MatchRegexp, "up|total")},
		{name(labels.MatchEqual, "h_bucket"), labels.MustNewMatcher(labels.MatchEqual, "le", "5")},
	} {
		var want []string
		matching := slices.DeleteFunc(slices.Clone(list), func(ls labels.Labels) bool {
			return slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches(ls.Get(m.Name)) })
		})
		slices.SortFunc(matching, labels.Compare)
		for _, ls := range matching {
			want = append(want, ls.String())
		}
		for _, limit := range []int{0, 1, 7} {
			var got []string
			set := q.Select(context.Background(), &storage.SelectHints{Sorted: true, Limit: limit}, ms...)
			for set.Next() {
				got = append(got, set.At().Labels().String())
			}
			require.NoError(t, set.Err())
			if limit > 0 && limit < len(want) {
				require.Equal(t, want[:limit], got, "%v", ms)
			} else {
				require.Equal(t, want, got, "%v", ms)
			}
		}
	}
}

func TestCancelledSelect(t *testing.T) {
	r, _ := testBlock(t)
	q, err := NewQuerier(r, 1, math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer q.Close()
	ctx, cancel := context.WithCancel(context.Background())
	set := q.Select(ctx, nil)
	require.True(t, set.Next())
	cancel()
	require.False(t, set.Next())
	require.ErrorIs(t, set.Err(), context.Canceled)
}

// BenchmarkSelect selects from 200,000 series of one metric, to the first of them and to the
// last.
func BenchmarkSelect(b *testing.B) {
	var list []labels.Labels
	for i := range 200_000 {
		list = append(list, labels.FromStrings(model.MetricNameLabel, "up", "job", fmt.Sprint(i%7), "instance", fmt.Sprintf("host-%06d", i)))
	}
	slices.SortFunc(list, block.Compare)
	r := writeSeries(b, list)
	q, err := NewQuerier(r, 1, math.MinInt64, math.MaxInt64)
	require.NoError(b, err)
	defer q.Close()
	for _, limit := range []int{1, 0} {
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set := q.Select(context.Background(), &storage.SelectHints{Sorted: true, Limit: limit}, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "up"))
				n := 0
				for set.Next() {
					n++
				}
				b.ReportMetric(float64(n), "series")
			}
		})
	}
}
