package tsdb

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/compact"
	"github.com/gnomonhq/gnomon/tsdb/head"
)

// drainTimeout bounds how long a cut waits for queriers that were open before
// it. If one is open for longer, the head is truncated later.
const drainTimeout = 10 * time.Second

// cut is samples that are in blocks and still in the head: rows older than
// before, and loose samples older than it of the transactions up to txn.
type cut struct {
	before int64
	txn    uint64
}

// cutDue returns where the head is to be cut. That is when it spans one and a
// half block ranges, so that slow writers still find their range in the head, or
// when a cut failed. The caller holds working.
func (db *DB) cutDue() (before int64, due bool) {
	length := db.opts.MinBlockDuration.Milliseconds()
	mint, maxt := max(db.head.MinTime(), db.head.Boundary()), db.head.MaxTime()
	if mint == math.MaxInt64 || mint > maxt || maxt-mint <= length/2*3 {
		return db.uncut, db.uncut != noTime
	}
	return alignedEnd(mint, length), true
}

// alignedEnd returns the end of the aligned range of the length that t lies in.
func alignedEnd(t, length int64) int64 {
	start := t - t%length
	if t%length < 0 {
		start -= length
	}
	return start + length
}

// cutHead writes what the head has before a time into blocks, a block for each
// aligned range, and removes it from the head. It leaves the log to checkpointCut. The
// caller holds working.
//
// The order makes every crash harmless: the blocks become visible on disk one
// by one, each as a whole; until the checkpoint is there the log still has the
// samples, and what is in both is seen once.
func (db *DB) cutHead(ctx context.Context, before int64) error {
	if err := db.truncateHead(ctx); err != nil {
		return err
	}
	db.head.SetBoundary(before)
	db.uncut = before
	c := &cut{before: before, txn: db.head.LastTransaction()}
	db.blocks.beginWriting()
	ids, err := db.writeRanges(ctx, before, allOrdered(ctx))
	if err != nil {
		db.abandonBlocks(ids)
		return fmt.Errorf("cut head before %d: %w", before, err)
	}
	if err := db.blocks.publish(ctx, ids, nil, before); err != nil {
		return fmt.Errorf("cut head before %d: %w", before, err)
	}
	db.untruncated, db.uncut = c, noTime
	db.opts.Logger.Info("head was cut", "before", before, "blocks", len(ids))
	return db.truncateHead(ctx)
}

// selection picks the series that are written to a block, in its order.
type selection func(*head.Querier) storage.SeriesSet

func allOrdered(ctx context.Context) selection {
	return func(q *head.Querier) storage.SeriesSet { return q.SelectOrdered(ctx) }
}

// writeRanges writes series of the head, up to a time, to a block for each aligned
// range.
func (db *DB) writeRanges(ctx context.Context, before int64, series selection) (ids []ulid.ULID, err error) {
	length := db.opts.MinBlockDuration.Milliseconds()
	db.blocks.mu.RLock()
	from := db.blocks.cutTo
	db.blocks.mu.RUnlock()
	for t := db.head.NextTime(noTime); t < before; {
		end := alignedEnd(t, length)
		meta, err := db.writeHead(ctx, db.dir, end-length, min(end, before), from, series)
		if err != nil {
			return ids, err
		}
		if meta.ULID != (ulid.ULID{}) {
			ids = append(ids, meta.ULID)
		}
		t = db.head.NextTime(end)
	}
	return ids, nil
}

// writeHead writes the samples of series of the head with mint <= t < maxt into a
// block. Rows older than rowMint are left out.
func (db *DB) writeHead(ctx context.Context, dir string, mint, maxt, rowMint int64, series selection) (block.Meta, error) {
	q := db.head.Querier(mint, maxt-1, rowMint)
	defer q.Close()
	target := db.target(dir)
	target.Meta.MinTime, target.Meta.MaxTime = mint, maxt
	target.Exemplars.Expected = q.CountExemplars()
	target.Meta.Stats.NumGroups = uint64(db.head.Groups())
	return compact.Write(ctx, target, []compact.Source{compact.SetSource(series(q))})
}

func (db *DB) target(dir string) compact.Target {
	return compact.Target{
		FS: db.opts.FS, Dir: dir, Now: db.opts.Now(), AlignMillis: db.opts.MinBlockDuration.Milliseconds(),
		Exemplars: compact.Exemplars{
			PerSeries: db.opts.SeriesExemplars, Total: db.opts.BlockExemplars,
			Dropped: func(n int) { db.metrics.exemplarsDropped.Add(float64(n)) },
		},
	}
}

// truncateHead removes from the head what was cut, once the queriers that read it
// there are closed. The log has it until checkpointCut. The caller holds working.
func (db *DB) truncateHead(ctx context.Context) error {
	c := db.untruncated
	if c == nil {
		return nil
	}
	if drained, err := db.drainHead(ctx); err != nil || !drained {
		return err
	}
	if err := db.head.Truncate(c.before, c.txn); err != nil {
		return fmt.Errorf("truncate head: %w", err)
	}
	db.untruncated, db.uncheckpointed = nil, true
	return nil
}

// checkpointCut removes from the log what was cut and has left the head. A checkpoint
// writes all that stays, so one is taken for all cuts that were due together. The
// caller holds working.
func (db *DB) checkpointCut(ctx context.Context) error {
	if !db.uncheckpointed {
		return nil
	}
	if err := db.checkpoint(ctx); err != nil {
		return err
	}
	db.uncheckpointed = false
	return nil
}

// checkpoint writes what is in no block into a checkpoint of the log.
func (db *DB) checkpoint(ctx context.Context) error {
	db.blocks.mu.RLock()
	from := db.blocks.cutTo
	db.blocks.mu.RUnlock()
	return db.head.Checkpoint(ctx, from)
}

// checkpointIfLong takes a checkpoint if much was logged since the last one: what a
// restart reads is bounded also while nothing is cut. The caller holds working.
func (db *DB) checkpointIfLong(ctx context.Context) error {
	last, since, err := db.head.LogSizes()
	if err != nil || since < max(db.opts.WALCheckpointBytes, 2*last) {
		return err
	}
	db.metrics.checkpointsOfSize.Inc()
	db.opts.Logger.Info("log is long, a checkpoint is taken", "bytes", since, "last_checkpoint_bytes", last)
	return db.checkpoint(ctx)
}

// drainHead waits for the queriers that are open, and reports whether they were
// closed in time.
func (db *DB) drainHead(ctx context.Context) (drained bool, err error) {
	wait, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	if err := db.head.Drain(wait); err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		db.opts.Logger.Info("head is truncated later, a query is still reading it")
		return false, nil
	}
	return true, nil
}
