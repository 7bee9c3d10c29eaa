package tsdb

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

// TestEstimate has evenly scraped series in blocks and head, of which estimates are true to a few
// rows.
func TestEstimate(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	g, err := db.OpenGroup(storage.GroupOptions{Origin: "x"})
	require.NoError(t, err)
	row := storage.Row{Values: make([]float64, 100)}
	for i := range row.Values {
		name := "up"
		if i >= 40 {
			name = "down"
		}
		_, err := g.AddColumn(labels.FromStrings("__name__", name, "i", fmt.Sprint(i)))
		require.NoError(t, err)
	}
	for row.T = aligned; row.T < aligned+7*hour; row.T += 60_000 {
		require.NoError(t, g.AppendRow(&row))
	}
	require.NoError(t, db.Maintain(context.Background()))
	require.NotEmpty(t, db.Blocks())
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() {
		require.NoError(t, q.Close())
		require.NoError(t, db.Close())
	}()
	estimate := func(mint, maxt int64, ms ...*labels.Matcher) storage.Estimate {
		e, err := q.(storage.Estimator).Estimate(context.Background(), mint, maxt, ms...)
		require.NoError(t, err)
		return e
	}
	up := labels.MustNewMatcher(labels.MatchEqual, "__name__", "up")
	all := estimate(math.MinInt64/2, math.MaxInt64/2, up)
	require.EqualValues(t, 40, all.Series)
	require.InDelta(t, 40*7*60, all.Samples, 40*60)
	require.Positive(t, all.Bytes)
	require.InDelta(t, 40*60, estimate(aligned+hour, aligned+2*hour-1, up).Samples, 40*5)
	require.InDelta(t, 40*30, estimate(aligned+13*hour/2, aligned+7*hour, up).Samples, 40*2)
	require.Zero(t, estimate(aligned, aligned+hour, labels.MustNewMatcher(labels.MatchEqual, "__name__", "nothing")))
}
