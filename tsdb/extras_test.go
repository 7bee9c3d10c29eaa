package tsdb

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// The tests of this file take what series have beside samples through the stages
// of their life: head, log, block, joined block, and back.

func traced(t int64) exemplar.Exemplar {
	return exemplar.Exemplar{Labels: labels.FromStrings("trace_id", fmt.Sprint(t)), Value: float64(t), Ts: t, HasTs: true}
}

// fillExemplars appends a row of two series a minute, from <= t < to, each with an
// exemplar of five seconds before, and cuts blocks as it goes.
func fillExemplars(t testing.TB, db *DB, from, to int64) {
	t.Helper()
	g, err := db.OpenGroup(storage.GroupOptions{Origin: "exemplars"})
	require.NoError(t, err)
	for i := range 2 {
		_, err := g.AddColumn(name(i))
		require.NoError(t, err)
	}
	for ts := from; ts < to; ts += 60_000 {
		row := storage.Row{T: ts, Values: []float64{1, 2}}
		for i := range 2 {
			row.Exemplars = append(row.Exemplars, storage.ExemplarSample{Column: storage.Column(i), Exemplar: traced(ts - 5000)})
		}
		require.NoError(t, g.AppendRow(&row))
		if ts%hour == 0 {
			require.NoError(t, db.Maintain(context.Background()))
		}
	}
	require.NoError(t, g.Close())
}

// exemplarsOf returns the exemplars of name(0) and checks that name(1) has the
// same.
func exemplarsOf(t testing.TB, db *DB, mint, maxt int64) []exemplar.Exemplar {
	t.Helper()
	q, err := db.Querier(mint, maxt)
	require.NoError(t, err)
	defer q.Close()
	got, err := q.Exemplars(context.Background(), []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "i", "0|1")})
	require.NoError(t, err)
	if len(got) == 0 {
		return nil
	}
	require.Len(t, got, 2)
	require.Equal(t, name(0).String(), got[0].Labels.String())
	require.Equal(t, got[0].Exemplars, got[1].Exemplars)
	return got[0].Exemplars
}

func requireExemplars(t testing.TB, db *DB, from, to int64) {
	t.Helper()
	var want []exemplar.Exemplar
	for ts := from; ts < to; ts += 60_000 {
		want = append(want, traced(ts-5000))
	}
	require.Equal(t, want, exemplarsOf(t, db, math.MinInt64, math.MaxInt64))
	require.Equal(t, want[1:len(want)-1], exemplarsOf(t, db, from, to-60_000-5001))
}

func TestExemplarsPersist(t *testing.T) {
	ctx := context.Background()
	opts := testOptions(vfs.NewMem())
	opts.MaxBlockDuration = 6 * time.Hour
	opts.MaxExemplars = 2 * 250 // of four hours and a little
	opts.Retention = 100 * time.Hour
	db := openDB(t, opts)
	end := aligned + 14*hour + 60_000
	begin := aligned + 60_000
	fillExemplars(t, db, begin, end)
	require.Equal(t, 2, db.Blocks()[0].Level, "some blocks were joined")
	requireExemplars(t, db, begin, end)
	require.NoError(t, db.Close())
	db = openDB(t, opts)
	requireExemplars(t, db, begin, end)

	// A snapshot has them, and so has a block written anew.
	require.NoError(t, db.Snapshot(ctx, "copy", true))
	copied, err := Open(ctx, "copy", opts)
	require.NoError(t, err)
	requireExemplars(t, copied, begin, end)
	require.NoError(t, copied.Close())

	// Deleting samples deletes their exemplars, also over a restart.
	require.NoError(t, db.Delete(ctx, aligned+hour-5000, aligned+9*hour, labels.MustNewMatcher(labels.MatchEqual, "i", "0")))
	require.NoError(t, db.Delete(ctx, aligned+13*hour-5000, math.MaxInt64, labels.MustNewMatcher(labels.MatchRegexp, "i", "0|1")))
	require.NoError(t, db.Delete(ctx, aligned+hour-5000, aligned+9*hour, labels.MustNewMatcher(labels.MatchEqual, "i", "1")))
	want := append([]exemplar.Exemplar{}, exemplarsOf(t, db, math.MinInt64, aligned+hour-5001)...)
	require.Len(t, want, 59)
	want = append(want, exemplarsOf(t, db, aligned+9*hour, math.MaxInt64)...)
	require.Len(t, want, 59+4*60-1)
	require.Equal(t, want, exemplarsOf(t, db, math.MinInt64, math.MaxInt64))
	require.NoError(t, db.CleanTombstones(ctx))
	require.NoError(t, db.Close())
	db = openDB(t, opts)
	require.Equal(t, want, exemplarsOf(t, db, math.MinInt64, math.MaxInt64))

	// Retention takes them along.
	opts.Reloadable.Retention = time.Hour
	require.NoError(t, db.ApplyConfig(opts.Reloadable))
	fill(t, db, end, end+4*hour)
	require.NoError(t, db.Maintain(ctx))
	require.Empty(t, exemplarsOf(t, db, math.MinInt64, math.MaxInt64))
	require.NoError(t, db.Close())
}

