package tsdb

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

const hour = int64(time.Hour / time.Millisecond)

func name(i int) labels.Labels {
	return labels.FromStrings(model.MetricNameLabel, "m", "i", fmt.Sprint(i))
}

// fill appends a row of two columns each 15 seconds, from <= t < to.
func fill(t testing.TB, s storage.Writer, from, to int64) {
	t.Helper()
	g, err := s.OpenGroup(storage.GroupOptions{Origin: "fill"})
	require.NoError(t, err)
	for i := range 2 {
		_, err := g.AddColumn(name(i))
		require.NoError(t, err)
	}
	for ts := from; ts < to; ts += 15_000 {
		require.NoError(t, g.AppendRow(&storage.Row{T: ts, Values: []float64{float64(ts), 1}}))
	}
	require.NoError(t, g.Close())
}

func requireFilled(t testing.TB, s storage.Queryable, from, to int64) {
	t.Helper()
	samples := storagetest.ReadAll(t, s)[name(0).String()]
	require.Len(t, samples, int((to-from)/15_000))
	for i, x := range samples {
		require.Equal(t, from+int64(i)*15_000, x.T)
		require.Equal(t, float64(x.T), x.V)
	}
}

// aligned is a time at which an aligned range of a day begins.
const aligned = storagetest.Base - storagetest.Base%(24*hour)

func TestHeadIsCutWhenItIsLongEnough(t *testing.T) {
	ctx := context.Background()
	opts := testOptions(vfs.NewMem())
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+3*hour)
	require.NoError(t, db.Maintain(ctx))
	require.Empty(t, db.Blocks(), "slow writers have an hour")

	fill(t, db, aligned+3*hour, aligned+3*hour+30_000)
	require.NoError(t, db.Maintain(ctx))
	blocks := db.Blocks()
	require.Len(t, blocks, 1)
	require.Equal(t, aligned, blocks[0].MinTime)
	require.Equal(t, aligned+2*hour, blocks[0].MaxTime)
	require.EqualValues(t, 2*480, blocks[0].Samples)
	require.EqualValues(t, 2, blocks[0].Series)
	require.Equal(t, 1, blocks[0].Level)
	require.Equal(t, aligned+2*hour, db.head.MinTime(), "what was cut has left the head")
	requireFilled(t, db, aligned, aligned+3*hour+30_000)

	require.NoError(t, db.Close())
	db = openDB(t, opts)
	require.Equal(t, aligned+2*hour, db.head.MinTime(), "and the log")
	requireFilled(t, db, aligned, aligned+3*hour+30_000)
	require.NoError(t, db.Close())
}

func TestBlocksAreJoined(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	fill(t, db, aligned, aligned+12*hour)
	require.NoError(t, db.Maintain(context.Background()))
	var got []string
	for _, b := range db.Blocks() {
		got = append(got, fmt.Sprintf("%d-%d L%d", (b.MinTime-aligned)/hour, (b.MaxTime-aligned)/hour, b.Level))
	}
	require.Equal(t, []string{"0-6 L2", "6-8 L1", "8-10 L1"}, got)
	requireFilled(t, db, aligned, aligned+12*hour)
	require.NoError(t, db.Close())
}

func TestRetentionByTime(t *testing.T) {
	opts := testOptions(vfs.NewMem())
	opts.Retention, opts.MaxBlockDuration = 6*time.Hour, 2*time.Hour
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+12*hour+15_000)
	require.NoError(t, db.Maintain(context.Background()))
	require.Equal(t, aligned+6*hour, db.Blocks()[0].MinTime)
	ids, err := block.List(opts.FS, "data")
	require.NoError(t, err)
	require.Len(t, ids, len(db.Blocks()), "deleted from the disk, too")
	app := db.Appender(context.Background())
	_, err = app.Append(0, name(7), aligned+5*hour, 1)
	require.ErrorIs(t, err, storage.ErrTooOld)
	require.NoError(t, app.Rollback())

	require.NoError(t, db.ApplyConfig(Reloadable{Retention: 3 * time.Hour}))
	require.NoError(t, db.Maintain(context.Background()))
	require.Equal(t, aligned+8*hour, db.Blocks()[0].MinTime, "the retention can be changed")
	require.NoError(t, db.Close())
}

