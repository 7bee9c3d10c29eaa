package storagetest

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// series returns the i-th label set of the suite.
func series(i int) labels.Labels {
	return labels.FromStrings(model.MetricNameLabel, "m", "i", fmt.Sprint(i), "job", "suite")
}

func openGroup(t testing.TB, s storage.Store, columns int) storage.Group {
	t.Helper()
	g, err := s.OpenGroup(storage.GroupOptions{Origin: "suite"})
	require.NoError(t, err)
	for i := range columns {
		c, err := g.AddColumn(series(i))
		require.NoError(t, err)
		require.Equal(t, storage.Column(i), c, "columns are numbered densely from 0")
	}
	return g
}

func floats(values ...float64) []Sample {
	out := make([]Sample, len(values))
	for i, v := range values {
		out[i] = Sample{T: Base + int64(i)*1000, V: v}
	}
	return out
}

func groupChecks() []check {
	return []check{
		{"group/rows become columns", 0, checkRows},
		{"group/a column is found again", 0, checkSameColumn},
		{"group/absent columns", 0, checkAbsent},
		{"group/a released column is reused", 0, checkRelease},
		{"group/invalid labels", 0, checkInvalidLabels},
		{"group/too many values", 0, checkTooWide},
		{"group/the caller keeps its slices", 0, checkRowOwnership},
		{"group/two groups share a series", 0, checkSharedSeries},
		{"group/metadata", 0, checkMetadata},
		{"group/exemplars", 0, checkRowExemplars},
		{"group/an empty row", 0, checkEmptyRow},
		{"group/known series", 0, checkKnownSeries},
	}
}

func checkRows(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 3)
	for i := range 3 {
		require.NoError(t, g.AppendRow(&storage.Row{T: Base + int64(i)*1000, Values: []float64{1, float64(i), math.Inf(1)}}))
	}
	RequireEqual(t, Contents{
		series(0).String(): floats(1, 1, 1),
		series(1).String(): floats(0, 1, 2),
		series(2).String(): floats(math.Inf(1), math.Inf(1), math.Inf(1)),
	}, ReadAll(t, s))
}

func checkSameColumn(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 4)
	c, err := g.AddColumn(series(2))
	require.NoError(t, err)
	require.Equal(t, storage.Column(2), c)
}

func checkAbsent(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 3)
	present := storage.Bitmap(nil).Grow(3)
	present.Set(1)
	require.NoError(t, g.AppendRow(&storage.Row{T: Base, Values: []float64{1, 2, 3}, Present: present}))
	require.NoError(t, g.AppendRow(&storage.Row{T: Base + 1000, Values: []float64{1, 3}}))
	present.Set(2)
	present.Unset(1)
	require.NoError(t, g.AppendRow(&storage.Row{T: Base + 2000, Values: []float64{1, 2, 3}, Present: present}))
	RequireEqual(t, Contents{
		series(0).String(): {{T: Base + 1000, V: 1}},
		series(1).String(): {{T: Base, V: 2}, {T: Base + 1000, V: 3}},
		series(2).String(): {{T: Base + 2000, V: 3}},
	}, ReadAll(t, s))
}

func checkRelease(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 3)
	require.NoError(t, g.AppendRow(&storage.Row{T: Base, Values: []float64{1, 2, 3}}))
	g.ReleaseColumn(1)
	g.ReleaseColumn(1)
	g.ReleaseColumn(77)
	err := g.AppendRow(&storage.Row{T: Base + 1000, Values: []float64{4, 5, 6}})
	var refused *storage.RowError
	require.ErrorAs(t, err, &refused)
	require.ErrorIs(t, err, storage.ErrUnknownColumn)
	require.Equal(t, 2, refused.Appended)
	c, err := g.AddColumn(series(9))
	require.NoError(t, err)
	require.Equal(t, storage.Column(1), c, "the lowest free number")
	require.NoError(t, g.AppendRow(&storage.Row{T: Base + 2000, Values: []float64{7, 8, 9}}))
	RequireEqual(t, Contents{
		series(0).String(): floats(1, 4, 7),
		series(1).String(): floats(2),
		series(2).String(): floats(3, 6, 9),
		series(9).String(): {{T: Base + 2000, V: 8}},
	}, ReadAll(t, s))
}

func checkInvalidLabels(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 0)
	for _, ls := range []labels.Labels{
		labels.EmptyLabels(),
		labels.FromStrings("a", "1", "a", "2"),
		labels.New(labels.Label{Name: "a", Value: ""}),
		labels.FromStrings("a", "\xff"),
		labels.FromStrings("\xff", "a"),
	} {
		_, err := g.AddColumn(ls)
		require.ErrorIs(t, err, storage.ErrInvalidLabels, "%s", ls)
		_, err = s.Appender(context.Background()).Append(0, ls, Base, 1)
		require.ErrorIs(t, err, storage.ErrInvalidLabels, "%s", ls)
	}
	require.Empty(t, ReadAll(t, s))
}

func checkTooWide(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 1)
	err := g.AppendRow(&storage.Row{T: Base, Values: []float64{1, 2}})
	require.ErrorIs(t, err, storage.ErrUnknownColumn)
	require.Empty(t, ReadAll(t, s), "nothing of a row that is too wide is appended")
}

