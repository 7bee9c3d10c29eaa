package scan

import (
	"context"
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

// Overlaps reports whether the block has samples in the part of its range that
// lies in the given one, as far as its limits say.
func (q *Querier) Overlaps(mint, maxt int64) bool {
	meta := q.block.Reader.Meta()
	return max(q.mint, mint) < meta.MaxTime && min(q.maxt, maxt) >= meta.MinTime
}

// matching returns the numbers of the series that match and have a sample in
// the range.
func (q *Querier) matching(ctx context.Context, ms []*labels.Matcher) (*roaring.Bitmap, error) {
	meta := q.block.Reader.Meta()
	if q.mint <= meta.MinTime && q.maxt >= meta.MaxTime-1 && q.block.Tombstones.Len() == 0 {
		return index.Select(ctx, q.block.Reader, ms...)
	}
	f, ids := q.block.find(ctx, q.mint, q.maxt, ms), roaring.New()
	for f.read() {
		ids.Add(f.at.ID)
	}
	return ids, f.err()
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