func TestExemplarsOfBlocksAreBounded(t *testing.T) {
	for _, c := range []struct {
		perSeries, perBlock int
		want                uint64
	}{{0, 0, 2 * 360}, {30, 0, 2 * 30}, {0, 100, 100}} {
		reg := prometheus.NewRegistry()
		opts := testOptions(vfs.NewMem())
		opts.Registerer, opts.MaxBlockDuration = reg, 6*time.Hour
		opts.MaxExemplars = 2 * 250 // of the last hours only
		opts.SeriesExemplars, opts.BlockExemplars = c.perSeries, c.perBlock
		db := openDB(t, opts)
		fillExemplars(t, db, aligned, aligned+12*hour+60_000)
		first := db.blocks.readers()[0].Meta()
		require.Equal(t, 6*hour, first.MaxTime-first.MinTime)
		require.Equal(t, c.want, first.Stats.NumExemplars)
		q := exemplarsOf(t, db, aligned, aligned+6*hour-1)
		require.InDelta(t, int(c.want/2), len(q), 1)
		if len(q) > 0 {
			require.Less(t, q[len(q)/4].Ts, aligned+3*hour, "evenly over time")
			require.Greater(t, q[len(q)*3/4].Ts, aligned+3*hour)
		}
		families, err := reg.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == "gnomon_tsdb_block_exemplars_dropped_total" {
				require.Equal(t, c.perSeries+c.perBlock > 0, f.GetMetric()[0].GetCounter().GetValue() > 0)
			}
		}
		require.NoError(t, db.Close())
	}
}

func TestMetadataOfBlocksAndHead(t *testing.T) {
	ctx := context.Background()
	opts := testOptions(vfs.NewMem())
	opts.MaxBlockDuration = 6 * time.Hour
	db := openDB(t, opts)
	of := func(help string) metadata.Metadata {
		return metadata.Metadata{Type: model.MetricTypeCounter, Help: help}
	}
	write := func(metric, help string, from, to int64) {
		g, err := db.OpenGroup(storage.GroupOptions{Origin: metric})
		require.NoError(t, err)
		var row storage.Row
		for i := range 20 {
			c, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, metric, "i", fmt.Sprint(i)))
			require.NoError(t, err)
			require.NoError(t, g.SetMetadata(c, of(help)))
			row.Values = append(row.Values, 1)
		}
		for row.T = from; row.T < to; row.T += 60_000 {
			require.NoError(t, g.AppendRow(&row))
		}
		require.NoError(t, g.Close())
	}
	write("gone", "old", aligned, aligned+hour)
	write("stays", "old", aligned, aligned+2*hour)
	write("stays", "new", aligned+2*hour, aligned+10*hour)
	require.NoError(t, db.Maintain(ctx))
	require.Equal(t, 2, db.Blocks()[0].Level)
	check := func() {
		t.Helper()
		q, err := db.Querier(aligned+9*hour, aligned+10*hour)
		require.NoError(t, err)
		defer q.Close()
		all, err := q.Metadata(ctx, "")
		require.NoError(t, err)
		want := map[string][]metadata.Metadata{"gone": {of("old")}, "stays": {of("new")}}
		require.Equal(t, want, all)
		one, err := q.Metadata(ctx, "gone")
		require.NoError(t, err)
		require.Equal(t, map[string][]metadata.Metadata{"gone": {of("old")}}, one)
	}
	check()
	require.NoError(t, db.Close())
	db = openDB(t, opts)
	check()
	require.NoError(t, db.Close())
}

