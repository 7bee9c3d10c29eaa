package tsdb

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

func TestStaleSeriesLeaveTheHead(t *testing.T) {
	ctx := context.Background()
	reg := prometheus.NewRegistry()
	opts := testOptions(vfs.NewMem())
	opts.Registerer, opts.StaleSeriesThreshold = reg, 0.5
	db := openDB(t, opts)
	// Ten series end at a quarter past one, across the bounds of two blocks.
	g, err := db.OpenGroup(storage.GroupOptions{Origin: "pods"})
	require.NoError(t, err)
	const start = aligned + 90*60_000
	end := start + 45*60_000
	row := storage.Row{Values: make([]float64, 10)}
	for i := range 10 {
		_, err := g.AddColumn(name(100 + i))
		require.NoError(t, err)
	}
	for row.T = start; row.T < end; row.T += 15_000 {
		for i := range row.Values {
			row.Values[i] = float64(row.T) + float64(i)
		}
		require.NoError(t, g.AppendRow(&row))
	}
	for i := range row.Values {
		row.Values[i] = math.Float64frombits(value.StaleNaN)
	}
	require.NoError(t, g.AppendRow(&row))
	for i := range 10 {
		g.ReleaseColumn(storage.Column(i))
	}
	_, err = g.AddColumn(name(50))
	require.NoError(t, err)
	live := storage.Row{Values: []float64{1}}
	append50 := func(from, to int64) {
		for live.T = from; live.T < to; live.T += 15_000 {
			require.NoError(t, g.AppendRow(&live))
		}
	}
	append50(end+15_000, end+5*60_000)
	require.NoError(t, db.Maintain(ctx))
	require.Empty(t, db.Blocks(), "they may come back")
	append50(end+5*60_000, end+30*60_000)

	before := contents(t, db)
	require.Len(t, before[name(100).String()], 45*4+1)
	q, err := db.Querier(math.MinInt64, math.MaxInt64) // a query that is open keeps them
	require.NoError(t, err)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, db.Maintain(cancelled), context.Canceled)
	require.NoError(t, q.Close())
	require.NoError(t, db.Maintain(ctx))
	require.Equal(t, 1, db.head.Series(), "one is left")
	require.Len(t, db.Blocks(), 2)
	require.EqualValues(t, 10, db.Blocks()[0].Series)
	require.Equal(t, before, contents(t, db))
	require.NoError(t, db.Maintain(ctx))
	require.Len(t, db.Blocks(), 2, "what has left is not written again")
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "prometheus_tsdb_stale_series_compactions_triggered_total" {
			require.Equal(t, 2., f.GetMetric()[0].GetCounter().GetValue())
		}
	}

	// One that comes back is in the block and in the head.
	app := db.Appender(ctx)
	_, err = app.Append(0, name(100), end+30*60_000, 7)
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	require.Len(t, contents(t, db)[name(100).String()], 45*4+2)

	// The blocks are joined with what the head is cut into, and nothing is seen
	// twice after a restart, when the log has them again.
	for round := range int64(2) {
		require.NoError(t, db.Close())
		db = openDB(t, opts)
		require.Len(t, contents(t, db)[name(100).String()], 45*4+2)
		fill(t, db, aligned+(5+round)*hour, aligned+(5+round)*hour+60_000)
		require.NoError(t, db.Maintain(ctx))
	}
	blocks := db.Blocks()
	for i := 1; i < len(blocks); i++ {
		require.GreaterOrEqual(t, blocks[i].MinTime, blocks[i-1].MaxTime)
	}
	all := contents(t, db)
	require.Len(t, all[name(100).String()], 45*4+2)
	for i := 101; i < 110; i++ {
		require.Equal(t, before[name(i).String()], all[name(i).String()])
	}
	require.NoError(t, db.Close())
}

// contents returns the samples of each series, such that NaN equals itself.
func contents(t testing.TB, db *DB) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for series, list := range storagetest.ReadAll(t, db) {
		for _, s := range list {
			out[series] = append(out[series], fmt.Sprintf("%d %x", s.T, math.Float64bits(s.V)))
		}
	}
	return out
}
