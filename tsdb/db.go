package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/head"
	"github.com/gnomonhq/gnomon/tsdb/rollup"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// Names in the folder of a database.
const (
	walDir    = "wal"
	lockFile  = "lock"
	ownerFile = "lock.owner"
)

// DB is a database: a head and blocks. It implements storage.Store, and may be
// used from any number of goroutines.
//
// Lock order: working, then blocks.mu, then what head has. The head reads blocks
// under its locks, which takes none of these.
type DB struct {
	opts    Options
	dir     string
	started time.Time
	head    *head.Head
	metrics *metrics
	blocks  *blockSet

	reloadable atomic.Pointer[Reloadable]

	// working is held by whatever cuts, joins, deletes or copies blocks: one at
	// a time.
	working sync.Mutex
	// The following are guarded by working.
	// uncut is where a cut that failed was to be, noTime if none did.
	uncut int64
	// untruncated is what was cut and is still in the head.
	untruncated *cut
	// uncheckpointed says that something has left the head after a cut and is still
	// in the log.
	uncheckpointed bool
	// unremoved is the stale series that are in blocks and still in the head.
	unremoved *head.StaleSeries
	// expired says how far the rules of retention were applied to the blocks, and
	// deleted how much of those with tombstones is deleted.
	expired map[ulid.ULID]expiry
	deleted map[ulid.ULID]deletedShare
	// retries has what failed, and patient says to leave it out until it is due.
	retries retries
	patient bool
	// unrollable are rollups that met a damaged block.
	unrollable []rollup.Job

	changes *head.Changes

	// staleSeries is how many series of the head were stale at the last look.
	staleSeries atomic.Int64
	// postponedJobs is how much of the maintenance failed and is to be tried again.
	postponedJobs atomic.Int64
	// diskUnknown says that it was said that the disk's size is unknown.
	diskUnknown atomic.Bool

	lock   *folderLock
	cancel context.CancelFunc
	// tasks is the maintenance loop; Add only in Open.
	tasks  sync.WaitGroup
	closed atomic.Bool
}

var (
	_ storage.Store         = (*DB)(nil)
	_ storage.ChangeTracker = (*DB)(nil)
	_ storage.SeriesKnower  = (*DB)(nil)
)

// Open opens the database in a folder, made if it is missing, and reads its
// log. It fails if another process has the folder open. Close ends it.
func Open(ctx context.Context, dir string, opts Options) (*DB, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("open database %s: %w", dir, err)
	}
	if err := vfs.MkdirAllSync(opts.FS, dir); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db := &DB{opts: opts, dir: dir, started: opts.Now(), retries: retries{}, uncut: noTime, changes: head.NewChanges()}
	db.reloadable.Store(&opts.Reloadable)
	if !opts.NoLockfile {
		lock, err := lockFolder(opts.FS, dir)
		if err != nil {
			return nil, err
		}
		db.lock = lock
	}
	if err := db.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", dir, err), db.lock.release())
	}
	loop, cancel := context.WithCancel(context.Background())
	db.cancel = cancel
	if opts.MaintenanceInterval > 0 {
		db.tasks.Go(func() { db.maintainLoop(loop) })
	}
	return db, nil
}

// load opens blocks and head.
func (db *DB) load(ctx context.Context) error {
	if err := block.RemoveTemporary(db.opts.FS, db.dir); err != nil {
		return err
	}
	db.blocks = newBlockSet(db.opts.FS, db.dir, db.opts.Logger, db.changes)
	db.metrics = newMetrics(db, db.opts.Registerer)
	if err := db.openHead(ctx); err != nil {
		db.metrics.unregister()
		db.blocks.close()
		return err
	}
	// What was cut from the head lies before its samples, and before now; blocks
	// from elsewhere may reach beyond, and then do not count.
	db.head.SetBoundary(db.blocks.endBefore(max(db.head.MaxTime(), db.opts.Now().UnixMilli()) + 1))
	if newest, ok := db.blocks.newest(); ok {
		db.head.ObserveNewest(newest)
	}
	return nil
}