func TestRetentionBySize(t *testing.T) {
	opts := testOptions(vfs.NewMem())
	opts.MaxBlockDuration = 2 * time.Hour
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+12*hour)
	require.NoError(t, db.Maintain(context.Background()))
	blocks := db.Blocks()
	require.Len(t, blocks, 5)
	require.NoError(t, db.ApplyConfig(Reloadable{RetentionBytes: db.walBytes() + blocks[3].Bytes + blocks[4].Bytes}))
	require.NoError(t, db.Maintain(context.Background()))
	require.Equal(t, blocks[3:], db.Blocks())
	require.NoError(t, db.Close())
}

func TestQuerierKeepsBlocksAlive(t *testing.T) {
	opts := testOptions(vfs.NewMem())
	opts.Retention = time.Hour
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+2*hour)
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	all := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "m")
	before := storagetest.ReadQuerier(t, q, math.MinInt64, math.MaxInt64, all)
	require.NoError(t, q.Close())
	flushAll(t, db)
	q, err = db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	require.NoError(t, db.ApplyConfig(Reloadable{RetentionBytes: 1}))
	require.NoError(t, db.Maintain(context.Background()))
	require.Empty(t, db.Blocks())
	storagetest.RequireEqual(t, before, storagetest.ReadQuerier(t, q, math.MinInt64, math.MaxInt64, all))
	require.NoError(t, q.Close())
	require.NoError(t, db.Close())
}

func TestSlowQueryDelaysTruncation(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	fill(t, db, aligned, aligned+4*hour)
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, db.Maintain(ctx), context.DeadlineExceeded)
	require.Len(t, db.Blocks(), 1)
	requireFilled(t, db, aligned, aligned+4*hour)
	all := labels.MustNewMatcher(labels.MatchEqual, "i", "0")
	require.Len(t, storagetest.ReadQuerier(t, q, math.MinInt64, math.MaxInt64, all)[name(0).String()], 960, "the old snapshot reads on from the head")
	require.NoError(t, q.Close())
	require.NoError(t, db.Maintain(context.Background()))
	require.Equal(t, aligned+2*hour, db.head.MinTime())
	requireFilled(t, db, aligned, aligned+4*hour)
	require.NoError(t, db.Close())
}

func TestDeleteAndCleanTombstones(t *testing.T) {
	ctx := context.Background()
	opts := testOptions(vfs.NewMem())
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+4*hour)
	require.NoError(t, db.Maintain(ctx))
	one := labels.MustNewMatcher(labels.MatchEqual, "i", "1")
	require.Error(t, db.Delete(ctx, aligned, aligned+hour), "everything at once")
	require.Error(t, db.Delete(ctx, aligned, aligned+hour, labels.MustNewMatcher(labels.MatchRegexp, "i", ".*")))
	require.Error(t, db.Delete(ctx, aligned+1, aligned, one))
	require.NoError(t, db.Delete(ctx, aligned, aligned+3*hour-1, one))
	check := func() {
		t.Helper()
		got := storagetest.ReadAll(t, db)[name(1).String()]
		require.Len(t, got, 240)
		require.Equal(t, aligned+3*hour, got[0].T)
	}
	check()
	require.EqualValues(t, 960, db.Blocks()[0].Samples)
	require.NoError(t, db.CleanTombstones(ctx))
	require.EqualValues(t, 480, db.Blocks()[0].Samples, "the space is reclaimed")
	check()
	require.NoError(t, db.Delete(ctx, math.MinInt64, aligned+2*hour-1, labels.MustNewMatcher(labels.MatchEqual, "i", "0")))
	require.NoError(t, db.CleanTombstones(ctx))
	require.Empty(t, db.Blocks(), "a block without samples is no block")
	check()
	require.NoError(t, db.Close())
	db = openDB(t, opts)
	check()
	require.NoError(t, db.Close())
}

