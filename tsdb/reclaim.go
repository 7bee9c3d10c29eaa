package tsdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/scan"
)

// agedShare is the share of deleted samples that is enough to write a block anew
// when its last deletion is Options.ReclaimAge ago.
const agedShare = 0.01

// deletedShare is the share of a block's samples that are deleted, as its
// tombstones were when it was worked out.
type deletedShare struct {
	tombs *block.Tombstones
	share float64
}

// reclaim writes one block anew, the oldest of those with enough deletions,
// without what was deleted. It is one a round, so that many deletions do not keep
// the disk busy. The caller holds working.
func (db *DB) reclaim(ctx context.Context) error {
	now := map[ulid.ULID]deletedShare{}
	var due *block.Reader
	var errs []error
	for _, b := range db.blocks.readers() {
		tombs, meta := b.Tombstones(), b.Meta()
		if tombs.Len() == 0 {
			continue
		}
		have := db.deleted[meta.ULID]
		if have.tombs != tombs {
			share, err := shareDeleted(ctx, b)
			if err != nil {
				errs = append(errs, fmt.Errorf("reclaim: block %s: %w", meta.ULID, err))
				continue
			}
			have = deletedShare{tombs, share}
		}
		now[meta.ULID] = have
		if due == nil && !meta.Compaction.Failed && !db.postponed(meta.ULID.String()) && db.reclaimDue(b, have.share) {
			due = b
		}
	}
	db.deleted = now
	if due != nil {
		if err := db.tryJoin(ctx, stepReclaim, []ulid.ULID{due.Meta().ULID}); err != nil {
			errs = append(errs, fmt.Errorf("reclaim: %w", err))
		} else {
			db.metrics.reclaimed.Inc()
		}
	}
	return errors.Join(errs...)
}

// reclaimDue says whether a share of deleted samples is enough.
func (db *DB) reclaimDue(b *block.Reader, share float64) bool {
	if share >= db.opts.ReclaimShare {
		return true
	}
	if share < agedShare {
		return false
	}
	info, err := db.opts.FS.Stat(filepath.Join(b.Dir(), block.TombstonesFile))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			db.opts.Logger.Warn("age of deletions is unknown", "block", b.Meta().ULID, "err", err)
		}
		return false
	}
	return db.opts.Now().Sub(info.ModTime) >= db.opts.ReclaimAge
}

// shareDeleted returns the share of a block's samples that are deleted.
func shareDeleted(ctx context.Context, b *block.Reader) (float64, error) {
	if !b.Acquire() {
		return 0, nil
	}
	defer b.Release()
	tombs, rows := b.Tombstones(), 0
	var deleted []block.Interval
	err := eachSeries(ctx, b, tombs.Series(), func(id uint32, e *block.SeriesEntry) error {
		deleted = tombs.Intervals(deleted[:0], id)
		_, gone, err := countDeleted(b, e, deleted, math.MaxInt64)
		rows += gone
		return err
	})
	return float64(rows) / float64(max(b.Meta().Stats.NumSamples, 1)), err
}

// countDeleted counts the rows of a series up to maxt, and those of them that are
// in the intervals.
func countDeleted(b *block.Reader, e *block.SeriesEntry, deleted []block.Interval, maxt int64) (all, gone int, err error) {
	all, err = scan.CountRows(b, e, math.MinInt64, maxt)
	for _, iv := range deleted {
		if err != nil || iv.MinT > maxt {
			break
		}
		var n int
		n, err = scan.CountRows(b, e, iv.MinT, min(iv.MaxT, maxt))
		gone += n
	}
	return all, gone, err
}

// eachSeries calls f for the series of the set. The caller holds the reader.
func eachSeries(ctx context.Context, b *block.Reader, set *roaring.Bitmap, f func(id uint32, e *block.SeriesEntry) error) error {
	var entry block.SeriesEntry
	builder := labels.NewScratchBuilder(16)
	for it := set.Iterator(); it.HasNext(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		id := it.Next()
		err := b.Series(id, &builder, &entry)
		if err == nil {
			err = f(id, &entry)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