// openHead opens what is on disk: the blocks, then the head, which may ask them.
func (db *DB) openHead(ctx context.Context) error {
	if err := db.reload(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	first, last := db.segments()
	h, err := head.Open(head.Options{
		Logger: db.opts.Logger, Registerer: db.opts.Registerer,
		FS: db.opts.FS, Dir: filepath.Join(db.dir, walDir),
		WAL: db.walOptions(), Older: db.blocks, Changes: db.changes, Settings: db.settings(),
		OnReplay:   func(s head.ReplayStatus) { db.reportReplay(s, first, last) },
		Background: db.opts.ReplayInBackground,
	})
	db.head = h
	return err
}

func (db *DB) walOptions() wal.Options {
	o := wal.Options{
		SegmentBytes: db.opts.WALSegmentBytes, SyncInterval: db.opts.WALSync.Interval,
		ReservedBytes: max(db.opts.ReservedBytes, 0), Uncompressed: db.opts.WALUncompressed,
	}
	switch {
	case db.opts.WALSync.Always:
		o.Sync = wal.SyncAlways
	case db.opts.WALSync.Never:
		o.Sync = wal.SyncNever
	}
	return o
}

// settings translates what can be reloaded into what the head wants.
func (db *DB) settings() head.Settings {
	r := db.reloadable.Load()
	return head.Settings{
		Window:    r.OutOfOrderWindow.Milliseconds(),
		Retention: max(r.longestRetention().Milliseconds(), 0),
		Limits: head.Limits{
			MaxSeries: r.MaxSeries, MaxSeriesPerJob: r.MaxSeriesPerJob, MaxLabels: max(r.MaxLabels, 0),
			MaxLabelNameBytes: max(r.MaxLabelNameBytes, 0), MaxLabelValueBytes: max(r.MaxLabelValueBytes, 0),
		},
		MaxExemplars: max(r.MaxExemplars, 0),
	}
}

// ApplyConfig changes the settings that can be reloaded. An error says what is
// wrong with them and changes nothing.
func (db *DB) ApplyConfig(r Reloadable) error {
	r = r.withDefaults()
	if err := r.validate(); err != nil {
		return fmt.Errorf("database settings: %w", err)
	}
	db.reloadable.Store(&r)
	db.head.Apply(db.settings())
	return nil
}

// Close waits for running calls, stops the maintenance and closes the log.
// Queriers that are open stay valid until they are closed.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return fmt.Errorf("database: %w", storage.ErrClosed)
	}
	db.cancel()
	db.head.StopReplay() // maintenance may wait for it
	db.tasks.Wait()
	db.working.Lock()
	defer db.working.Unlock()
	err := db.head.Close()
	db.blocks.close()
	db.metrics.unregister()
	return errors.Join(err, db.lock.release())
}

func (db *DB) running() error {
	if db.closed.Load() {
		return fmt.Errorf("database: %w", storage.ErrClosed)
	}
	return nil
}

// OpenGroup makes a group.
func (db *DB) OpenGroup(opts storage.GroupOptions) (storage.Group, error) {
	return db.head.OpenGroup(opts)
}

// Appender begins a transaction.
func (db *DB) Appender(ctx context.Context) storage.Appender { return db.head.Appender(ctx) }

// Delete deletes samples: from blocks by a tombstone beside them, from the head
// at once. Both survive a crash when it returns.
func (db *DB) Delete(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) error {
	if err := db.running(); err != nil {
		return err
	}
	if err := checkDeletion(ms); err != nil {
		return err
	}
	if err := db.WaitReplayed(ctx); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if mint > maxt {
		return fmt.Errorf("delete: the end %d is before the start %d", maxt, mint)
	}
	if err := db.rememberOrder(ctx, mint, maxt, ms); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if err := db.blocks.delete(ctx, mint, maxt, ms, func() error { return db.head.Delete(ctx, mint, maxt, ms...) }); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

// checkDeletion refuses to delete everything by accident.
func checkDeletion(ms []*labels.Matcher) error {
	for _, m := range ms {
		if !m.Matches("") {
			return nil
		}
	}
	return errors.New("delete: at least one matcher must not match the empty string")
}

// WaitReplayed waits until all of the log has been read: see
// Options.ReplayInBackground. It fails if the database is closed before.
func (db *DB) WaitReplayed(ctx context.Context) error { return db.head.WaitReplayed(ctx) }

// ChangedSince implements storage.ChangeTracker.
func (db *DB) ChangedSince(mark storage.Mark) (now storage.Mark, least int64) {
	return db.changes.Since(mark)
}

// KnowsSeries implements storage.SeriesKnower.
func (db *DB) KnowsSeries(ls labels.Labels) bool { return db.head.KnowsSeries(ls) }

// StartTime returns when the database was opened.
func (db *DB) StartTime() time.Time { return db.started }

// Dir returns the folder.
func (db *DB) Dir() string { return db.dir }

// MinTime returns the time of the oldest sample, or a little before it;
// math.MaxInt64 if there is none.
func (db *DB) MinTime() int64 {
	return min(db.head.MinTime(), db.blocks.minTime())
}

// MaxTime returns the time of the newest sample, or a little after it;
// math.MinInt64 if there is none.
func (db *DB) MaxTime() int64 {
	t := db.head.MaxTime()
	if newest, ok := db.blocks.newest(); ok {
		t = max(t, newest)
	}
	return t
}

// noTime is the boundary of a database that was never cut.
const noTime = math.MinInt64
