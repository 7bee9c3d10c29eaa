package tsdb

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// testOptions leaves maintenance to the test.
func testOptions(fsys vfs.FS) Options {
	return Options{
		FS: fsys, MaintenanceInterval: -1,
		Now: func() time.Time { return time.UnixMilli(storagetest.Base).AddDate(0, 1, 0) },
	}
}

func openDB(t testing.TB, opts Options) *DB {
	t.Helper()
	db, err := Open(context.Background(), "data", opts)
	require.NoError(t, err)
	return db
}

// flushAll moves all of the head into blocks and joins them as far as possible.
func flushAll(t testing.TB, db *DB) {
	t.Helper()
	ctx := context.Background()
	db.working.Lock()
	defer db.working.Unlock()
	if maxt := db.head.MaxTime(); maxt != math.MinInt64 {
		require.NoError(t, db.cutHead(ctx, maxt+1))
		require.NoError(t, db.checkpointCut(ctx))
	}
	require.NoError(t, db.compactAll(ctx))
}

func harness() storagetest.Harness {
	return storagetest.Harness{
		Open: func(t testing.TB, outOfOrder int64) storage.Store {
			opts := testOptions(vfs.NewMem())
			opts.OutOfOrderWindow = time.Duration(outOfOrder) * time.Millisecond
			return openDB(t, opts)
		},
		Reopen: func(t testing.TB, s storage.Store) storage.Store {
			db := s.(*DB)
			if err := s.Close(); err != nil {
				require.ErrorIs(t, err, storage.ErrClosed)
			}
			return openDB(t, db.opts)
		},
		Flush: func(t testing.TB, s storage.Store) { flushAll(t, s.(*DB)) },
	}
}

func TestConformance(t *testing.T) { storagetest.Run(t, harness()) }

// backgroundDB is a database that is written to while its log is being read; queries and
// statistics wait.
type backgroundDB struct{ *DB }

func (b backgroundDB) Querier(mint, maxt int64) (storage.Querier, error) {
	if err := b.WaitReplayed(context.Background()); err != nil {
		return nil, err
	}
	return b.DB.Querier(mint, maxt)
}

// inBackground is a harness whose databases are written to while their logs are being read.
func inBackground(h storagetest.Harness) storagetest.Harness {
	open, reopen, flush, crash := h.Open, h.Reopen, h.Flush, h.Crash
	h.Open = func(t testing.TB, outOfOrder int64) storage.Store {
		db := open(t, outOfOrder).(*DB)
		db.opts.ReplayInBackground = true // from the next opening on
		return backgroundDB{db}
	}
	h.Reopen = func(t testing.TB, s storage.Store) storage.Store {
		return backgroundDB{reopen(t, s.(backgroundDB).DB).(*DB)}
	}
	h.Flush = func(t testing.TB, s storage.Store) {
		db := s.(backgroundDB).DB
		require.NoError(t, db.WaitReplayed(context.Background()))
		flush(t, db)
	}
	if crash != nil {
		h.Crash = func(t testing.TB, s storage.Store) storage.Store {
			return backgroundDB{crash(t, s.(backgroundDB).DB).(*DB)}
		}
	}
	return h
}

func TestConformanceInBackground(t *testing.T) { storagetest.Run(t, inBackground(harness())) }
