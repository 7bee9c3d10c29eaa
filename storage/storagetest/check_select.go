package storagetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

func selectChecks() []check {
	return []check{
		{"select/matchers", 0, checkMatchers},
		{"select/range and hints", 0, checkRange},
		{"select/labels", 0, checkLabels},
		{"select/a snapshot stays", 0, checkSnapshot},
		{"select/groups share a timeline", 0, checkSharedTimeline},
		{"select/a cancelled context", 0, checkCancelled},
		{"select/delete", 0, checkDelete},
	}
}

// fillLabels appends one row of 60 series that differ in three labels, one of
// which is missing in some.
func fillLabels(t testing.TB, s storage.Store) []labels.Labels {
	t.Helper()
	g, err := s.OpenGroup(storage.GroupOptions{Origin: "suite"})
	require.NoError(t, err)
	var all []labels.Labels
	for i := range 60 {
		b := labels.NewBuilder(labels.FromStrings(
			model.MetricNameLabel, fmt.Sprintf("metric_%d", i%3),
			"instance", fmt.Sprintf("host-%02d", i),
		))
		if i%4 != 0 {
			b.Set("mode", []string{"", "idle", "user", "ünïcode"}[i%4])
		}
		all = append(all, b.Labels())
		_, err := g.AddColumn(all[i])
		require.NoError(t, err)
	}
	require.NoError(t, g.AppendRow(&storage.Row{T: Base, Values: make([]float64, len(all))}))
	return all
}

func checkMatchers(t *testing.T, s storage.Store) {
	all := fillLabels(t, s)
	matchers := [][]*labels.Matcher{nil}
	for _, m := range []struct {
		kind        labels.MatchType
		name, value string
	}{
		{labels.MatchEqual, model.MetricNameLabel, "metric_1"},
		{labels.MatchEqual, model.MetricNameLabel, "absent"},
		{labels.MatchEqual, "mode", ""},
		{labels.MatchEqual, "nowhere", ""},
		{labels.MatchEqual, "nowhere", "x"},
		{labels.MatchNotEqual, "mode", "idle"},
		{labels.MatchNotEqual, "mode", ""},
		{labels.MatchNotEqual, "nowhere", "x"},
		{labels.MatchNotEqual, "nowhere", ""},
		{labels.MatchRegexp, "mode", "idle|user"},
		{labels.MatchRegexp, "mode", "id.*|"},
		{labels.MatchRegexp, "mode", ".*"},
		{labels.MatchRegexp, "mode", ".+"},
		{labels.MatchRegexp, "mode", "(?i)IDLE"},
		{labels.MatchRegexp, "mode", "ü.*e"},
		{labels.MatchNotRegexp, "mode", "idle|user"},
		{labels.MatchNotRegexp, "mode", "u.*|"},
		{labels.MatchNotRegexp, "mode", ".+"},
		{labels.MatchNotRegexp, "mode", ".*"},
		{labels.MatchRegexp, "instance", "host-(0|1)[0-5]"},
		{labels.MatchRegexp, "instance", "host-0.*"},
		{labels.MatchNotRegexp, "instance", "host-[0-4].*"},
	} {
		matchers = append(matchers, []*labels.Matcher{labels.MustNewMatcher(m.kind, m.name, m.value)})
	}
	for _, a := range matchers {
		for _, b := range matchers {
			ms := append(append([]*labels.Matcher(nil), a...), b...)
			want := Contents{}
			for _, ls := range all {
				if Matches(ls, ms) {
					want[ls.String()] = []Sample{{T: Base}}
				}
			}
			got := Read(t, s, Base, Base, ms...)
			if len(want) != len(got) {
				t.Logf("matchers %v", ms)
			}
			RequireEqual(t, want, got)
		}
	}
}

func checkRange(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 2)
	var samples []Sample
	for i := range 400 {
		row := storage.Row{T: Base + int64(i)*1000, Values: []float64{float64(i), 7}}
		require.NoError(t, g.AppendRow(&row))
		samples = append(samples, Sample{T: row.T, V: float64(i)})
	}
	one := labels.MustNewMatcher(labels.MatchEqual, "i", "0")
	for _, r := range [][2]int{{0, 399}, {10, 20}, {0, 0}, {399, 399}, {120, 127}, {127, 129}, {31, 33}} {
		want := Contents{series(0).String(): samples[r[0] : r[1]+1]}
		mint, maxt := samples[r[0]].T, samples[r[1]].T
		RequireEqual(t, want, Read(t, s, mint, maxt, one))
		RequireEqual(t, want, Read(t, s, mint-999, maxt+999, one))
	}
	require.Empty(t, Read(t, s, Base+1, Base+999, one), "between two samples")
	require.Empty(t, Read(t, s, Base+500_000, Base+600_000, one))

	q, err := s.Querier(Base, Base+300_000)
	require.NoError(t, err)
	defer q.Close()
	set := q.Select(context.Background(), &storage.SelectHints{Mint: Base + 5000, Maxt: Base + 900_000}, one)
	require.True(t, set.Next())
	var b storage.Batch
	var times []int64
	it := set.At().Batches(nil)
	for it.Next(&b) {
		times = append(times, b.Times...)
	}
	require.NoError(t, it.Err())
	require.Equal(t, Base+5000, times[0], "the hints narrow the range")
	require.Equal(t, Base+300_000, times[len(times)-1], "and never widen it")
	require.False(t, set.Next())

	set = q.Select(context.Background(), &storage.SelectHints{Limit: 1})
	require.True(t, set.Next())
	require.False(t, set.Next(), "the limit holds")

	set = q.Select(context.Background(), &storage.SelectHints{LabelsOnly: true, Sorted: true})
	for i := range 2 {
		require.True(t, set.Next())
		require.Equal(t, series(i).String(), set.At().Labels().String())
	}
	require.False(t, set.Next())
	require.NoError(t, set.Err())
}

