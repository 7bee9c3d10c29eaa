package scan

import (
	"context"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

// Exemplars returns the exemplars of a series with mint <= t <= maxt, without
// those in ranges that are deleted.
func (b *Block) Exemplars(id uint32, e *block.SeriesEntry, mint, maxt int64) ([]exemplar.Exemplar, error) {
	if !e.HasExemplars() {
		return nil, nil
	}
	list, err := b.Reader.Exemplars(e)
	if err != nil {
		return nil, err
	}
	deleted := b.Tombstones.Intervals(nil, id)
	return slices.DeleteFunc(list, func(x exemplar.Exemplar) bool {
		return x.Ts < mint || x.Ts > maxt || covered(deleted, x.Ts)
	}), nil
}

// Exemplars returns the exemplars in the range of the series that match any of
// the selectors.
func (q *Querier) Exemplars(ctx context.Context, selectors ...[]*labels.Matcher) ([]storage.ExemplarSeries, error) {
	r := q.block.Reader
	if r.Meta().Stats.NumExemplars == 0 {
		return nil, nil
	}
	ids := roaring.New()
	for _, ms := range selectors {
		some, err := index.Select(ctx, r, ms...)
		if err != nil {
			return nil, err
		}
		ids.Or(some)
	}
	var out []storage.ExemplarSeries
	var entry block.SeriesEntry
	builder := labels.NewScratchBuilder(16)
	for it := ids.Iterator(); it.HasNext(); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		id := it.Next()
		if err := r.Series(id, &builder, &entry); err != nil {
			return nil, err
		}
		list, err := q.block.Exemplars(id, &entry, q.mint, q.maxt)
		if err != nil {
			return nil, err
		}
		if len(list) > 0 {
			out = append(out, storage.ExemplarSeries{Labels: entry.Labels, Exemplars: list})
		}
	}
	slices.SortFunc(out, func(a, b storage.ExemplarSeries) int { return labels.Compare(a.Labels, b.Labels) })
	return out, nil
}
