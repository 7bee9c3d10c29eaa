package tsdb

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

// longestRetention returns the longest time that a series is kept; negative is
// for ever.
func (r *Reloadable) longestRetention() time.Duration {
	longest := r.Retention
	for _, rule := range r.RetentionRules {
		if longest >= 0 {
			longest = max(longest, rule.Time)
		}
	}
	return longest
}

// newestTime returns the time of the newest sample, from which retention counts.
func (db *DB) newestTime() (int64, bool) {
	// A block from elsewhere may be the newest that there is.
	newest, ok := db.blocks.newest()
	return max(newest, db.head.MaxTime()), ok
}

// enforceRetention deletes blocks that are too old or too much. The caller holds
// working.
func (db *DB) enforceRetention() error {
	r := db.reloadable.Load()
	list := db.blocks.readers()
	var old []*block.Reader
	newest, ok := db.newestTime()
	if ok && r.longestRetention() > 0 {
		limit := newest - r.longestRetention().Milliseconds()
		for _, b := range list {
			if b.Meta().MaxTime <= limit {
				old = append(old, b)
			}
		}
	}
	old = append(old, db.rollupsOver(newest)...)
	db.metrics.timeRetentions.Add(float64(len(old)))
	if limit := db.maxBytes(r); limit > 0 {
		left := limit - db.walBytes()
		list = sortedReaders(db.blocks.list.Load().all()) // whatever they are, the oldest go first
		for i := len(list) - 1; i >= 0; i-- {
			if left -= list[i].Size(); left < 0 && !slices.Contains(old, list[i]) {
				old = append(old, list[i])
				db.metrics.sizeRetentions.Inc()
			}
		}
	}
	if len(old) == 0 {
		return nil
	}
	for _, b := range old {
		db.opts.Logger.Info("block is deleted by retention", "block", b.Meta().ULID, "mint", b.Meta().MinTime, "maxt", b.Meta().MaxTime)
	}
	return db.blocks.drop(old)
}

// maxBytes returns the bound of blocks and log, 0 if there is none.
func (db *DB) maxBytes(r *Reloadable) int64 {
	if r.RetentionPercentage == 0 {
		return r.RetentionBytes
	}
	size, err := db.opts.FS.DiskSize(db.dir)
	if err != nil || size <= 0 {
		if db.diskUnknown.CompareAndSwap(false, true) {
			db.opts.Logger.Warn("size of the disk is unknown, so that the share of it is not bounded", "err", err, "bound", r.RetentionBytes)
		}
		return r.RetentionBytes
	}
	return max(int64(float64(size)*r.RetentionPercentage/100), 1)
}

func (db *DB) walBytes() int64 {
	n, err := db.head.LogBytes()
	if err != nil {
		return 0
	}
	return n
}

// expiry is how far the rules of retention were applied to a block.
type expiry struct {
	settings *Reloadable
	ends     []int64
}

// expireSeries deletes from blocks what is over the time of its rule, or over the
// general one where others are kept for longer. Whoever is kept longest needs no
// deletion: see enforceRetention. Time goes in steps of the smallest block, so
// that a block is not touched every minute. The caller holds working.
func (db *DB) expireSeries(ctx context.Context) error {
	r := db.reloadable.Load()
	newest, ok := db.newestTime()
	if len(r.RetentionRules) == 0 || !ok {
		db.expired = nil
		return nil
	}
	now, deletions := map[ulid.ULID]expiry{}, false
	for _, b := range db.blocks.readers() {
		meta := b.Meta()
		if meta.ResolutionMillis != 0 {
			continue
		}
		ends := db.expiryEnds(r, newest, meta.MaxTime)
		before := db.expired[meta.ULID]
		if before.settings != r || !slices.Equal(before.ends, ends) {
			db.changes.Note(meta.MinTime)
			defer db.changes.Note(meta.MinTime)
			if err := db.expireFrom(ctx, b, r, ends); err != nil {
				db.expired = nil
				return fmt.Errorf("retention rules: block %s: %w", meta.ULID, err)
			}
			deletions = true
		}
		now[meta.ULID] = expiry{r, ends}
	}
	db.expired = now
	if deletions {
		db.blocks.refresh()
	}
	return nil
}

// expiryEnds returns for each rule, and for series without one, up to where
// samples have expired, exclusive; at most maxt.
func (db *DB) expiryEnds(r *Reloadable, newest, maxt int64) []int64 {
	length, longest := db.opts.MinBlockDuration.Milliseconds(), r.longestRetention()
	ends := make([]int64, 0, len(r.RetentionRules)+1)
	end := func(keep time.Duration) {
		if keep < 0 || keep == longest {
			ends = append(ends, noTime)
			return
		}
		ends = append(ends, min(maxt, alignedEnd(newest-keep.Milliseconds(), length)-length))
	}
	for _, rule := range r.RetentionRules {
		end(rule.Time)
	}
	end(r.Retention)
	return ends
}

// expireFrom deletes what has expired from one block.
func (db *DB) expireFrom(ctx context.Context, b *block.Reader, r *Reloadable, ends []int64) error {
	mint := b.Meta().MinTime
	if !b.Acquire() {
		return nil
	}
	defer b.Release()
	left, err := b.All()
	if err != nil {
		return err
	}
	for i, end := range ends {
		if slices.Max(ends[i:]) <= mint {
			return nil
		}
		ids := left
		if i < len(r.RetentionRules) {
			if ids, err = selectIn(ctx, b, left, r.RetentionRules[i].Matchers); err != nil {
				return err
			}
			left.AndNot(ids)
		}
		if end <= mint {
			continue
		}
		if ids, err = withSamples(ctx, b, ids, end-1); err != nil {
			return err
		}
		if ids.IsEmpty() {
			continue
		}
		if err := b.Delete(block.Interval{MinT: mint, MaxT: end - 1}, ids); err != nil {
			return err
		}
		db.metrics.ruleExpirations.Inc()
	}
	return nil
}

// selectIn returns the series of the set that match.
func selectIn(ctx context.Context, b *block.Reader, set *roaring.Bitmap, ms []*labels.Matcher) (*roaring.Bitmap, error) {
	ids, err := index.Select(ctx, b, ms...)
	if err != nil {
		return nil, err
	}
	ids.And(set)
	return ids, nil
}

// withSamples returns the series of the set that have a sample up to maxt which
// is not deleted.
func withSamples(ctx context.Context, b *block.Reader, set *roaring.Bitmap, maxt int64) (*roaring.Bitmap, error) {
	out, tombs := roaring.New(), b.Tombstones()
	var deleted []block.Interval
	err := eachSeries(ctx, b, set, func(id uint32, e *block.SeriesEntry) error {
		deleted = tombs.Intervals(deleted[:0], id)
		all, gone, err := countDeleted(b, e, deleted, maxt)
		if all > gone {
			out.Add(id)
		}
		return err
	})
	return out, err
}
