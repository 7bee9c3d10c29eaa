package storagetest

import (
	"context"
	"math"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

func appenderChecks() []check {
	return []check{
		{"appender/commit shows all", 0, checkCommit},
		{"appender/rollback shows nothing", 0, checkRollback},
		{"appender/references", 0, checkReferences},
		{"appender/used after its end", 0, checkAppenderEnds},
		{"appender/histograms", 0, checkHistograms},
		{"appender/exemplars and metadata", 0, checkAppenderExtras},
	}
}

func checkCommit(t *testing.T, s storage.Store) {
	app := s.Appender(context.Background())
	ref, err := app.Append(0, series(1), Base, 1)
	require.NoError(t, err)
	_, err = app.Append(ref, labels.EmptyLabels(), Base+1000, 2)
	require.NoError(t, err)
	require.NoError(t, app.SetStartTime(ref, Base+1000, Base-5))
	_, err = app.Append(0, series(0), Base+500, math.NaN())
	require.NoError(t, err)
	require.Empty(t, ReadAll(t, s), "nothing is visible before the commit")
	require.NoError(t, app.Commit())
	RequireEqual(t, Contents{
		series(1).String(): {{T: Base, V: 1}, {T: Base + 1000, V: 2, ST: Base - 5}},
		series(0).String(): {{T: Base + 500, V: math.NaN()}},
	}, ReadAll(t, s))
}

func checkRollback(t *testing.T, s storage.Store) {
	app := s.Appender(context.Background())
	_, err := app.Append(0, series(1), Base, 1)
	require.NoError(t, err)
	require.NoError(t, app.Rollback())
	require.Empty(t, ReadAll(t, s))
}

func checkReferences(t *testing.T, s storage.Store) {
	app := s.Appender(context.Background())
	a, err := app.Append(0, series(0), Base, 1)
	require.NoError(t, err)
	b, err := app.Append(0, series(1), Base, 1)
	require.NoError(t, err)
	require.NotZero(t, a)
	require.NotEqual(t, a, b)
	require.NoError(t, app.Commit())

	app = s.Appender(context.Background())
	again, err := app.Append(0, series(0), Base+1, 1)
	require.NoError(t, err)
	require.Equal(t, a, again)
	_, err = app.Append(math.MaxUint64, labels.EmptyLabels(), Base, 1)
	require.ErrorIs(t, err, storage.ErrUnknownSeries)
	c, err := app.Append(math.MaxUint64, series(2), Base, 1)
	require.NoError(t, err, "an unknown reference with labels is a series")
	require.NotEqual(t, storage.SeriesRef(math.MaxUint64), c)
	require.NoError(t, app.Rollback())
}

func checkAppenderEnds(t *testing.T, s storage.Store) {
	for _, end := range []func(storage.Appender) error{storage.Appender.Commit, storage.Appender.Rollback} {
		app := s.Appender(context.Background())
		require.NoError(t, end(app))
		_, err := app.Append(0, series(0), Base, 1)
		require.ErrorIs(t, err, storage.ErrClosed)
		require.ErrorIs(t, app.Commit(), storage.ErrClosed)
		require.ErrorIs(t, app.Rollback(), storage.ErrClosed)
	}
}

func checkHistograms(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 2)
	want := Contents{}
	add := func(ls labels.Labels, x Sample) { want[ls.String()] = append(want[ls.String()], x) }
	for i := range 200 {
		ts := Base + int64(i)*1000
		row := storage.Row{T: ts, Values: []float64{float64(i), 0}}
		switch {
		case i%50 < 20:
			h := tsdbutil.GenerateTestHistogram(int64(i))
			row.Histograms = []storage.HistogramSample{{Column: 1, Histogram: h}}
			add(series(1), Sample{T: ts, H: h})
		case i%50 < 30:
			h := tsdbutil.GenerateTestCustomBucketsHistogram(int64(i))
			row.Histograms = []storage.HistogramSample{{Column: 1, Histogram: h}}
			add(series(1), Sample{T: ts, H: h})
		case i%50 < 40:
			fh := tsdbutil.GenerateTestFloatHistogram(int64(i))
			row.Histograms = []storage.HistogramSample{{Column: 1, FloatHistogram: fh}}
			add(series(1), Sample{T: ts, FH: fh})
		default:
			row.Values[1] = float64(i)
			add(series(1), Sample{T: ts, V: float64(i)})
		}
		add(series(0), Sample{T: ts, V: float64(i)})
		require.NoError(t, g.AppendRow(&row))
	}
	app := s.Appender(context.Background())
	for i := range 10 {
		h := tsdbutil.GenerateTestGaugeHistogram(int64(i))
		_, err := app.AppendHistogram(0, series(2), Base+int64(i), h, nil)
		require.NoError(t, err)
		add(series(2), Sample{T: Base + int64(i), H: h})
	}
	bad := &histogram.Histogram{PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1}}
	_, err := app.AppendHistogram(0, series(3), Base, bad, nil)
	require.ErrorIs(t, err, storage.ErrInvalidHistogram)
	require.NoError(t, app.Commit())
	requireHistograms(t, want, ReadAll(t, s))
}

