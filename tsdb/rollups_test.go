package tsdb

import (
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

const (
	rollupMinute = int64(time.Minute / time.Millisecond)
	rollupDay    = 24 * 60 * rollupMinute
	rollupBase   = 20_000 * rollupDay
)

func rollupOptions(fsys vfs.FS) Options {
	opts := testOptions(fsys)
	opts.Now = time.Now
	opts.MinBlockDuration, opts.MaxBlockDuration = 12*time.Hour, 12*time.Hour
	opts.Retention = -1
	opts.Rollups = []Rollup{{Resolution: 5 * time.Minute, After: time.Minute}}
	return opts
}

// rollupDisk is a database of some days, the first of which has a rollup more
// than that: a block of samples may have one at the instant at which it begins,
// which is the end of a bucket. It has a sample every two minutes of
// two series, and no rollups yet.
func rollupDisk(t testing.TB, days float64) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	opts := rollupOptions(mem)
	opts.Rollups = nil
	db := openDB(t, opts)
	g, err := db.OpenGroup(storage.GroupOptions{})
	require.NoError(t, err)
	for _, name := range []string{"a", "b"} {
		_, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, name))
		require.NoError(t, err)
	}
	for at := rollupBase + rollupMinute; at < rollupBase+int64(days*float64(rollupDay)); at += 2 * rollupMinute {
		require.NoError(t, g.AppendRow(&storage.Row{T: at, Values: []float64{float64(at % 1000), float64(at / rollupMinute)}}))
	}
	require.NoError(t, db.Maintain(context.Background()))
	require.NoError(t, db.Close())
	return mem
}

func openRolled(t testing.TB, opts Options) *DB {
	t.Helper()
	db := openDB(t, opts)
	require.NoError(t, db.WaitReplayed(context.Background()))
	return db
}

func rollupIDs(db *DB) (ids []ulid.ULID) {
	for _, r := range db.blocks.list.Load().rollups {
		ids = append(ids, r.Meta().ULID)
	}
	return ids
}

// checkRollups holds the hours of some days to the samples.
func checkRollups(t testing.TB, db *DB, from, days int64) {
	t.Helper()
	hour := 60 * rollupMinute
	w := storage.Windows{First: rollupBase + from*rollupDay + hour, Last: rollupBase + (from+days)*rollupDay, Step: hour, Range: hour}
	q, err := db.Querier(w.First-w.Range, w.Last)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	want := map[string][]storage.Bucket{}
	set := q.Select(context.Background(), nil)
	for set.Next() {
		var b storage.Batch
		var buckets []storage.Bucket
		for it := set.At().Batches(nil); it.Next(&b); {
			for i, at := range b.Times {
				end := (at + hour - 1) / hour * hour
				if n := len(buckets); n == 0 || buckets[n-1].T != end {
					buckets = append(buckets, storage.Bucket{T: end})
				}
				buckets[len(buckets)-1].Add(at, b.Values[i])
			}
		}
		want[set.At().Labels().String()] = buckets
	}
	require.NoError(t, set.Err())
	rolled := q.(storage.RollupQuerier).SelectRollups(context.Background(), w, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".+"))
	require.NotNil(t, rolled, "there are rollups")
	n := 0
	for ; rolled.Next(); n++ {
		require.Equal(t, want[rolled.Labels().String()], append([]storage.Bucket{}, rolled.Buckets()...))
	}
	require.NoError(t, rolled.Err())
	require.Equal(t, len(want), n)
	require.Positive(t, n)
}