func checkRowOwnership(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 2)
	row := storage.Row{Values: []float64{0, 0}, Present: storage.Bitmap(nil).Grow(2), StartTimes: []int64{0, 0}}
	for i := range 300 {
		row.T = Base + int64(i)*1000
		row.Values[0], row.Values[1] = float64(i), -float64(i)
		row.Present.Set(0)
		row.Present.Set(1)
		row.StartTimes[0] = Base
		require.NoError(t, g.AppendRow(&row))
		row.Values[0], row.StartTimes[0] = math.NaN(), 1
		row.Present.Clear()
	}
	got := ReadAll(t, s)
	for i := range 300 {
		require.Equal(t, float64(i), got[series(0).String()][i].V)
		require.Equal(t, Base, got[series(0).String()][i].ST)
		require.Equal(t, -float64(i), got[series(1).String()][i].V)
		require.Zero(t, got[series(1).String()][i].ST)
	}
}

func checkSharedSeries(t *testing.T, s storage.Store) {
	a, b := openGroup(t, s, 2), openGroup(t, s, 1)
	require.NoError(t, a.AppendRow(&storage.Row{T: Base, Values: []float64{1, 10}}))
	require.NoError(t, b.AppendRow(&storage.Row{T: Base + 500, Values: []float64{2}}))
	require.NoError(t, a.AppendRow(&storage.Row{T: Base + 1000, Values: []float64{3, 11}}))
	app := s.Appender(context.Background())
	_, err := app.Append(0, series(0), Base+1500, 4)
	require.NoError(t, err)
	require.NoError(t, app.Commit())

	var refused *storage.RowError
	require.ErrorAs(t, b.AppendRow(&storage.Row{T: Base + 700, Values: []float64{9}}), &refused)
	require.ErrorIs(t, refused, storage.ErrOutOfOrder, "the series, not the group, has the newest sample")
	require.ErrorAs(t, a.AppendRow(&storage.Row{T: Base + 1500, Values: []float64{5, 12}}), &refused)
	require.ErrorIs(t, refused, storage.ErrDuplicateSample)
	require.Equal(t, 1, refused.Appended)

	RequireEqual(t, Contents{
		series(0).String(): {{T: Base, V: 1}, {T: Base + 500, V: 2}, {T: Base + 1000, V: 3}, {T: Base + 1500, V: 4}},
		series(1).String(): {{T: Base, V: 10}, {T: Base + 1000, V: 11}, {T: Base + 1500, V: 12}},
	}, ReadAll(t, s))
}

func checkMetadata(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 1)
	md := metadata.Metadata{Type: model.MetricTypeCounter, Unit: "bytes", Help: "What it says."}
	require.NoError(t, g.AppendRow(&storage.Row{T: Base, Values: []float64{1}}))
	require.NoError(t, g.SetMetadata(0, md))
	require.NoError(t, g.SetMetadata(0, md))
	require.ErrorIs(t, g.SetMetadata(5, md), storage.ErrUnknownColumn)
	q, err := s.Querier(Base, Base)
	require.NoError(t, err)
	defer q.Close()
	for _, name := range []string{"", "m"} {
		got, err := q.Metadata(context.Background(), name)
		require.NoError(t, err)
		require.Equal(t, map[string][]metadata.Metadata{"m": {md}}, got)
	}
	got, err := q.Metadata(context.Background(), "other")
	require.NoError(t, err)
	require.Empty(t, got)
}

func checkRowExemplars(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 2)
	e := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "x"), Value: 0.5, Ts: Base - 10, HasTs: true}
	require.NoError(t, g.AppendRow(&storage.Row{T: Base, Values: []float64{1, 2}, Exemplars: []storage.ExemplarSample{{Column: 1, Exemplar: e}}}))
	require.NoError(t, g.AppendRow(&storage.Row{T: Base + 1000, Values: []float64{1, 2}, Exemplars: []storage.ExemplarSample{{Column: 1, Exemplar: e}}}))
	q, err := s.Querier(Base-1000, Base+1000)
	require.NoError(t, err)
	defer q.Close()
	got, err := q.Exemplars(context.Background(),
		[]*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "i", "1")},
		[]*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "i", "0")})
	require.NoError(t, err)
	require.Len(t, got, 1, "an exemplar seen twice is one")
	require.Equal(t, series(1).String(), got[0].Labels.String())
	require.Len(t, got[0].Exemplars, 1)
	require.True(t, e.Equals(got[0].Exemplars[0]))
}

func checkEmptyRow(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 2)
	require.NoError(t, g.AppendRow(&storage.Row{T: Base}))
	require.Empty(t, ReadAll(t, s))
	require.NoError(t, g.AppendRow(&storage.Row{T: Base, Values: []float64{1, 2}}), "a row without samples takes no time")
	require.Len(t, ReadAll(t, s), 2)
}

// checkKnownSeries is about stores that know their series.
func checkKnownSeries(t *testing.T, s storage.Store) {
	knower, ok := s.(storage.SeriesKnower)
	if !ok {
		return
	}
	require.False(t, knower.KnowsSeries(series(0)), "asking does not make a series")
	require.False(t, knower.KnowsSeries(series(0)))
	g := openGroup(t, s, 1)
	require.True(t, knower.KnowsSeries(series(0)))
	require.False(t, knower.KnowsSeries(series(1)))
	require.NoError(t, g.AppendRow(&storage.Row{T: Base, Values: []float64{1}}))
	g.ReleaseColumn(0)
	require.True(t, knower.KnowsSeries(series(0)), "it is at hand as long as its samples are in memory")
	app := s.Appender(context.Background())
	_, err := app.Append(0, series(2), Base, 1)
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	require.True(t, knower.KnowsSeries(series(2)))
	require.NoError(t, s.Close())
	require.NotPanics(t, func() { knower.KnowsSeries(series(0)) })
}
