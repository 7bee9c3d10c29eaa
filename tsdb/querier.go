package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/rollup"
	"github.com/gnomonhq/gnomon/tsdb/scan"
)

// querier is a snapshot of blocks and head. The head comes last: where both
// have a sample, it is the same.
type querier struct {
	blocks *blockSet
	parts  []part
	// rollups are the rollups that may be of use, survey what they know, and
	// recent is where the head begins.
	rollups []scan.Block
	survey  *rollup.State
	recent  int64
}

// part is a block or the head over a range of time.
type part interface {
	storage.Querier
	storage.Estimator
	// Overlaps reports whether there may be samples in the given range as well.
	Overlaps(mint, maxt int64) bool
	// SelectInBlockOrder is Select with the series in the order of block.Compare.
	SelectInBlockOrder(ctx context.Context, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet
}

// Querier opens a snapshot of the samples with mint <= t <= maxt.
func (db *DB) Querier(mint, maxt int64) (storage.Querier, error) {
	if err := db.running(); err != nil {
		return nil, err
	}
	s := db.blocks
	q := &querier{blocks: s}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i, r := range s.readers() {
		meta := r.Meta()
		if meta.MaxTime <= mint || meta.MinTime > maxt {
			continue
		}
		part, err := scan.NewQuerier(r, uint32(i+1), mint, maxt)
		if errors.Is(err, block.ErrClosed) { // Close comes between
			err = fmt.Errorf("database: %w", storage.ErrClosed)
		}
		if err != nil {
			return nil, errors.Join(err, q.Close())
		}
		q.parts = append(q.parts, part)
	}
	q.parts = append(q.parts, db.head.Querier(mint, maxt, s.cutTo))
	q.holdRollups(s.list.Load(), mint, maxt)
	q.recent = db.head.MinTime()
	return q, nil
}

// Close gives the snapshot back.
func (q *querier) Close() error {
	var errs []error
	for _, p := range q.parts {
		errs = append(errs, p.Close())
	}
	for _, b := range q.rollups {
		if b.Reader != nil {
			b.Reader.Release()
		}
	}
	q.rollups = nil
	return errors.Join(errs...)
}

// Select returns the union of what the parts have.
func (q *querier) Select(ctx context.Context, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	parts := q.partsOf(hints)
	if len(parts) == 1 {
		return parts[0].Select(ctx, hints, ms...)
	}
	if hints != nil && hints.Labels != nil { // Labels tell what is the same series.
		whole := *hints
		whole.Labels = nil
		hints = &whole
	}
	sets := make([]storage.SeriesSet, len(parts))
	if hints != nil && hints.Sorted {
		for i, p := range parts {
			sets[i] = p.Select(ctx, hints, ms...)
		}
		return batch.MergeSets(sets, labels.Compare, hints.Limit)
	}
	// The order of blocks costs them nothing.
	for i, p := range parts {
		sets[i] = p.SelectInBlockOrder(ctx, hints, ms...)
	}
	limit := 0
	if hints != nil {
		limit = hints.Limit
	}
	return batch.MergeSets(sets, block.Compare, limit)
}

// Estimate implements storage.Estimator. A series that several parts have counts
// once, as far as one can tell: as often as in the part with the most.
func (q *querier) Estimate(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) (all storage.Estimate, err error) {
	for _, p := range q.parts {
		if !p.Overlaps(mint, maxt) {
			continue
		}
		part, err := p.Estimate(ctx, mint, maxt, ms...)
		if err != nil {
			return all, err
		}
		all.Series = max(all.Series, part.Series)
		all.Samples += part.Samples
		all.Bytes += part.Bytes
	}
	return all, nil
}

// partsOf returns the parts that may have samples in the range of a select, at
// least one of them: merging costs.
func (q *querier) partsOf(hints *storage.SelectHints) []part {
	mint, maxt := int64(math.MinInt64), int64(math.MaxInt64)
	if hints != nil && (hints.Mint != 0 || hints.Maxt != 0) {
		mint, maxt = hints.Mint, hints.Maxt
	}
	parts := make([]part, 0, len(q.parts))
	for _, p := range q.parts {
		if p.Overlaps(mint, maxt) {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return q.parts[:1]
	}
	return parts
}

// LabelNames returns the union of the label names.
func (q *querier) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.union(hints, func(p storage.Querier) ([]string, annotations.Annotations, error) {
		return p.LabelNames(ctx, hints, ms...)
	})
}

// LabelValues returns the union of the values.
func (q *querier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.union(hints, func(p storage.Querier) ([]string, annotations.Annotations, error) {
		return p.LabelValues(ctx, name, hints, ms...)
	})
}

func (q *querier) union(hints *storage.LabelHints, of func(storage.Querier) ([]string, annotations.Annotations, error)) ([]string, annotations.Annotations, error) {
	var all []string
	var warnings annotations.Annotations
	for _, p := range q.parts {
		some, w, err := of(p)
		if err != nil {
			return nil, warnings, err
		}
		if len(w) > 0 {
			warnings.Merge(w)
		}
		all = append(all, some...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if hints != nil && hints.Limit > 0 && len(all) > hints.Limit {
		all = all[:hints.Limit]
	}
	return all, warnings, nil
}

// Exemplars returns the union of the exemplars.
func (q *querier) Exemplars(ctx context.Context, selectors ...[]*labels.Matcher) ([]storage.ExemplarSeries, error) {
	var all []storage.ExemplarSeries
	for _, p := range q.parts {
		some, err := p.Exemplars(ctx, selectors...)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return batch.MergeExemplarSeries(all), nil
}

// Metadata returns the union of what head and blocks know of families, what is
// newest first. The range does not matter.
func (q *querier) Metadata(ctx context.Context, family string) (map[string][]metadata.Metadata, error) {
	all, err := q.parts[len(q.parts)-1].Metadata(ctx, family)
	if err != nil {
		return nil, err
	}
	for _, r := range slices.Backward(q.blocks.readers()) {
		part, err := scan.NewQuerier(r, 1, math.MinInt64, math.MaxInt64)
		if errors.Is(err, block.ErrClosed) {
			continue // retention or a join came between
		}
		if err != nil {
			return nil, err
		}
		some, err := part.Metadata(ctx, family)
		if err = errors.Join(err, part.Close()); err != nil {
			return nil, err
		}
		for name, list := range some {
			for _, m := range list {
				if !slices.Contains(all[name], m) {
					all[name] = append(all[name], m)
				}
			}
		}
	}
	return all, nil
}