func TestRollupsAreMadeOnce(t *testing.T) {
	ctx := context.Background()
	opts := rollupOptions(rollupDisk(t, 3.7))
	db := openRolled(t, opts)
	require.False(t, db.HasRollups(storage.Windows{First: rollupBase + rollupDay, Last: rollupBase + rollupDay, Range: rollupDay}))
	require.NoError(t, db.Maintain(ctx))
	ids := rollupIDs(db)
	require.Len(t, ids, 1+3)
	checkRollups(t, db, 0, 3)
	require.NoError(t, db.Maintain(ctx))
	require.Equal(t, ids, rollupIDs(db))
	require.NoError(t, db.Close())

	opts.MaxBlockDuration = 10 * 24 * time.Hour // now blocks are joined, which changes nothing
	db = openRolled(t, opts)
	require.NoError(t, db.Maintain(ctx))
	require.NoError(t, db.Maintain(ctx))
	require.Less(t, len(db.Blocks()), 7)
	require.Equal(t, ids, rollupIDs(db))
	checkRollups(t, db, 0, 3)

	dir := "snapshot"
	require.NoError(t, db.Snapshot(ctx, dir, false))
	entries, err := block.List(opts.FS, dir)
	require.NoError(t, err)
	require.Len(t, entries, len(db.Blocks())+4, "a snapshot has rollups, too")
	require.NoError(t, db.Close())
}

// TestRollupMeetsFailures lets each operation of making rollups fail, and crashes
// after it: nothing is lost, wrong or made twice.
func TestRollupMeetsFailures(t *testing.T) {
	ctx := context.Background()
	disk := rollupDisk(t, 2.7)
	sweep(t, func(n int) bool {
		mem := disk.CrashClone()
		fail := vfs.NewFail(mem)
		db := openRolled(t, rollupOptions(fail))
		fail.Arm(vfs.Rule{Kinds: vfs.OpMutating | vfs.OpOpen, N: n})
		err := db.Maintain(ctx)
		if !fail.Fired() {
			require.NoError(t, err)
			require.NoError(t, db.Close())
			return false
		}
		crashed := mem.CrashCloneSeed(uint64(n))
		fail.Disarm()
		require.NoError(t, db.Maintain(ctx))
		require.Len(t, rollupIDs(db), 1+2)
		checkRollups(t, db, 0, 2)
		require.NoError(t, db.Close())

		db = openRolled(t, rollupOptions(crashed))
		require.NoError(t, db.Maintain(ctx))
		require.Len(t, rollupIDs(db), 1+2)
		checkRollups(t, db, 0, 2)
		require.NoError(t, db.Close())
		return true
	})
}

func TestRollupRetention(t *testing.T) {
	ctx := context.Background()
	opts := rollupOptions(rollupDisk(t, 6.7))
	opts.Rollups = []Rollup{{Resolution: 5 * time.Minute, After: time.Minute, Retention: 70 * time.Hour}, {Resolution: 15 * time.Minute, After: time.Minute}}
	opts.Retention = 50 * time.Hour
	db := openRolled(t, opts)
	require.NoError(t, db.Maintain(ctx))
	count := map[int64]int{}
	for _, r := range db.blocks.list.Load().rollups {
		count[r.Meta().ResolutionMillis]++
	}
	require.Equal(t, map[int64]int{5 * rollupMinute: 3, 15 * rollupMinute: 1 + 6}, count, "all were made before their source went")
	ids := rollupIDs(db)
	require.NoError(t, db.Maintain(ctx))
	require.Equal(t, ids, rollupIDs(db), "what is over is not made again")

	first := storage.Windows{First: rollupBase + rollupDay, Last: rollupBase + rollupDay, Range: rollupDay}
	q, err := db.Querier(rollupBase, math.MaxInt64)
	require.NoError(t, err)
	set := q.(storage.RollupQuerier).SelectRollups(ctx, first, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "b"))
	require.True(t, set.Next())
	require.EqualValues(t, 720, set.Buckets()[0].Count, "a day whose samples are gone")
	require.False(t, set.Next())
	require.NoError(t, set.Err())
	require.NoError(t, q.Close())

	r := opts.Reloadable
	r.RetentionBytes = 1
	require.NoError(t, db.ApplyConfig(r))
	require.NoError(t, db.Maintain(ctx))
	require.Empty(t, rollupIDs(db), "size counts rollups, too")
	require.NoError(t, db.Close())
}

