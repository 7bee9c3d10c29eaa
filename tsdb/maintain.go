package tsdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/compact"
)

// maintainLoop does the maintenance until the database is closed.
func (db *DB) maintainLoop(ctx context.Context) {
	ticker := time.NewTicker(db.opts.MaintenanceInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		// Each step has told what failed.
		_ = db.maintain(ctx, true)
	}
}

// Maintain looks for blocks on disk, cuts the head as far as it is due, makes
// rollups, deletes what is over the retention, joins blocks and reclaims what was
// deleted. The database does so by itself every minute, and then leaves out what
// failed until it is time to try it again.
func (db *DB) Maintain(ctx context.Context) error { return db.maintain(ctx, false) }

// maintain does the maintenance. If it is patient it leaves out what failed until
// it is time to try it again.
func (db *DB) maintain(ctx context.Context, patient bool) error {
	if err := db.running(); err != nil {
		return err
	}
	if err := db.WaitReplayed(ctx); err != nil {
		return err
	}
	db.working.Lock()
	defer db.working.Unlock()
	db.patient = patient
	errs := []error{db.reload(), db.truncateHead(ctx)}
	for _, s := range []step{
		{stepCut, db.cutAll}, {stepStale, db.flushStale}, {stepCheckpoint, db.checkpointIfLong}, {stepRollups, db.rollUpAll},
		{stepExpire, db.expireSeries}, {stepRetention, func(context.Context) error { return db.enforceRetention() }},
	} {
		errs = append(errs, db.try(ctx, stepJob(s)))
	}
	errs = append(errs, db.compactAll(ctx), db.reclaim(ctx))
	db.forgetRetries()
	return errors.Join(errs...)
}

// reload looks for blocks on disk.
func (db *DB) reload() error {
	db.metrics.reloads.Inc()
	err := db.blocks.scanDisk()
	if err != nil {
		db.metrics.reloadsFailed.Inc()
	}
	if db.head == nil && errors.Is(err, block.ErrCorrupt) {
		return nil // a damaged block does not keep the others from being served
	}
	return err
}

// cutAll cuts the head as far as it is due. What an error leaves in the head stays in
// the log as well.
func (db *DB) cutAll(ctx context.Context) error {
	var failed error
	for failed == nil {
		before, due := db.cutDue()
		if !due {
			break
		}
		db.metrics.compactionsTriggered.Inc()
		if failed = db.cutHead(ctx, before); failed != nil {
			db.metrics.compactionsFailed.Inc()
		} else {
			db.metrics.compactions.Inc()
		}
	}
	return errors.Join(failed, db.checkpointCut(ctx))
}

// compactAll joins blocks until there is nothing to join. What cannot be joined is
// left for the next round and does not keep others from it; the head is cut in
// between when it is due, since joining may take long.
func (db *DB) compactAll(ctx context.Context) error {
	opts := compact.PlanOptions{MinRange: db.opts.MinBlockDuration.Milliseconds(), MaxRange: db.opts.MaxBlockDuration.Milliseconds()}
	failed := map[ulid.ULID]bool{}
	for _, m := range db.blocks.metas() {
		failed[m.ULID] = db.postponed(m.ULID.String())
	}
	var errs []error
	for ctx.Err() == nil {
		metas := db.blocks.metas()
		for i := range metas {
			metas[i].Compaction.Failed = metas[i].Compaction.Failed || failed[metas[i].ULID]
		}
		plan := compact.Plan(metas, opts)
		if plan == nil {
			break
		}
		if err := db.tryJoin(ctx, stepJoin, plan); err != nil {
			errs = append(errs, err)
			for _, id := range plan {
				failed[id] = true
			}
			continue
		}
		errs = append(errs, db.try(ctx, stepJob(step{stepCut, db.cutAll})))
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// tryJoin joins blocks, and postpones what is done with them if that fails.
func (db *DB) tryJoin(ctx context.Context, step string, ids []ulid.ULID) error {
	return db.try(ctx, blockJob(step, ids, func(ctx context.Context) error {
		db.metrics.compactionsTriggered.Inc()
		if err := db.join(ctx, ids); err != nil {
			db.metrics.compactionsFailed.Inc()
			return err
		}
		db.metrics.compactions.Inc()
		return nil
	}))
}

// join makes one block of several. Blocks that cannot be read are marked, so
// that they are not tried again and again.
func (db *DB) join(ctx context.Context, ids []ulid.ULID) error {
	var parts []*block.Reader
	for _, r := range db.blocks.readers() {
		if slices.Contains(ids, r.Meta().ULID) && r.Acquire() {
			defer r.Release()
			parts = append(parts, r)
		}
	}
	db.blocks.beginWriting()
	start := time.Now()
	meta, err := compact.Merge(ctx, db.target(db.dir), parts)
	if err != nil {
		db.blocks.abandon()
		if errors.Is(err, block.ErrCorrupt) {
			for _, r := range parts {
				err = errors.Join(err, r.SetCompactionFailed())
			}
		}
		return fmt.Errorf("join blocks %v: %w", ids, err)
	}
	var added []ulid.ULID
	if meta.ULID != (ulid.ULID{}) {
		added = append(added, meta.ULID)
	}
	if err := db.blocks.publish(ctx, added, parts, noTime); err != nil {
		return fmt.Errorf("join blocks %v: %w", ids, err)
	}
	db.metrics.compactionSeconds.Observe(time.Since(start).Seconds())
	db.opts.Logger.Info("blocks were joined", "blocks", len(parts), "to", meta.ULID, "samples", meta.Stats.NumSamples, "took", time.Since(start))
	return nil
}

// CleanTombstones writes blocks with deletions anew, without what was deleted.
func (db *DB) CleanTombstones(ctx context.Context) error {
	if err := db.running(); err != nil {
		return err
	}
	db.working.Lock()
	defer db.working.Unlock()
	start := time.Now()
	for _, r := range db.blocks.readers() {
		if r.Tombstones().Len() == 0 {
			continue
		}
		if err := db.join(ctx, []ulid.ULID{r.Meta().ULID}); err != nil {
			return fmt.Errorf("clean tombstones: %w", err)
		}
	}
	db.metrics.tombstoneCleanup.Observe(time.Since(start).Seconds())
	return nil
}