func TestSnapshot(t *testing.T) {
	ctx := context.Background()
	opts := testOptions(vfs.NewMem())
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+4*hour)
	require.NoError(t, db.Maintain(ctx))
	require.NoError(t, db.Delete(ctx, aligned, aligned+hour, labels.MustNewMatcher(labels.MatchEqual, "i", "1")))
	require.Error(t, db.Snapshot(ctx, "data", true))
	require.NoError(t, db.Snapshot(ctx, filepath.Join("data", "snapshots", "a"), true))
	require.NoError(t, db.Snapshot(ctx, filepath.Join("data", "snapshots", "b"), false))
	require.ErrorContains(t, db.Snapshot(ctx, filepath.Join("data", "snapshots", "b"), true), "exists already")
	want := storagetest.ReadAll(t, db)
	require.NoError(t, db.ApplyConfig(Reloadable{RetentionBytes: 1}))
	require.NoError(t, db.Maintain(ctx))

	copied, err := Open(ctx, filepath.Join("data", "snapshots", "a"), opts)
	require.NoError(t, err)
	storagetest.RequireEqual(t, want, storagetest.ReadAll(t, copied))
	require.NoError(t, copied.Close())
	copied, err = Open(ctx, filepath.Join("data", "snapshots", "b"), opts)
	require.NoError(t, err)
	requireFilled(t, copied, aligned, aligned+2*hour)
	require.NoError(t, copied.Close())
	require.NoError(t, db.Close())
}

func TestSnapshotWithoutLinks(t *testing.T) {
	ctx := context.Background()
	fail := vfs.NewFail(vfs.NewMem())
	opts := testOptions(fail)
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+4*hour)
	require.NoError(t, db.Maintain(ctx))
	fail.Arm(vfs.Rule{Kinds: vfs.OpLink, Err: syscall.EXDEV, Sticky: true})
	require.NoError(t, db.Snapshot(ctx, filepath.Join("elsewhere", "a"), true))
	fail.Disarm()
	copied, err := Open(ctx, filepath.Join("elsewhere", "a"), opts)
	require.NoError(t, err)
	requireFilled(t, copied, aligned, aligned+4*hour)
	require.NoError(t, copied.Close())

	// One that fails leaves nothing.
	for n := 1; ; n++ {
		fail.Arm(vfs.Rule{Kinds: vfs.OpMutating, Contains: "broken", N: n})
		err := db.Snapshot(ctx, filepath.Join("elsewhere", "broken"), true)
		if fail.Disarm(); !fail.Fired() {
			require.NoError(t, err)
			break
		}
		if err != nil {
			entries, err := opts.FS.ReadDir("elsewhere")
			require.NoError(t, err)
			require.Len(t, entries, 1)
		} else {
			require.NoError(t, opts.FS.RemoveAll(filepath.Join("elsewhere", "broken")))
		}
	}
	require.NoError(t, db.Close())
}

func TestOneFailureDoesNotKeepBlocksFromBeingJoined(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewMem()
	opts := testOptions(mem)
	opts.MaxBlockDuration = 2 * time.Hour
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+22*hour)
	require.NoError(t, db.Maintain(ctx))
	require.Len(t, db.Blocks(), 10)
	require.NoError(t, db.Close())
	fail := vfs.NewFail(mem)
	opts.FS, opts.MaxBlockDuration = fail, 6*time.Hour
	db = openDB(t, opts)
	fail.Arm(vfs.Rule{Kinds: vfs.OpCreate, Contains: "index"})
	require.ErrorIs(t, db.Maintain(ctx), vfs.ErrInjected)
	require.True(t, fail.Fired())
	levels := func() (out []int) {
		for _, b := range db.Blocks() {
			out = append(out, b.Level)
		}
		return out
	}
	require.Equal(t, []int{1, 1, 1, 2, 2, 1}, levels(), "the others were joined")
	require.NoError(t, db.Maintain(ctx))
	require.Equal(t, []int{2, 2, 2, 1}, levels(), "and it is tried again")
	requireFilled(t, db, aligned, aligned+22*hour)
	require.NoError(t, db.Close())
}

func TestDroppedInBlockAppears(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewMem()
	other := openDB(t, testOptions(mem))
	fill(t, other, aligned, aligned+2*hour)
	require.NoError(t, other.Snapshot(ctx, "away", true))
	require.NoError(t, other.Close())

	opts := testOptions(mem)
	db, err := Open(ctx, "mine", opts)
	require.NoError(t, err)
	ids, err := block.List(mem, "away")
	require.NoError(t, err)
	require.Len(t, ids, 1)
	require.NoError(t, mem.Rename(filepath.Join("away", ids[0].String()), filepath.Join("mine", ids[0].String())))
	require.NoError(t, db.Maintain(ctx))
	requireFilled(t, db, aligned, aligned+2*hour)
	require.NoError(t, mem.RemoveAll(filepath.Join("mine", ids[0].String())))
	require.NoError(t, db.Maintain(ctx))
	require.Empty(t, storagetest.ReadAll(t, db), "and can be taken away")
	require.NoError(t, db.Close())
}

