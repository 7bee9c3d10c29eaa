package tsdb

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// lateWorld is a database with writers that disagree about the time: a target,
// a replica that writes the same samples a few minutes later, and somebody who is
// an hour and a half behind, so that the head was cut there.
type lateWorld struct {
	t               *testing.T
	opts            Options
	db              *DB
	target, replica storage.Group
	want            storagetest.Contents
}

const (
	lateStep    = int64(60_000)
	replicaLag  = 4 * lateStep
	laggardsLag = 90 * lateStep
)

func (w *lateWorld) open() {
	w.t.Helper()
	w.db = openDB(w.t, w.opts)
	for _, g := range []*storage.Group{&w.target, &w.replica} {
		var err error
		*g, err = w.db.OpenGroup(storage.GroupOptions{Origin: "late"})
		require.NoError(w.t, err)
		for i := range 3 {
			_, err := (*g).AddColumn(name(i))
			require.NoError(w.t, err)
		}
	}
}

func (w *lateWorld) row(g storage.Group, ts int64) error {
	return g.AppendRow(&storage.Row{T: ts, Values: []float64{float64(ts), float64(ts / 7), 1}})
}

// step writes what the writers write at a time.
func (w *lateWorld) step(ts int64) {
	w.t.Helper()
	if ts/lateStep%5 != 0 { // every fifth row of the target fails; the replica has it
		require.NoError(w.t, w.row(w.target, ts))
	}
	if late := ts - replicaLag; late >= aligned {
		require.NoError(w.t, w.row(w.replica, late))
		for i, v := range []float64{float64(late), float64(late / 7), 1} {
			note(w.want, name(i), late, v)
		}
	}
	late := ts - laggardsLag
	if late < aligned {
		return
	}
	app := w.db.Appender(context.Background())
	for i := 10; i < 13; i++ {
		_, err := app.Append(0, name(i), late, float64(late+int64(i)))
		require.NoError(w.t, err)
		note(w.want, name(i), late, float64(late+int64(i)))
	}
	require.NoError(w.t, app.Commit())

	// What is there already is accepted, something else at its time is not.
	app = w.db.Appender(context.Background())
	_, err := app.Append(0, name(0), late, float64(late))
	require.NoError(w.t, err)
	_, err = app.Append(0, name(0), late, -1)
	require.ErrorIs(w.t, err, storage.ErrDuplicateSample)
	_, err = app.Append(0, name(0), ts-4*hour, 1)
	require.ErrorIs(w.t, err, storage.ErrTooOld)
	require.NoError(w.t, app.Commit())
}

// check compares what is read up to where the replica is.
func (w *lateWorld) check(now int64) {
	w.t.Helper()
	got := storagetest.ReadAll(w.t, w.db)
	require.Len(w.t, got, len(w.want))
	for series, want := range w.want {
		have := got[series]
		for len(have) > 0 && have[len(have)-1].T > now-replicaLag {
			have = have[:len(have)-1] // of the target only
		}
		require.Equal(w.t, want, have, "%s at %s", series, time.UnixMilli(now).UTC())
	}
}

func TestLateWriters(t *testing.T) {
	ctx := context.Background()
	w := &lateWorld{t: t, opts: testOptions(vfs.NewMem()), want: storagetest.Contents{}}
	w.opts.OutOfOrderWindow, w.opts.MaxBlockDuration = 3*time.Hour, 6*time.Hour
	w.open()
	for ts := aligned; ts < aligned+14*hour; ts += lateStep {
		w.step(ts)
		switch n := (ts - aligned) / lateStep; {
		case n%200 == 199:
			require.NoError(t, w.db.Close())
			w.open()
			w.check(ts)
		case n%30 == 29:
			require.NoError(t, w.db.Maintain(ctx))
			w.check(ts)
		case n%30 == 14:
			w.check(ts)
		}
	}
	require.NoError(t, w.db.Maintain(ctx))
	w.check(aligned + 14*hour - lateStep)
	var ranges []string
	last := int64(0)
	for _, b := range w.db.Blocks() {
		require.GreaterOrEqual(t, b.MinTime, last, "late blocks were joined with those that they overlap")
		last = b.MaxTime
		ranges = append(ranges, fmt.Sprintf("%d-%d", (b.MinTime-aligned)/hour, (b.MaxTime-aligned)/hour))
	}
	require.Equal(t, []string{"0-6", "6-8", "8-10", "10-12"}, ranges)
	require.NoError(t, w.db.Close())
}

func TestLateSamplesAreForgottenByTheCache(t *testing.T) {
	// The cache of what blocks have must see a deletion, and a new block.
	ctx := context.Background()
	opts := testOptions(vfs.NewMem())
	opts.OutOfOrderWindow, opts.MaxBlockDuration = 12*time.Hour, 2*time.Hour
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+6*hour)
	require.NoError(t, db.Maintain(ctx))
	require.Len(t, db.Blocks(), 2)
	write := func(ts int64, v float64) error {
		app := db.Appender(ctx)
		if _, err := app.Append(0, name(0), ts, v); err != nil {
			require.NoError(t, app.Rollback())
			return err
		}
		return app.Commit()
	}
	ts := aligned + hour
	require.NoError(t, write(ts, float64(ts)))
	require.ErrorIs(t, write(ts, 5), storage.ErrDuplicateSample)
	require.NoError(t, db.Delete(ctx, ts, ts, labels.MustNewMatcher(labels.MatchEqual, "i", "0")))
	require.NoError(t, write(ts, 5), "the place is free now")
	require.ErrorIs(t, write(ts, 6), storage.ErrDuplicateSample)
	require.NoError(t, write(ts+1, 7))
	fill(t, db, aligned+6*hour, aligned+12*hour)
	require.NoError(t, db.Maintain(ctx))
	require.ErrorIs(t, write(ts, 6), storage.ErrDuplicateSample, "it is in a block now")
	require.ErrorIs(t, write(ts+1, 6), storage.ErrDuplicateSample)
	require.NoError(t, write(ts+1, 7))
	for i := range maxOlderSeries + 10 {
		_, ok, err := db.blocks.Newest(name(100 + i))
		require.NoError(t, err)
		require.False(t, ok)
	}
	require.Len(t, db.blocks.older.byHash, maxOlderSeries, "it is bounded")
	require.NoError(t, db.Close())
}