func checkLabels(t *testing.T, s storage.Store) {
	fillLabels(t, s)
	q, err := s.Querier(Base, Base)
	require.NoError(t, err)
	defer q.Close()
	ctx := context.Background()
	names, _, err := q.LabelNames(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, []string{model.MetricNameLabel, "instance", "mode"}, names)
	names, _, err = q.LabelNames(ctx, nil, labels.MustNewMatcher(labels.MatchEqual, "mode", ""))
	require.NoError(t, err)
	require.Equal(t, []string{model.MetricNameLabel, "instance"}, names)
	names, _, err = q.LabelNames(ctx, &storage.LabelHints{Limit: 1})
	require.NoError(t, err)
	require.Len(t, names, 1)
	values, _, err := q.LabelValues(ctx, "mode", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"idle", "user", "ünïcode"}, values)
	values, _, err = q.LabelValues(ctx, "mode", nil, labels.MustNewMatcher(labels.MatchRegexp, "instance", "host-0[12]"))
	require.NoError(t, err)
	require.Equal(t, []string{"idle", "user"}, values)
	values, _, err = q.LabelValues(ctx, "nowhere", nil)
	require.NoError(t, err)
	require.Empty(t, values)
}

func checkSnapshot(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 2)
	for i := range 50 {
		require.NoError(t, g.AppendRow(&storage.Row{T: Base + int64(i)*1000, Values: []float64{float64(i), float64(i)}}))
	}
	q, err := s.Querier(Base, Base+1_000_000)
	require.NoError(t, err)
	defer q.Close()
	job := labels.MustNewMatcher(labels.MatchEqual, "job", "suite")
	before := ReadQuerier(t, q, Base, Base+1_000_000, job)
	for i := 50; i < 500; i++ {
		require.NoError(t, g.AppendRow(&storage.Row{T: Base + int64(i)*1000, Values: []float64{float64(i), float64(i)}}))
	}
	after := ReadQuerier(t, q, Base, Base+1_000_000, job)
	a, b := after[series(0).String()], after[series(1).String()]
	RequireEqual(t, Contents{"": a}, Contents{"": b})
	require.GreaterOrEqual(t, len(a), 50, "what was appended before the querier was opened is seen")
	require.Len(t, before[series(0).String()], 50)
}

func checkSharedTimeline(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 5)
	for i := range 64 {
		require.NoError(t, g.AppendRow(&storage.Row{T: Base + int64(i)*1000, Values: make([]float64, 5)}))
	}
	require.Len(t, ReadAll(t, s), 5) // Read compares what claims to be shared
}

func checkCancelled(t *testing.T, s storage.Store) {
	fillLabels(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	q, err := s.Querier(Base, Base)
	require.NoError(t, err)
	defer q.Close()
	set := q.Select(ctx, nil, labels.MustNewMatcher(labels.MatchEqual, "instance", "host-01"))
	for set.Next() {
	}
	require.ErrorIs(t, set.Err(), context.Canceled)
}

func checkDelete(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 3)
	var all []Sample
	for i := range 200 {
		require.NoError(t, g.AppendRow(&storage.Row{T: Base + int64(i)*1000, Values: []float64{float64(i), float64(i), float64(i)}}))
		all = append(all, Sample{T: Base + int64(i)*1000, V: float64(i)})
	}
	ctx := context.Background()
	require.NoError(t, s.Delete(ctx, all[50].T, all[149].T, labels.MustNewMatcher(labels.MatchEqual, "i", "1")))
	require.NoError(t, s.Delete(ctx, all[0].T, all[199].T, labels.MustNewMatcher(labels.MatchEqual, "i", "2")))
	require.NoError(t, s.Delete(ctx, all[0].T, all[199].T, labels.MustNewMatcher(labels.MatchEqual, "i", "none")))
	want := Contents{
		series(0).String(): all,
		series(1).String(): append(append([]Sample(nil), all[:50]...), all[150:]...),
	}
	RequireEqual(t, want, ReadAll(t, s))

	next := Sample{T: all[199].T + 1000, V: 1}
	require.NoError(t, g.AppendRow(&storage.Row{T: next.T, Values: []float64{1, 1, 1}}), "what comes after a deletion stays")
	want[series(0).String()] = append(all, next)
	want[series(1).String()] = append(want[series(1).String()], next)
	want[series(2).String()] = []Sample{next}
	RequireEqual(t, want, ReadAll(t, s))
}