func TestDamagedBlockCostsItself(t *testing.T) {
	mem := vfs.NewMem()
	opts := testOptions(mem)
	opts.MaxBlockDuration = 2 * time.Hour
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+6*hour)
	require.NoError(t, db.Maintain(context.Background()))
	require.Len(t, db.Blocks(), 2)
	bad := db.Blocks()[0].ULID.String()
	require.NoError(t, db.Close())
	require.NoError(t, vfs.WriteFileAtomic(mem, filepath.Join("data", bad, block.MetaFile), []byte("{")))

	var logged bytes.Buffer
	opts.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	db = openDB(t, opts)
	require.Len(t, db.Blocks(), 1)
	require.Contains(t, logged.String(), bad)
	requireFilled(t, db, aligned+2*hour, aligned+6*hour)
	require.NoError(t, db.Close())
}

func TestFolderIsLocked(t *testing.T) {
	opts := testOptions(vfs.NewMem())
	db := openDB(t, opts)
	_, err := Open(context.Background(), "data", opts)
	require.ErrorIs(t, err, vfs.ErrLocked)
	require.ErrorContains(t, err, "data folder data is in use by process ")
	require.ErrorContains(t, err, "stop it")
	opts.NoLockfile = true
	second, err := Open(context.Background(), "data", opts)
	require.NoError(t, err)
	require.NoError(t, second.Close())
	require.NoError(t, db.Close())
	db = openDB(t, testOptions(db.opts.FS))
	require.NoError(t, db.Close())
}

func TestTenants(t *testing.T) {
	ctx := context.Background()
	opts := testOptions(vfs.NewMem())
	opts.Registerer = prometheus.NewPedanticRegistry()
	o := NewOpener("data", opts)
	a, err := o.OpenStore(ctx, "")
	require.NoError(t, err)
	b, err := o.OpenStore(ctx, "b")
	require.NoError(t, err)
	fill(t, b, aligned, aligned+hour)
	require.Empty(t, storagetest.ReadAll(t, a))
	requireFilled(t, b, aligned, aligned+hour)
	_, err = o.OpenStore(ctx, "b")
	require.ErrorIs(t, err, vfs.ErrLocked)
	for _, bad := range []storage.Tenant{"..", "a/b", ".hidden", storage.Tenant(strings.Repeat("x", 151))} {
		_, err := o.OpenStore(ctx, bad)
		require.Error(t, err, "%q", bad)
	}
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}

// TestReservedSpace lets the free space of the disk sink below what is reserved: samples are
// refused and reading goes on, a cut with its blocks and checkpoint still works, and samples
// are taken again when there is room.
func TestReservedSpace(t *testing.T) {
	mem := vfs.NewMem()
	mem.SetDiskSize(1 << 40)
	mem.SetDiskFree(DefaultReservedBytes)
	opts := testOptions(mem)
	opts.Registerer = prometheus.NewRegistry()
	full := func() float64 {
		v, err := gathered(opts.Registerer.(*prometheus.Registry), "gnomon_wal_disk_full")
		require.NoError(t, err)
		return v
	}
	synctest.Test(t, func(t *testing.T) {
		db := openDB(t, opts)
		fill(t, db, aligned, aligned+5*hour)
		require.Zero(t, full())
		mem.SetDiskFree(DefaultReservedBytes - 1)
		time.Sleep(2 * time.Second) // virtual: the space is looked at now and then
		g, err := db.OpenGroup(storage.GroupOptions{})
		require.NoError(t, err)
		_, err = g.AddColumn(name(7))
		require.NoError(t, err)
		row := storage.Row{T: aligned + 5*hour, Values: []float64{1}}
		err = g.AppendRow(&row)
		require.ErrorIs(t, err, storage.ErrNoSpace)
		require.ErrorContains(t, err, "268435455 bytes free, 268435456 are reserved")
		require.Equal(t, 1.0, full())
		requireFilled(t, db, aligned, aligned+5*hour)
		require.NoError(t, db.Maintain(context.Background()))
		require.NotEmpty(t, db.Blocks(), "what makes room goes on")
		mem.SetDiskFree(DefaultReservedBytes)
		require.NoError(t, g.AppendRow(&row))
		require.Zero(t, full())
		want := storagetest.ReadAll(t, db)
		require.Len(t, want[name(7).String()], 1)
		require.NoError(t, db.Close())
		opts.Registerer = nil
		db = openDB(t, opts)
		storagetest.RequireEqual(t, want, storagetest.ReadAll(t, db))
		require.NoError(t, db.Close())
	})
}