// requireHistograms is RequireEqual where every histogram of want, written one
// after the other, gets the hint of storage.ResetHint. A store that has just
// been written to knows the hints, all but one in sixteen: where one of its
// chunks begins.
func requireHistograms(t testing.TB, want, got Contents) {
	t.Helper()
	known, all := 0, 0
	for name, samples := range want {
		var before Sample
		for i := range samples {
			x := &samples[i]
			if x.H != nil {
				x.H = x.H.Copy()
				x.H.CounterResetHint = storage.ResetHint(before.H, x.H)
			}
			if x.FH != nil {
				x.FH = x.FH.Copy()
				x.FH.CounterResetHint = storage.FloatResetHint(before.FH, x.FH)
			}
			before = *x
			if have := got[name]; i < len(have) && x.hint() == histogram.NotCounterReset {
				all++
				if have[i].hint() == histogram.NotCounterReset {
					known++
				}
			}
		}
	}
	require.GreaterOrEqual(t, known, all-all/16, "of %d hints that there was no reset, %d are known", all, known)
	requireEqualHistograms(t, want, got)
}

func (s *Sample) hint() histogram.CounterResetHint {
	switch {
	case s.H != nil:
		return s.H.CounterResetHint
	case s.FH != nil:
		return s.FH.CounterResetHint
	default:
		return histogram.UnknownCounterReset
	}
}

// requireEqualHistograms is RequireEqual, but a store may have lost track of a
// counter reset hint and say that it is unknown.
func requireEqualHistograms(t testing.TB, want, got Contents) {
	t.Helper()
	for name, samples := range got {
		for i := range min(len(samples), len(want[name])) {
			forgetHint(&want[name][i], &samples[i])
		}
	}
	RequireEqual(t, want, got)
}

// forgetHint takes the hint of want away if got does not know it.
func forgetHint(want, got *Sample) {
	if want.H != nil && got.H != nil && got.H.CounterResetHint == histogram.UnknownCounterReset && want.H.CounterResetHint == histogram.NotCounterReset {
		want.H.CounterResetHint = histogram.UnknownCounterReset
	}
	if want.FH != nil && got.FH != nil && got.FH.CounterResetHint == histogram.UnknownCounterReset && want.FH.CounterResetHint == histogram.NotCounterReset {
		want.FH.CounterResetHint = histogram.UnknownCounterReset
	}
}

func checkAppenderExtras(t *testing.T, s storage.Store) {
	app := s.Appender(context.Background())
	ref, err := app.Append(0, series(0), Base, 1)
	require.NoError(t, err)
	e := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "x"), Value: 1, Ts: Base, HasTs: true}
	require.NoError(t, app.AppendExemplar(ref, e))
	require.ErrorIs(t, app.AppendExemplar(math.MaxUint64, e), storage.ErrUnknownSeries)
	md := metadata.Metadata{Type: model.MetricTypeGauge, Help: "Help."}
	require.NoError(t, app.SetMetadata(ref, md))
	require.ErrorIs(t, app.SetMetadata(math.MaxUint64, md), storage.ErrUnknownSeries)
	require.NoError(t, app.Commit())

	q, err := s.Querier(Base, Base)
	require.NoError(t, err)
	defer q.Close()
	found, err := q.Exemplars(context.Background(), []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "job", "suite")})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Len(t, found[0].Exemplars, 1)
	known, err := q.Metadata(context.Background(), "")
	require.NoError(t, err)
	require.Equal(t, map[string][]metadata.Metadata{"m": {md}}, known)
}
