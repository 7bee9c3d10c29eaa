package tsdb

import (
	"context"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/head"
)

// staleAfter is how long a series must have got nothing, beside having no target
// any more, to count as stale.
const staleAfter = 10 * time.Minute

// flushStale writes the series that have ended to blocks and removes them from
// the head, before it is cut, if their share of its series has reached the
// threshold. Their blocks overlap the one that the head is cut into later, and
// are joined with it. The caller holds working.
func (db *DB) flushStale(ctx context.Context) error {
	threshold := db.reloadable.Load().StaleSeriesThreshold
	if threshold <= 0 {
		db.staleSeries.Store(0)
		return nil
	}
	if err := db.removeStale(ctx); err != nil || db.unremoved != nil {
		return err
	}
	stale, all := db.head.StaleSeries(db.head.MaxTime()-staleAfter.Milliseconds()), db.head.Series()
	db.staleSeries.Store(int64(stale.Len()))
	if stale.Len() == 0 || float64(stale.Len()) < threshold*float64(all) {
		return nil
	}
	start := time.Now()
	db.metrics.staleTriggered.Inc()
	err := db.writeStale(ctx, stale)
	if err == nil {
		db.unremoved = stale
		err = db.removeStale(ctx)
	}
	if err != nil {
		db.metrics.staleFailed.Inc()
		return fmt.Errorf("flush stale series: %w", err)
	}
	db.metrics.staleSeconds.Observe(time.Since(start).Seconds())
	db.opts.Logger.Info("stale series left the head", "stale", stale.Len(), "of", all)
	return nil
}

// writeStale writes stale series to blocks, one for each aligned range, and makes
// them visible.
func (db *DB) writeStale(ctx context.Context, stale *head.StaleSeries) error {
	db.blocks.beginWriting()
	ids, err := db.writeRanges(ctx, db.head.MaxTime()+1, func(q *head.Querier) storage.SeriesSet {
		return q.SelectStale(ctx, stale)
	})
	if err != nil {
		db.abandonBlocks(ids)
		return err
	}
	return db.blocks.publish(ctx, ids, nil, noTime)
}

// abandonBlocks removes blocks that were written and are not to become visible.
func (db *DB) abandonBlocks(ids []ulid.ULID) {
	db.blocks.abandon()
	for _, id := range ids { // the next attempt writes them again
		if err := block.Delete(db.opts.FS, db.dir, id); err != nil {
			db.opts.Logger.Warn("block of a failed attempt cannot be deleted", "block", id, "err", err)
		}
	}
}

// removeStale removes from the head the stale series that are in blocks, once the
// queriers that read them there are closed.
func (db *DB) removeStale(ctx context.Context) error {
	if db.unremoved == nil {
		return nil
	}
	if drained, err := db.drainHead(ctx); err != nil || !drained {
		return err
	}
	removed, err := db.head.RemoveStale(db.unremoved)
	if err != nil {
		return fmt.Errorf("remove stale series: %w", err)
	}
	db.unremoved = nil
	db.staleSeries.Add(-int64(removed))
	return nil
}