func gathered(reg *prometheus.Registry, name string) (float64, error) {
	families, err := reg.Gather()
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue(), err
		}
	}
	return -1, err
}

// TestLongLogIsCheckpointed has a head that is not cut, and groups that come and go: what is
// logged beside the checkpoint stays bounded.
func TestLongLogIsCheckpointed(t *testing.T) {
	opts := testOptions(vfs.NewMem())
	opts.WALSegmentBytes, opts.WALCheckpointBytes = 1<<16, 1<<16
	db := openDB(t, opts)
	for i := range 20 {
		for k := range 60 {
			g, err := db.OpenGroup(storage.GroupOptions{Origin: strings.Repeat("o", 400)})
			require.NoError(t, err)
			_, err = g.AddColumn(name(0))
			require.NoError(t, err)
			require.NoError(t, g.AppendRow(&storage.Row{T: aligned + int64(i)*60_000 + int64(k)*1000, Values: []float64{1}}))
			require.NoError(t, g.Close())
		}
		require.NoError(t, db.Maintain(context.Background()))
		checkpoint, since, err := db.head.LogSizes()
		require.NoError(t, err)
		require.Less(t, since, max(2*checkpoint, opts.WALCheckpointBytes))
	}
	require.Empty(t, db.Blocks())
	require.Positive(t, testutil.ToFloat64(db.metrics.checkpointsOfSize))
	want := storagetest.ReadAll(t, db)
	require.NoError(t, db.Close())
	db = openDB(t, opts)
	storagetest.RequireEqual(t, want, storagetest.ReadAll(t, db))
	require.NoError(t, db.Close())
}

func TestFullDiskStopsWritingAndItResumes(t *testing.T) {
	fail := vfs.NewFail(vfs.NewMem())
	db := openDB(t, testOptions(fail))
	g, err := db.OpenGroup(storage.GroupOptions{})
	require.NoError(t, err)
	_, err = g.AddColumn(name(0))
	require.NoError(t, err)
	require.NoError(t, g.AppendRow(&storage.Row{T: aligned, Values: []float64{1}}))
	fail.Arm(vfs.Rule{Kinds: vfs.OpWrite | vfs.OpCreate, Sticky: true, Err: syscall.ENOSPC})
	row := storage.Row{T: aligned + 1000, Values: []float64{2}}
	require.ErrorIs(t, g.AppendRow(&row), storage.ErrNoSpace)
	app := db.Appender(context.Background())
	_, err = app.Append(0, name(1), aligned, 1)
	require.NoError(t, err)
	require.ErrorIs(t, app.Commit(), storage.ErrNoSpace)
	require.Len(t, storagetest.ReadAll(t, db), 1, "reading goes on")
	fail.Disarm()
	require.NoError(t, g.AppendRow(&row))
	app = db.Appender(context.Background())
	_, err = app.Append(0, name(1), aligned, 1)
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	want := storagetest.Contents{
		name(0).String(): {{T: aligned, V: 1}, {T: aligned + 1000, V: 2}},
		name(1).String(): {{T: aligned, V: 1}},
	}
	storagetest.RequireEqual(t, want, storagetest.ReadAll(t, db))
	require.NoError(t, db.Close())
	db = openDB(t, db.opts)
	storagetest.RequireEqual(t, want, storagetest.ReadAll(t, db))
	require.NoError(t, db.Close())
}

