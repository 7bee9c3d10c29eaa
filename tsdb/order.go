package tsdb

import (
	"context"
	"errors"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/index"
	"github.com/gnomonhq/gnomon/tsdb/scan"
)

// rememberOrder has the head remember the newest samples that a deletion is
// about to take from blocks, as far as they are recent: a deletion forgets
// samples, not the order, and joining blocks drops what was deleted.
func (db *DB) rememberOrder(ctx context.Context, mint, maxt int64, ms []*labels.Matcher) error {
	recent := db.head.RememberedFrom()
	for _, r := range db.blocks.readers() {
		if meta := r.Meta(); meta.MaxTime <= recent || meta.MaxTime <= mint || meta.MinTime > maxt {
			continue
		}
		if err := db.rememberBlock(ctx, r, mint, maxt, ms); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) rememberBlock(ctx context.Context, r *block.Reader, mint, maxt int64, ms []*labels.Matcher) error {
	if !r.Acquire() {
		return nil
	}
	defer r.Release()
	ids, err := index.Select(ctx, r, ms...)
	if err != nil {
		return err
	}
	var entry block.SeriesEntry
	builder := labels.NewScratchBuilder(16)
	for it := ids.Iterator(); it.HasNext(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.Series(it.Next(), &builder, &entry); err != nil {
			return err
		}
		newest, ok, err := scan.Newest(r, &entry)
		if err != nil {
			return err
		}
		if !ok || newest < mint || newest > maxt {
			continue
		}
		if err := db.head.Remember(entry.Labels, newest); err != nil && !errors.Is(err, storage.ErrSeriesLimit) && !errors.Is(err, storage.ErrLabelLimit) {
			return err
		}
	}
	return nil
}
