package scan

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

// Querier is a block over a time range. It implements storage.Querier.
type Querier struct {
	block      Block
	mint, maxt int64
	close      sync.Once
}

// NewQuerier holds the block open until Close. It fails with block.ErrClosed if
// the block is closed.
func NewQuerier(r *block.Reader, number uint32, mint, maxt int64) (*Querier, error) {
	if !r.Acquire() {
		return nil, block.ErrClosed
	}
	return &Querier{block: Block{Reader: r, Tombstones: r.Tombstones(), Number: number}, mint: mint, maxt: maxt}, nil
}

// Close lets the block go. Closing twice is harmless.
func (q *Querier) Close() error {
	q.close.Do(q.block.Reader.Release)
	return nil
}

// Found is a series that a select found in a block.
type Found struct {
	ID     uint32
	Labels labels.Labels
	Chunks []block.ChunkRef
}

// Find returns the series that match and have a row in the range that is not
// deleted, in the order of the block. A damaged part costs its own series: the
// error comes with the others.
func (b *Block) Find(ctx context.Context, mint, maxt int64, ms []*labels.Matcher) ([]Found, error) {
	r := b.Reader
	ids, err := index.Select(ctx, r, ms...)
	if err != nil {
		return nil, err
	}
	var out []Found
	var errs []error
	var entry block.SeriesEntry
	var deleted []block.Interval
	builder := labels.NewScratchBuilder(16)
	for it := ids.Iterator(); it.HasNext(); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		id := it.Next()
		if err := r.Series(id, &builder, &entry); err != nil {
			errs = appendError(errs, err)
			continue
		}
		deleted = b.Tombstones.Intervals(deleted[:0], id)
		ok, err := b.overlaps(entry.Chunks, deleted, mint, maxt)
		if err != nil {
			errs = appendError(errs, err)
		}
		if ok {
			out = append(out, Found{id, entry.Labels, entry.Chunks})
		}
	}
	return out, errors.Join(errs...)
}

// appendError keeps the first few of many errors of one damage.
func appendError(errs []error, err error) []error {
	if len(errs) < 10 {
		errs = append(errs, err)
	}
	return errs
}

// Select returns the series that match and have a sample in the range.
func (q *Querier) Select(ctx context.Context, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	mint, maxt, limit, sorted := q.mint, q.maxt, 0, false
	if hints != nil {
		limit, sorted = hints.Limit, hints.Sorted
		if hints.Mint != 0 || hints.Maxt != 0 {
			mint, maxt = max(mint, hints.Mint), min(maxt, hints.Maxt)
		}
	}
	list, err := q.block.Find(ctx, mint, maxt, ms)
	if sorted {
		slices.SortFunc(list, func(a, b Found) int { return labels.Compare(a.Labels, b.Labels) })
	}
	if limit > 0 && len(list) > limit {
		list = list[:limit]
	}
	return &seriesSet{q: q, mint: mint, maxt: maxt, list: list, at: -1, err: err}
}

type seriesSet struct {
	q          *Querier
	mint, maxt int64
	list       []Found
	at         int
	err        error
}

func (s *seriesSet) Next() bool {
	if s.at+1 >= len(s.list) {
		return false
	}
	s.at++
	return true
}

func (s *seriesSet) At() storage.Series                { return &series{set: s, found: &s.list[s.at]} }
func (s *seriesSet) Err() error                        { return s.err }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

type series struct {
	set   *seriesSet
	found *Found
}

func (s *series) Labels() labels.Labels { return s.found.Labels }

func (s *series) Batches(it storage.BatchIterator) storage.BatchIterator {
	c, ok := it.(*Chunks)
	if !ok {
		c = &Chunks{}
	}
	c.Reset(&s.set.q.block, s.found.ID, s.found.Chunks, s.set.mint, s.set.maxt)
	return c
}

// matching returns the numbers of the series that match and have a sample in
// the range.
func (q *Querier) matching(ctx context.Context, ms []*labels.Matcher) (*roaring.Bitmap, error) {
	meta := q.block.Reader.Meta()
	if q.mint <= meta.MinTime && q.maxt >= meta.MaxTime-1 && q.block.Tombstones.Len() == 0 {
		return index.Select(ctx, q.block.Reader, ms...)
	}
	list, err := q.block.Find(ctx, q.mint, q.maxt, ms)
	ids := roaring.New()
	for i := range list {
		ids.Add(list[i].ID)
	}
	return ids, err
}

// LabelNames returns the label names of the series that match.
func (q *Querier) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	ids, err := q.matching(ctx, ms)
	if err != nil {
		return nil, nil, err
	}
	names, err := index.NamesIn(ctx, q.block.Reader, ids, hints)
	return names, nil, err
}

// LabelValues returns the values of a label name in the series that match.
func (q *Querier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	ids, err := q.matching(ctx, ms)
	if err != nil {
		return nil, nil, err
	}
	values, err := index.ValuesIn(ctx, q.block.Reader, ids, name, hints)
	return values, nil, err
}
