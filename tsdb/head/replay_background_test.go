package head

import (
	"context"
	"math"
	"testing"
	"testing/synctest"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

const (
	lateColumns = 4
	lateRows    = 400
)

func seconds(n int) int64 { return storagetest.Base + int64(n)*1000 }

// writeLateLog writes a log of several segments: rows of two groups, one of which is closed,
// loose and late samples, deletions that reach into the future, and columns that change
// hands. It returns what a head that is opened from it has.
func writeLateLog(t *testing.T, mem *vfs.Mem) storagetest.Contents {
	t.Helper()
	h, err := Open(lateOptions(mem))
	require.NoError(t, err)
	a, b := openColumns(t, h, 0, lateColumns), openColumns(t, h, 1, lateColumns)
	appendRows(t, a, lateColumns, 0, lateRows/2)
	appendRows(t, b, lateColumns, 0, lateRows/2)
	app := h.Appender(context.Background())
	for i := range 40 {
		_, err := app.Append(0, testLabels(9, i%2), seconds(i), float64(i))
		require.NoError(t, err)
	}
	require.NoError(t, app.Commit())
	deleteWhere := func(mint, maxt int64, name, value string) {
		require.NoError(t, h.Delete(context.Background(), mint, maxt, labels.MustNewMatcher(labels.MatchEqual, name, value)))
	}
	deleteWhere(seconds(10), math.MaxInt64, "i", "1")
	require.NoError(t, a.SetMetadata(2, metadata.Metadata{Type: model.MetricTypeCounter, Help: "old"}))
	a.ReleaseColumn(0)
	_, err = a.AddColumn(testLabels(0, 50))
	require.NoError(t, err)
	appendRows(t, a, lateColumns, lateRows/2, lateRows)
	deleteWhere(seconds(lateRows-10), seconds(lateRows-5), "g", "0")
	require.NoError(t, b.Close())
	want := readHead(t, h)
	require.NoError(t, h.Close())
	return want
}

func lateOptions(fsys vfs.FS) Options {
	return Options{FS: fsys, Dir: "wal", WAL: wal.Options{SegmentBytes: 2000, Sync: wal.SyncAlways}, Settings: Settings{Window: 3_600_000, MaxExemplars: 10}}
}

// openHeldUp opens a head whose second pass stops before the segment with the given place
// until release is called. It runs in a bubble of synctest.
func openHeldUp(t *testing.T, fsys vfs.FS, place int) (h *Head, release func()) {
	t.Helper()
	hold := make(chan struct{})
	seen := 0
	opts := lateOptions(fsys)
	opts.Background = true
	opts.OnReplay = func(s ReplayStatus) {
		if s.Open && !s.Ended {
			if seen++; seen == place {
				<-hold
			}
		}
	}
	h, err := Open(opts)
	require.NoError(t, err)
	synctest.Wait()
	return h, func() { close(hold) }
}

func warningsOf(t *testing.T, h *Head, mint int64) int {
	t.Helper()
	q := h.Querier(mint, math.MaxInt64, minTime)
	defer q.Close()
	set := q.Select(context.Background(), nil, labels.MustNewMatcher(labels.MatchEqual, "g", "0"))
	for set.Next() {
		_ = set.At().Labels()
	}
	require.NoError(t, set.Err())
	return len(set.Warnings())
}

// writeMeanwhile appends to series of the log and new ones, newer than the log.
func writeMeanwhile(t *testing.T, h *Head) {
	t.Helper()
	g := openColumns(t, h, 0, lateColumns+1)
	appendRows(t, g, lateColumns+1, lateRows+10, lateRows+50)
	row := storage.Row{T: seconds(lateRows + 49), Values: make([]float64, lateColumns+1)}
	var refused *storage.RowError
	require.ErrorAs(t, g.AppendRow(&row), &refused, "order holds among what is new")
	require.NoError(t, g.SetMetadata(2, metadata.Metadata{Type: model.MetricTypeCounter, Help: "new"}))
	app := h.Appender(context.Background())
	ref := storage.SeriesRef(0)
	for i := range 30 {
		var err error
		ref, err = app.Append(ref, testLabels(9, 0), seconds(lateRows+10+i), 1000+float64(i))
		require.NoError(t, err)
	}
	require.NoError(t, app.Commit())
	require.NoError(t, g.Close())
}

// addMeanwhile is what writeMeanwhile adds to contents.
func addMeanwhile(want storagetest.Contents) {
	for c := range lateColumns + 1 {
		name := testLabels(0, c).String()
		for i := lateRows + 10; i < lateRows+50; i++ {
			want[name] = append(want[name], storagetest.Sample{T: seconds(i), V: float64(i * (c + 1))})
		}
	}
	name := testLabels(9, 0).String()
	for i := range 30 {
		want[name] = append(want[name], storagetest.Sample{T: seconds(lateRows + 10 + i), V: 1000 + float64(i)})
	}
}

// TestWritingBeforeReplayEnds stops the replay before each segment in turn and writes
// meanwhile: new samples are taken and seen at once, queries say that samples may be
// missing, an old sample waits; in the end everything is there, and again after a restart,
// and after a crash in the middle.
func TestWritingBeforeReplayEnds(t *testing.T) {
	for place := 1; place <= 8; place++ {
		synctest.Test(t, func(t *testing.T) {
			mem := vfs.NewMem()
			want := writeLateLog(t, mem)
			h, release := openHeldUp(t, mem, place)
			require.Equal(t, seconds(lateRows-1), h.MaxTime())
			writeMeanwhile(t, h)
			q := h.Querier(seconds(lateRows), math.MaxInt64, minTime)
			fresh := storagetest.ReadQuerier(t, q, seconds(lateRows), math.MaxInt64, labels.MustNewMatcher(labels.MatchEqual, "i", "2"))
			require.Len(t, fresh[testLabels(0, 2).String()], 40)
			require.NoError(t, q.Close())
			require.Equal(t, 1, warningsOf(t, h, minTime))
			require.Zero(t, warningsOf(t, h, seconds(lateRows)), "nothing older is asked for")

			late := make(chan error, 2)
			go func() {
				app := h.Appender(context.Background())
				_, err := app.Append(0, testLabels(1, 0), seconds(5), 77)
				late <- err // it has another value there
				late <- app.Rollback()
			}()
			deleted := make(chan error, 1)
			go func() {
				deleted <- h.Delete(context.Background(), seconds(0), seconds(3), labels.MustNewMatcher(labels.MatchEqual, "i", "2"))
			}()
			synctest.Wait()
			require.Empty(t, late, "an old sample waits")
			require.Empty(t, deleted)

			crashed := mem.CrashClone()
			release()
			require.NoError(t, h.WaitReplayed(context.Background()))
			require.ErrorIs(t, <-late, storage.ErrDuplicateSample)
			require.NoError(t, <-late)
			require.NoError(t, <-deleted)
			addMeanwhile(want)
			again, err := Open(lateOptions(crashed))
			require.NoError(t, err)
			storagetest.RequireEqual(t, want, readHead(t, again))
			require.NoError(t, again.Close())

			for _, name := range []string{testLabels(0, 2).String(), testLabels(1, 2).String()} {
				want[name] = want[name][4:]
			}
			storagetest.RequireEqual(t, want, readHead(t, h))
			require.Zero(t, warningsOf(t, h, minTime))
			q = h.Querier(minTime, maxTime, minTime)
			known, err := q.Metadata(context.Background(), "m")
			require.NoError(t, err)
			require.Equal(t, "new", known["m"][0].Help)
			require.NoError(t, q.Close())
			require.NoError(t, h.Checkpoint(context.Background(), minTime))
			require.NoError(t, h.Close())
			again, err = Open(lateOptions(mem))
			require.NoError(t, err)
			storagetest.RequireEqual(t, want, readHead(t, again))
			require.NoError(t, again.Close())
		})
	}
}

// TestRolledBackJudgementIsForgotten has a sample judged while older ones of its series have
// not been read, and not committed: the order of the old ones holds nevertheless.
func TestRolledBackJudgementIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		writeLateLog(t, mem)
		h, release := openHeldUp(t, mem, 1)
		h.Apply(Settings{})
		app := h.Appender(context.Background())
		_, err := app.Append(0, testLabels(0, 2), seconds(lateRows+1), 1)
		require.NoError(t, err)
		require.NoError(t, app.Rollback())
		release()
		require.NoError(t, h.WaitReplayed(context.Background()))
		app = h.Appender(context.Background())
		_, err = app.Append(0, testLabels(0, 2), seconds(lateRows-20), 1)
		require.ErrorIs(t, err, storage.ErrOutOfOrder)
		require.NoError(t, app.Rollback())
		require.NoError(t, h.Close())
	})
}

// TestCloseDuringReplay ends a head whose log is being read: what waits is refused, nothing
// that would drop unread samples is done, and the next head has everything.
func TestCloseDuringReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		want := writeLateLog(t, mem)
		h, release := openHeldUp(t, mem, 3)
		writeMeanwhile(t, h)
		errs := make(chan error, 3)
		g := openColumns(t, h, 5, 1)
		go func() { errs <- g.AppendRow(&storage.Row{T: seconds(1), Values: []float64{1}}) }()
		go func() { errs <- h.Checkpoint(context.Background(), maxTime) }()
		go func() { errs <- h.Truncate(maxTime, math.MaxUint64) }()
		closed := make(chan error, 1)
		go func() { closed <- h.Close() }()
		release()
		require.NoError(t, <-closed)
		for range 3 {
			require.ErrorIs(t, <-errs, storage.ErrClosed)
		}
		again, err := Open(lateOptions(mem))
		require.NoError(t, err)
		addMeanwhile(want)
		storagetest.RequireEqual(t, want, readHead(t, again))
		require.NoError(t, again.Close())
	})
}
