package storagetest

import (
	"context"
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

func orderChecks() []check {
	return []check{
		{"order/late rows are refused", 0, checkLateRow},
		{"order/the same again", 0, checkSameAgain},
		{"order/late single samples are refused", 0, checkLateSample},
		{"order/late within the window", 60_000, checkWindow},
		{"order/every bit is kept", 0, checkBits},
		{"order/negative timestamps", 0, checkNegativeTimes},
	}
}

func checkLateRow(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 1)
	require.NoError(t, g.AppendRow(&storage.Row{T: Base + 1000, Values: []float64{1}}))
	require.ErrorIs(t, g.AppendRow(&storage.Row{T: Base, Values: []float64{2}}), storage.ErrOutOfOrder)
	require.NoError(t, g.AppendRow(&storage.Row{T: Base + 2000, Values: []float64{3}}))
	RequireEqual(t, Contents{series(0).String(): {{T: Base + 1000, V: 1}, {T: Base + 2000, V: 3}}}, ReadAll(t, s))
}

func checkSameAgain(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 2)
	row := storage.Row{T: Base, Values: []float64{1, math.NaN()}}
	require.NoError(t, g.AppendRow(&row))
	require.NoError(t, g.AppendRow(&row), "the same bits at the same time change nothing")
	row.Values[0] = 2
	var refused *storage.RowError
	require.ErrorAs(t, g.AppendRow(&row), &refused)
	require.Len(t, refused.Refused, 1)
	require.Equal(t, storage.Column(0), refused.Refused[0].Column)
	require.Equal(t, series(0).String(), refused.Refused[0].Labels.String())
	require.ErrorIs(t, refused, storage.ErrDuplicateSample)
	RequireEqual(t, Contents{
		series(0).String(): floats(1),
		series(1).String(): floats(math.NaN()),
	}, ReadAll(t, s))
}

func checkLateSample(t *testing.T, s storage.Store) {
	app := s.Appender(context.Background())
	ref, err := app.Append(0, series(0), Base+1000, 1)
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	app = s.Appender(context.Background())
	_, err = app.Append(ref, labels.EmptyLabels(), Base, 2)
	require.ErrorIs(t, err, storage.ErrOutOfOrder)
	_, err = app.Append(ref, labels.EmptyLabels(), Base+1000, 2)
	require.ErrorIs(t, err, storage.ErrDuplicateSample)
	_, err = app.Append(ref, labels.EmptyLabels(), Base+1000, 1)
	require.NoError(t, err)
	_, err = app.Append(0, series(1), Base, 2)
	require.NoError(t, err, "another series has its own order")
	require.NoError(t, app.Commit())
	RequireEqual(t, Contents{
		series(0).String(): {{T: Base + 1000, V: 1}},
		series(1).String(): {{T: Base, V: 2}},
	}, ReadAll(t, s))
}

func checkWindow(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 1)
	require.NoError(t, g.AppendRow(&storage.Row{T: Base, Values: []float64{0}}))
	require.NoError(t, g.AppendRow(&storage.Row{T: Base + 100_000, Values: []float64{100}}))
	require.NoError(t, g.AppendRow(&storage.Row{T: Base + 50_000, Values: []float64{50}}))
	app := s.Appender(context.Background())
	_, err := app.Append(0, series(0), Base+70_000, 70)
	require.NoError(t, err)
	_, err = app.Append(0, series(0), Base+60_000, 60)
	require.NoError(t, err)
	_, err = app.Append(0, series(0), Base+10_000, 10)
	require.ErrorIs(t, err, storage.ErrTooOld)
	require.NoError(t, app.Commit())
	app = s.Appender(context.Background())
	_, err = app.Append(0, series(0), Base+60_000, 61)
	require.ErrorIs(t, err, storage.ErrDuplicateSample)
	_, err = app.Append(0, series(0), Base+60_000, 60)
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	require.NoError(t, g.AppendRow(&storage.Row{T: Base + 110_000, Values: []float64{110}}))
	RequireEqual(t, Contents{series(0).String(): {
		{T: Base, V: 0},
		{T: Base + 50_000, V: 50},
		{T: Base + 60_000, V: 60},
		{T: Base + 70_000, V: 70},
		{T: Base + 100_000, V: 100},
		{T: Base + 110_000, V: 110},
	}}, ReadAll(t, s))
}

// oddValues are the bit patterns that codecs get wrong.
func oddValues() []float64 {
	return []float64{
		0, math.Copysign(0, -1), 1, -1, 0.1, 1.0 / 3, math.Pi, 1e-9, 123456.789,
		math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(value.StaleNaN),
		math.Float64frombits(value.NormalNaN), math.Float64frombits(0x7ff8dead00000001), math.Float64frombits(0xfff0000000000007),
		math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, math.Float64frombits(0x000fffffffffffff),
		math.MaxFloat64, -math.MaxFloat64,
		1 << 53, 1<<53 - 1, 1<<53 + 2, -(1 << 53), 1 << 63, -(1 << 63), 1e300,
	}
}

func checkBits(t *testing.T, s storage.Store) {
	odd := oddValues()
	g := openGroup(t, s, len(odd)+1)
	want := Contents{}
	row := storage.Row{Values: make([]float64, len(odd)+1)}
	for i := range 3 * len(odd) {
		row.T = Base + int64(i)*1000
		row.Values[0] = odd[i%len(odd)]
		copy(row.Values[1:], odd)
		require.NoError(t, g.AppendRow(&row))
		for c, v := range row.Values {
			want[series(c).String()] = append(want[series(c).String()], Sample{T: row.T, V: v})
		}
	}
	RequireEqual(t, want, ReadAll(t, s))
}

func checkNegativeTimes(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 1)
	require.NoError(t, g.AppendRow(&storage.Row{T: -5000, Values: []float64{1}}))
	require.NoError(t, g.AppendRow(&storage.Row{T: 0, Values: []float64{2}}))
	require.NoError(t, g.AppendRow(&storage.Row{T: 5000, Values: []float64{3}}))
	RequireEqual(t, Contents{series(0).String(): {{T: -5000, V: 1}, {T: 0, V: 2}, {T: 5000, V: 3}}}, ReadAll(t, s))
}