// TestStartTimestampsThroughEveryStage compares what is read with what was written
// after each stage.
func TestStartTimestampsThroughEveryStage(t *testing.T) {
	ctx := context.Background()
	opts := testOptions(vfs.NewMem())
	opts.MaxBlockDuration, opts.OutOfOrderWindow = 6*time.Hour, 3*time.Hour
	db := openDB(t, opts)
	want := map[string][]storagetest.Sample{}
	add := func(ls labels.Labels, ts, st int64) {
		want[ls.String()] = append(want[ls.String()], storagetest.Sample{T: ts, ST: st})
	}
	check := func(stage string) {
		t.Helper()
		got := map[string][]storagetest.Sample{}
		for series, list := range storagetest.ReadAll(t, db) {
			for _, s := range list {
				got[series] = append(got[series], storagetest.Sample{T: s.T, ST: s.ST})
			}
		}
		require.Equal(t, want, got, stage)
	}
	restart := func() {
		t.Helper()
		require.NoError(t, db.Close())
		db = openDB(t, opts)
	}

	g, err := db.OpenGroup(storage.GroupOptions{Origin: "row"})
	require.NoError(t, err)
	for i := range 3 {
		_, err := g.AddColumn(name(i))
		require.NoError(t, err)
	}
	h := &histogram.Histogram{Count: 1, ZeroCount: 1, Sum: 1}
	rows := func(from, to int64) {
		for ts := from; ts < to; ts += 60_000 {
			start := ts - ts%(3*hour) + 1
			require.NoError(t, g.AppendRow(&storage.Row{
				T: ts, Values: []float64{1, 2, 0}, StartTimes: []int64{start, 0, start},
				Histograms: []storage.HistogramSample{{Column: 2, Histogram: h}},
			}))
			add(name(0), ts, start)
			add(name(1), ts, 0)
			add(name(2), ts, start)
		}
	}
	single := func(i int, ts, st int64) {
		app := db.Appender(ctx)
		ref, err := app.Append(0, name(i), ts, 1)
		require.NoError(t, err)
		require.NoError(t, app.SetStartTime(ref, ts, st))
		require.NoError(t, app.Commit())
		add(name(i), ts, st)
	}
	rows(aligned, aligned+hour)
	single(7, aligned+5, aligned+1)
	single(7, aligned+7, aligned+6)
	check("head")
	restart()
	check("log")
	g, err = db.OpenGroup(storage.GroupOptions{Origin: "row"})
	require.NoError(t, err)
	for i := range 3 {
		_, err := g.AddColumn(name(i))
		require.NoError(t, err)
	}
	rows(aligned+hour, aligned+4*hour)
	require.NoError(t, db.Maintain(ctx))
	require.Len(t, db.Blocks(), 1)
	check("block and head")
	single(8, aligned+3*hour/2, aligned+9) // late: to the head, and to a block that overlaps
	check("late")
	rows(aligned+4*hour, aligned+10*hour)
	require.NoError(t, db.Maintain(ctx))
	require.Equal(t, 3, db.Blocks()[0].Level, "joined with what was late, then with its neighbours")
	check("joined blocks")
	restart()
	check("checkpoint")
	require.NoError(t, db.Snapshot(ctx, "copy", true))
	require.NoError(t, db.Close())
	copied, err := Open(ctx, "copy", opts)
	require.NoError(t, err)
	db = copied
	check("snapshot")
	require.NoError(t, db.Close())
}
