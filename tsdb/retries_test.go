package tsdb

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// logged keeps the lines of a logger.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	return len(p), nil
}

// with returns the lines that have a text.
func (l *logged) with(text string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			out = append(out, line)
		}
	}
	return out
}

// TestFailingCutIsTriedLessAndLess has a disk that takes no blocks for six hours: the cut is tried
// every quarter of an hour in the end, says so, keeps nothing else from being done, and works
// within a quarter of an hour when the disk does.
func TestFailingCutIsTriedLessAndLess(t *testing.T) {
	readBlock(t)
	fail := vfs.NewFail(vfs.NewMem())
	var log logged
	opts := testOptions(fail)
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	opts.MaintenanceInterval, opts.Now = time.Minute, time.Now
	synctest.Test(t, func(t *testing.T) {
		db := openDB(t, opts)
		fill(t, db, aligned, aligned+5*hour)
		fail.Arm(vfs.Rule{Kinds: vfs.OpMkdir, Contains: vfs.TemporarySuffix, Sticky: true})
		time.Sleep(6*time.Hour + time.Second)
		tries := testutil.ToFloat64(db.metrics.maintenanceFailed.WithLabelValues(stepCut))
		// After 1, 2, 4, 8 and then every 15 minutes.
		require.InDelta(t, 5+(6*60-15)/15, tries, 2)
		require.Equal(t, tries, testutil.ToFloat64(db.metrics.compactionsFailed))
		require.EqualValues(t, 1, db.postponedJobs.Load())
		require.GreaterOrEqual(t, testutil.ToFloat64(db.metrics.reloads), 6*60.0, "the rest goes on")
		lines := log.with("tried again later")
		require.Len(t, lines, int(tries))
		require.Contains(t, lines[0], "step=cut failures=1 in=1m0s")
		require.Contains(t, lines[len(lines)-1], "in=15m0s")
		require.Contains(t, lines[0], "injected")
		requireFilled(t, db, aligned, aligned+5*hour)

		fail.Disarm()
		time.Sleep(15*time.Minute + time.Second)
		require.NotEmpty(t, db.Blocks())
		require.Zero(t, db.postponedJobs.Load())
		requireFilled(t, db, aligned, aligned+5*hour)
		require.NoError(t, db.Close())
	})
}

// readBlock reads a block outside of a bubble, so that the decoder which all share is made there.
func readBlock(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	fill(t, db, aligned, aligned+5*hour)
	require.NoError(t, db.Maintain(context.Background()))
	requireFilled(t, db, aligned, aligned+5*hour)
	require.NoError(t, db.Close())
}

// TestFailingJoinLeavesOthersAlone has a block with which joining failed: other blocks are joined
// meanwhile, and it is when its time has come, or when somebody asks.
func TestFailingJoinLeavesOthersAlone(t *testing.T) {
	now := time.UnixMilli(aligned).AddDate(0, 1, 0)
	opts := testOptions(vfs.NewMem())
	opts.MinBlockDuration, opts.MaxBlockDuration = 2*time.Hour, 6*time.Hour
	opts.Now = func() time.Time { return now }
	ctx := context.Background()
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+20*hour)
	require.NoError(t, db.cutAll(ctx))
	cut := len(db.Blocks())
	victim := db.Blocks()[0].ULID
	gone := ulid.MustNew(1, nil).String()
	db.retries.failed(victim.String(), now)
	db.retries.failed(gone, now)

	require.NoError(t, db.maintain(ctx, true))
	require.Contains(t, blockIDs(db), victim)
	require.Less(t, len(db.Blocks()), cut, "the others were joined")
	require.EqualValues(t, 1, db.postponedJobs.Load())
	require.NotContains(t, db.retries, gone, "a block that is gone is forgotten")

	now = now.Add(firstRetry)
	require.NoError(t, db.maintain(ctx, true))
	require.NotContains(t, blockIDs(db), victim)
	require.Zero(t, db.postponedJobs.Load())
	requireFilled(t, db, aligned, aligned+20*hour)
	require.NoError(t, db.Close())
}

func blockIDs(db *DB) (ids []ulid.ULID) {
	for _, b := range db.Blocks() {
		ids = append(ids, b.ULID)
	}
	return ids
}
