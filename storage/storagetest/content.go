package storagetest

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// content is a body of data that has to read the same wherever the store keeps
// it: fresh, flushed, reopened, and with more appended after each.
type content struct {
	name       string
	outOfOrder int64
	// write writes part n of the content; parts follow each other in time.
	write func(t testing.TB, s storage.Store, n int)
}

func contents() []content {
	return []content{
		{"a target", 0, writeTarget},
		{"churn", 0, writeChurn},
		{"loose samples", 0, writeLoose},
		{"late samples", 3_600_000, writeLate},
		{"histograms", 0, writeHistograms},
		{"deletions", 0, writeDeletions},
	}
}

// runContent writes three parts to the store and to the model, moves the
// store's data on after each, and compares.
func runContent(t *testing.T, h Harness, c content) {
	twin := NewModel(c.outOfOrder)
	s := h.Open(t, c.outOfOrder)
	defer func() { closeStore(t, s) }()
	for part := range 3 {
		c.write(t, twin, part)
		c.write(t, s, part)
		compare(t, twin, s, fmt.Sprintf("part %d", part))
		if h.Flush != nil && part != 1 {
			h.Flush(t, s)
			compare(t, twin, s, fmt.Sprintf("part %d, flushed", part))
		}
		if h.Reopen != nil {
			s = h.Reopen(t, s)
			compare(t, twin, s, fmt.Sprintf("part %d, reopened", part))
		}
	}
}

func compare(t testing.TB, twin, s storage.Store, when string) {
	t.Helper()
	t.Log(when)
	requireEqualHistograms(t, ReadAll(t, twin), ReadAll(t, s))
	const span = 7_200_000
	for from := Base; from < Base+3*span; from += span / 3 {
		all := labels.MustNewMatcher(labels.MatchNotEqual, model.MetricNameLabel, "")
		requireEqualHistograms(t, Read(t, twin, from, from+span/3, all), Read(t, s, from, from+span/3, all))
	}
}

// partBase is the time that part n starts at: two hours each.
func partBase(n int) int64 { return Base + int64(n)*7_200_000 }

func writeTarget(t testing.TB, s storage.Store, n int) {
	g := openGroup(t, s, 40)
	row := storage.Row{Values: make([]float64, 40), StartTimes: make([]int64, 40)}
	odd := oddValues()
	for i := range 300 {
		row.T = partBase(n) + int64(i)*15_000
		for c := range row.Values {
			switch c % 5 {
			case 0:
				row.Values[c] = float64(n*300 + i)
			case 1:
				row.Values[c] = 42
			case 2:
				row.Values[c] = math.Sin(float64(i)) * 1e6
			case 3:
				row.Values[c] = float64(i/7) * 0.25
			case 4:
				row.Values[c] = odd[(i/10+c)%len(odd)]
			}
			row.StartTimes[c] = 0
			if c%8 == 0 {
				row.StartTimes[c] = partBase(n)
			}
		}
		require.NoError(t, g.AppendRow(&row))
	}
	require.NoError(t, g.Close())
}

func writeChurn(t testing.TB, s storage.Store, n int) {
	g, err := s.OpenGroup(storage.GroupOptions{Origin: "churn"})
	require.NoError(t, err)
	width := 0
	row := storage.Row{}
	live := map[int]storage.Column{}
	for i := range 200 {
		c, err := g.AddColumn(series(n*50 + i))
		require.NoError(t, err)
		live[i] = c
		width = max(width, int(c)+1)
		row.T = partBase(n) + int64(i)*15_000
		row.Values = append(row.Values[:0], make([]float64, width)...)
		row.Present = row.Present.Grow(width)
		row.Present.Clear()
		for born, c := range live {
			row.Present.Set(c)
			row.Values[c] = float64(born)
			if born == i-20 {
				row.Values[c] = math.Float64frombits(value.StaleNaN)
			}
		}
		require.NoError(t, g.AppendRow(&row))
		if c, ok := live[i-20]; ok {
			g.ReleaseColumn(c)
			delete(live, i-20)
		}
	}
	require.NoError(t, g.Close())
}

func writeLoose(t testing.TB, s storage.Store, n int) {
	refs := map[int]storage.SeriesRef{}
	for i := range 100 {
		app := s.Appender(context.Background())
		for k := range 10 {
			ref, err := app.Append(refs[k], series(k), partBase(n)+int64(i)*15_000+int64(k*i), float64(i*k))
			require.NoError(t, err)
			if k == 3 {
				require.NoError(t, app.SetStartTime(ref, partBase(n)+int64(i)*15_000+int64(k*i), Base-1))
			}
			refs[k] = ref
		}
		require.NoError(t, app.Commit())
	}
}

func writeLate(t testing.TB, s storage.Store, n int) {
	g := openGroup(t, s, 10)
	for i := range 200 {
		ts := partBase(n) + int64(i)*15_000
		require.NoError(t, g.AppendRow(&storage.Row{T: ts, Values: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, float64(i)}}))
		if i%3 != 0 || i < 100 {
			continue
		}
		app := s.Appender(context.Background())
		for k := range 12 {
			_, err := app.Append(0, series(k), ts-int64(k+1)*60_000-7, float64(-i))
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	require.NoError(t, g.Close())
}

func writeHistograms(t testing.TB, s storage.Store, n int) {
	g := openGroup(t, s, 4)
	for i := range 150 {
		row := storage.Row{T: partBase(n) + int64(i)*15_000, Values: make([]float64, 4)}
		row.Histograms = []storage.HistogramSample{{Column: 1, Histogram: tsdbutil.GenerateTestHistogram(int64(n*150 + i))}}
		if i%20 < 15 {
			row.Histograms = append(row.Histograms, storage.HistogramSample{Column: 2, FloatHistogram: tsdbutil.GenerateTestCustomBucketsFloatHistogram(int64(i))})
		}
		require.NoError(t, g.AppendRow(&row))
	}
	require.NoError(t, g.Close())
}

func writeDeletions(t testing.TB, s storage.Store, n int) {
	writeTarget(t, s, n)
	ctx := context.Background()
	from := partBase(n)
	require.NoError(t, s.Delete(ctx, from+600_000, from+1_200_000, labels.MustNewMatcher(labels.MatchRegexp, "i", "1.*")))
	require.NoError(t, s.Delete(ctx, math.MinInt64, math.MaxInt64, labels.MustNewMatcher(labels.MatchEqual, "i", "7")))
	require.NoError(t, s.Delete(ctx, from-600_000, from+60_000, labels.MustNewMatcher(labels.MatchEqual, "i", "8")))
}