func TestSeriesLimit(t *testing.T) {
	opts := testOptions(vfs.NewMem())
	opts.MaxSeries = 2
	db := openDB(t, opts)
	g, err := db.OpenGroup(storage.GroupOptions{})
	require.NoError(t, err)
	for i := range 2 {
		_, err = g.AddColumn(name(i))
		require.NoError(t, err)
	}
	_, err = g.AddColumn(name(2))
	require.ErrorIs(t, err, storage.ErrSeriesLimit)
	require.NoError(t, g.AppendRow(&storage.Row{T: 1, Values: []float64{1, 2}}), "existing series are not concerned")
	require.NoError(t, db.ApplyConfig(Reloadable{MaxSeries: 3}))
	_, err = g.AddColumn(name(2))
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

func TestLimitsOfNewSeries(t *testing.T) {
	var logged bytes.Buffer
	opts := testOptions(vfs.NewMem())
	opts.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	reg := prometheus.NewRegistry()
	opts.Registerer = reg
	opts.MaxSeriesPerJob, opts.MaxLabels, opts.MaxLabelNameBytes, opts.MaxLabelValueBytes = 2, 4, 8, 10
	db := openDB(t, opts)
	g, err := db.OpenGroup(storage.GroupOptions{Origin: "a"})
	require.NoError(t, err)
	of := func(pairs ...string) labels.Labels {
		return labels.FromStrings(append([]string{model.MetricNameLabel, "m"}, pairs...)...)
	}
	add := func(pairs ...string) error {
		_, err := g.AddColumn(of(pairs...))
		return err
	}
	for _, ok := range [][]string{{"job", "a", "i", "1"}, {"job", "a", "i", "2"}, {"job", "b", "i", "1"}, {"i", "3"}, {"12345678", "1234567890"}} {
		require.NoError(t, add(ok...))
	}
	for _, c := range []struct {
		limit string
		err   error
		says  []string
		pairs []string
	}{
		{"series_per_job", storage.ErrSeriesLimit, []string{`job "a" has 2 series`, "limit is 2", `i="3"`}, []string{"job", "a", "i", "3"}},
		{"labels_per_series", storage.ErrLabelLimit, []string{"5 labels", "limit is 4", `a="1"`}, []string{"a", "1", "b", "1", "c", "1", "d", "1"}},
		{"label_name_length", storage.ErrLabelLimit, []string{`"123456789"`, "9 bytes", "limit is 8"}, []string{"123456789", "1"}},
		{"label_value_length", storage.ErrLabelLimit, []string{`label "a"`, "11 bytes", "limit is 10"}, []string{"a", "12345678901"}},
	} {
		err := add(c.pairs...)
		require.ErrorIs(t, err, c.err)
		for _, part := range c.says {
			require.ErrorContains(t, err, part)
		}
		require.ErrorIs(t, add(c.pairs...), c.err)
		require.Equal(t, 1, strings.Count(logged.String(), "limit="+c.limit+" "), "logged once a minute")
		require.Equal(t, 2., metricOf(t, reg, "gnomon_tsdb_series_refused_total", c.limit))
	}
	require.Equal(t, 10., metricOf(t, reg, "gnomon_tsdb_series_limit", "label_value_length"))
	_, err = g.AddColumn(labels.FromStrings(model.MetricNameLabel, "up", "job", "a"))
	require.NoError(t, err, "whether a target is up is known all the same")
	app := db.Appender(context.Background())
	_, err = app.Append(0, of("job", "a", "i", "3"), storagetest.Base, 1)
	require.ErrorIs(t, err, storage.ErrSeriesLimit)
	_, err = app.Append(0, of("job", "a", "i", "2"), storagetest.Base, 1)
	require.NoError(t, err, "a series that there is goes on")
	require.NoError(t, app.Commit())

	opts.Reloadable.MaxSeriesPerJob, opts.Reloadable.MaxLabels = 0, -1
	require.NoError(t, db.ApplyConfig(opts.Reloadable))
	require.NoError(t, add("job", "a", "i", "3"), "limits can be changed")
	require.NoError(t, add("a", "1", "b", "1", "c", "1", "d", "1"))
	require.NoError(t, db.Close())
}

// metricOf returns the value of a metric with one label.
func metricOf(t testing.TB, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s with %q", name, label)
	return 0
}

func TestReplayIsReported(t *testing.T) {
	opts := testOptions(vfs.NewMem())
	opts.WALSegmentBytes = 1 << 16
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+20*hour)
	require.NoError(t, db.Close())
	var reports []ReplayStatus
	opts.OnReplay = func(s ReplayStatus) { reports = append(reports, s) }
	db = openDB(t, opts)
	require.NoError(t, db.Close())
	require.NotEmpty(t, reports)
	last := -1
	for i, r := range reports {
		require.LessOrEqual(t, r.Min, r.Current)
		require.LessOrEqual(t, r.Current, r.Max)
		require.GreaterOrEqual(t, r.Current, last)
		require.Equal(t, i == len(reports)-1, r.Done)
		last = r.Current
	}
}