// TestRollupOfDamage has a block that cannot be read: its day is not rolled up,
// the others are, and the error comes once.
func TestRollupOfDamage(t *testing.T) {
	ctx := context.Background()
	disk := rollupDisk(t, 3.7)
	db := openRolled(t, rollupOptions(disk))
	name := filepath.Join(db.blocks.readers()[3].Dir(), block.DataFile)
	require.NoError(t, db.Close())
	data, err := vfs.ReadFile(disk, name)
	require.NoError(t, err)
	for i := 20; i < len(data); i++ {
		data[i] ^= 0x55
	}
	require.NoError(t, vfs.WriteFileAtomic(disk, name, data))

	db = openRolled(t, rollupOptions(disk))
	require.ErrorIs(t, db.Maintain(ctx), block.ErrCorrupt)
	require.Len(t, rollupIDs(db), 1+2)
	require.NoError(t, db.Maintain(ctx))
	require.NoError(t, db.Close())
}

func TestRollupOptions(t *testing.T) {
	opts := rollupOptions(vfs.NewMem())
	for want, list := range map[string][]Rollup{
		"not a multiple of 1m0s":     {{Resolution: 90 * time.Second}},
		"is not a multiple of 5m0s":  {{Resolution: 5 * time.Minute}, {Resolution: 7 * time.Minute}},
		"or the same":                {{Resolution: 5 * time.Minute}, {Resolution: 5 * time.Minute}},
		"is negative":                {{Resolution: 5 * time.Minute, Retention: -1}},
		"has to be 48h0m0s at least": {{Resolution: 5 * time.Minute}},
		"has to be 192h0m0s":         {{Resolution: 5 * time.Minute, Retention: 72 * time.Hour}, {Resolution: time.Hour}},
	} {
		opts.Rollups, opts.Retention = list, 40*time.Hour
		_, err := Open(context.Background(), "data", opts)
		require.ErrorContains(t, err, want)
	}
	opts.Rollups, opts.Retention = []Rollup{{Resolution: 5 * time.Minute}, {Resolution: time.Hour}}, 49*time.Hour
	db := openRolled(t, opts)
	require.NoError(t, db.Close())
}

// TestRollupsWhileTheyAreMade reads one series without pause while the other one
// gets late samples and deletions, and rollups are made of both again and again.
func TestRollupsWhileTheyAreMade(t *testing.T) {
	ctx := context.Background()
	opts := rollupOptions(rollupDisk(t, 3.7))
	opts.OutOfOrderWindow = 4 * 24 * time.Hour
	opts.Rollups = append(opts.Rollups, Rollup{Resolution: 15 * time.Minute, After: time.Minute})
	db := openRolled(t, opts)
	done := make(chan struct{})
	var readers sync.WaitGroup
	var answers atomic.Int64
	for range 2 {
		readers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				if !dayIsWhole(t, db, int64(n%3), &answers) {
					return
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 1))
	a := labels.FromStrings(model.MetricNameLabel, "a")
	for range 15 {
		from := rollupBase + rng.Int64N(3*rollupDay)
		require.NoError(t, db.Delete(ctx, from, from+rng.Int64N(rollupDay/2), labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "a")))
		late := db.Appender(ctx)
		_, err := late.Append(0, a, rollupBase+rng.Int64N(3*rollupDay)/2*2, 5)
		require.NoError(t, err)
		require.NoError(t, late.Commit())
		require.NoError(t, db.Maintain(ctx))
	}
	close(done)
	readers.Wait()
	require.Positive(t, answers.Load())
	require.NoError(t, db.Close())
}

// dayIsWhole reports whether a day of series b has all of its samples.
func dayIsWhole(t *testing.T, db *DB, day int64, answers *atomic.Int64) bool {
	w := storage.Windows{First: rollupBase + (day+1)*rollupDay, Last: rollupBase + (day+1)*rollupDay, Range: rollupDay}
	q, err := db.Querier(w.First-w.Range, w.Last)
	if err != nil {
		t.Error(err)
		return false
	}
	defer q.Close()
	set := q.(storage.RollupQuerier).SelectRollups(context.Background(), w, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "b"))
	if set == nil {
		return true // none was made yet, or late samples are in the head
	}
	answers.Add(1)
	if !set.Next() || set.Buckets()[0].Count != 720 || set.Err() != nil {
		t.Errorf("day %d: %v, %v", day, set.Buckets(), set.Err())
		return false
	}
	return true
}
