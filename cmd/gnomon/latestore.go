package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb"
	"github.com/gnomonhq/gnomon/web/api"
)

// errStoreNotOpen is what a reader or writer gets that comes before the
// database has been opened.
var errStoreNotOpen = errors.New("the database is not open yet")

var (
	_ storage.RollupQueryable = (*lateStore)(nil)
	_ storage.ChangeTracker   = (*lateStore)(nil)
	_ storage.SeriesKnower    = (*lateStore)(nil)
)

// lateStore is the database to everything that is built before it is opened:
// opening reads what series the log has, and the server answers meanwhile. Calls
// fail until set was called.
type lateStore struct {
	db     atomic.Pointer[tsdb.DB]
	replay atomic.Pointer[tsdb.ReplayStatus] // nil before the first report
}

func (l *lateStore) set(db *tsdb.DB) { l.db.Store(db) }

func (l *lateStore) get() (*tsdb.DB, error) {
	if db := l.db.Load(); db != nil {
		return db, nil
	}
	return nil, errStoreNotOpen
}

// Querier opens a snapshot.
func (l *lateStore) Querier(mint, maxt int64) (storage.Querier, error) {
	db, err := l.get()
	if err != nil {
		return nil, err
	}
	return db.Querier(mint, maxt)
}

// HasRollups reports whether rollups would answer some of the windows.
func (l *lateStore) HasRollups(w storage.Windows) bool {
	db, err := l.get()
	return err == nil && db.HasRollups(w)
}

// SamplesGone returns the time up to which there are rollups of samples that are
// gone.
func (l *lateStore) SamplesGone() int64 {
	db, err := l.get()
	if err != nil {
		return math.MinInt64
	}
	return db.SamplesGone()
}

// ChangedSince tells what has changed since a mark.
func (l *lateStore) ChangedSince(mark storage.Mark) (now storage.Mark, least int64) {
	db, err := l.get()
	if err != nil {
		return 0, math.MinInt64
	}
	return db.ChangedSince(mark)
}

// KnowsSeries reports whether a series is in memory.
func (l *lateStore) KnowsSeries(ls labels.Labels) bool {
	db, err := l.get()
	return err == nil && db.KnowsSeries(ls)
}

// OpenGroup makes a group.
func (l *lateStore) OpenGroup(opts storage.GroupOptions) (storage.Group, error) {
	db, err := l.get()
	if err != nil {
		return nil, err
	}
	return db.OpenGroup(opts)
}

// Appender begins a transaction. Nothing that appends runs before the database
// is open, so that asking too early is a mistake of the wiring.
func (l *lateStore) Appender(ctx context.Context) storage.Appender {
	db, err := l.get()
	if err != nil {
		panic(err)
	}
	return db.Appender(ctx)
}

// Delete deletes samples.
func (l *lateStore) Delete(ctx context.Context, mint, maxt int64, matchers ...*labels.Matcher) error {
	db, err := l.get()
	if err != nil {
		return err
	}
	return db.Delete(ctx, mint, maxt, matchers...)
}

// CleanTombstones reclaims the space of what was deleted.
func (l *lateStore) CleanTombstones(ctx context.Context) error {
	db, err := l.get()
	if err != nil {
		return err
	}
	return db.CleanTombstones(ctx)
}

// Snapshot writes a copy of the database into snapshots/name of its folder.
func (l *lateStore) Snapshot(ctx context.Context, name string, withHead bool) error {
	db, err := l.get()
	if err != nil {
		return err
	}
	return db.Snapshot(ctx, filepath.Join(db.Dir(), "snapshots", name), withHead)
}

// Stats returns what the head has.
func (l *lateStore) Stats(_ context.Context, limit int) (api.TSDBStats, error) {
	db, err := l.get()
	if err != nil {
		return api.TSDBStats{}, err
	}
	s, err := db.Stats(limit)
	if err != nil {
		return api.TSDBStats{}, err
	}
	return api.TSDBStats{
		NumSeries: uint64(s.Head.Series), NumLabelPairs: s.Head.LabelPairs, ChunkCount: int64(s.Head.Chunks),
		MinTime: s.Head.MinTime, MaxTime: s.Head.MaxTime,
		SeriesByMetricName: cardinalities(s.SeriesByMetric), ValuesByLabelName: cardinalities(s.ValuesByLabel),
		BytesByLabelName: cardinalities(s.BytesByLabel), SeriesByLabelValuePair: cardinalities(s.SeriesByPair),
	}, nil
}

func cardinalities(stats []tsdb.Stat) []api.Cardinality {
	out := make([]api.Cardinality, len(stats))
	for i, s := range stats {
		out[i] = api.Cardinality(s)
	}
	return out
}

// Blocks returns the loaded blocks.
func (l *lateStore) Blocks(context.Context) ([]api.Block, error) {
	db, err := l.get()
	if err != nil {
		return nil, err
	}
	infos := db.Blocks()
	out := make([]api.Block, len(infos))
	for i, b := range infos {
		out[i] = api.Block{
			ULID: b.ULID.String(), MinTime: b.MinTime, MaxTime: b.MaxTime, Version: 1,
			Stats:      api.BlockStats{Samples: b.Samples, Series: b.Series, Chunks: b.Chunks},
			Compaction: api.BlockCompaction{Level: b.Level},
		}
		for _, source := range b.Sources {
			out[i].Compaction.Sources = append(out[i].Compaction.Sources, source.String())
		}
	}
	return out, nil
}

// WALReplay returns how far reading the log is.
func (l *lateStore) WALReplay() api.WALReplay {
	r := l.replay.Load()
	if r == nil {
		return api.WALReplay{}
	}
	return api.WALReplay{Min: r.Min, Current: r.Current, Max: r.Max}
}

// readyNote says how far reading the log is, if it is not over.
func (l *lateStore) readyNote() string {
	r := l.replay.Load()
	if r == nil || r.Done {
		return ""
	}
	return fmt.Sprintf("The write-ahead log is being replayed: %d of %d bytes. New samples are taken; older ones may be missing in queries, and rules wait.", r.Bytes, r.TotalBytes)
}