func TestStats(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	fill(t, db, aligned, aligned+hour)
	s, err := db.Stats(10)
	require.NoError(t, err)
	require.Equal(t, 2, s.Head.Series)
	require.Equal(t, 3, s.Head.LabelPairs)
	require.Positive(t, s.Head.Chunks)
	require.Equal(t, aligned, s.Head.MinTime)
	require.Equal(t, aligned+hour-15_000, s.Head.MaxTime)
	require.Equal(t, []Stat{{"m", 2}}, s.SeriesByMetric)
	require.Equal(t, []Stat{{"i", 2}, {model.MetricNameLabel, 1}}, s.ValuesByLabel)
	require.Equal(t, []Stat{{"i", 2}, {model.MetricNameLabel, 1}}, s.BytesByLabel)
	require.Equal(t, Stat{model.MetricNameLabel + "=m", 2}, s.SeriesByPair[0])
	s, err = db.Stats(1)
	require.NoError(t, err)
	require.Len(t, s.SeriesByPair, 1)
	require.NoError(t, db.Close())
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	opts := testOptions(vfs.NewMem())
	opts.Registerer = reg
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+4*hour)
	app := db.Appender(context.Background())
	_, err := app.Append(0, name(0), aligned, 1)
	require.ErrorIs(t, err, storage.ErrOutOfOrder)
	require.NoError(t, app.Rollback())
	require.NoError(t, db.Maintain(context.Background()))
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP prometheus_tsdb_head_samples_appended_total Total number of appended samples.
# TYPE prometheus_tsdb_head_samples_appended_total counter
prometheus_tsdb_head_samples_appended_total{type="float"} 1920
prometheus_tsdb_head_samples_appended_total{type="histogram"} 0
# HELP prometheus_tsdb_head_series Total number of series in the head.
# TYPE prometheus_tsdb_head_series gauge
prometheus_tsdb_head_series 2
# HELP prometheus_tsdb_blocks_loaded Number of currently loaded blocks.
# TYPE prometheus_tsdb_blocks_loaded gauge
prometheus_tsdb_blocks_loaded 1
# HELP prometheus_tsdb_compactions_total Total number of compactions that were executed: blocks cut from the head or joined.
# TYPE prometheus_tsdb_compactions_total counter
prometheus_tsdb_compactions_total 1
# HELP prometheus_tsdb_out_of_order_samples_total Total number of samples refused because they are older than the newest one of their series and there is no out-of-order window.
# TYPE prometheus_tsdb_out_of_order_samples_total counter
prometheus_tsdb_out_of_order_samples_total{type="float"} 1
prometheus_tsdb_out_of_order_samples_total{type="histogram"} 0
`), "prometheus_tsdb_head_samples_appended_total", "prometheus_tsdb_head_series", "prometheus_tsdb_blocks_loaded",
		"prometheus_tsdb_compactions_total", "prometheus_tsdb_out_of_order_samples_total"))
	require.NoError(t, db.Close())
	n, err := testutil.GatherAndCount(reg)
	require.NoError(t, err)
	require.Zero(t, n, "closing takes the metrics back")
	db = openDB(t, opts)
	require.NoError(t, db.Close())
}

func TestOptions(t *testing.T) {
	bad := Options{
		MinBlockDuration: 2 * time.Hour, MaxBlockDuration: time.Hour, WALSegmentBytes: 1,
		WALSync:    WALSync{Always: true, Never: true},
		Reloadable: Reloadable{RetentionBytes: -1, OutOfOrderWindow: -1, MaxSeries: -1},
	}
	_, err := Open(context.Background(), "data", bad)
	for _, part := range []string{"block duration", "segment size", "always and never", "retention size", "out-of-order window", "series limit"} {
		require.ErrorContains(t, err, part)
	}
	require.Equal(t, 36*time.Hour, Options{}.withDefaults().MaxBlockDuration, "a tenth of the retention")
	require.Equal(t, DefaultMaxBlockDuration, Options{Reloadable: Reloadable{Retention: -1}}.withDefaults().MaxBlockDuration)
	for _, text := range []string{"always", "never", "500ms", "1s", "2m"} {
		w, err := ParseWALSync(text)
		require.NoError(t, err)
		require.Equal(t, text, w.String())
	}
	require.Equal(t, "1s", WALSync{}.String())
	for _, text := range []string{"", "sometimes", "0s", "-1s"} {
		_, err := ParseWALSync(text)
		require.Error(t, err, "%q", text)
	}
}
