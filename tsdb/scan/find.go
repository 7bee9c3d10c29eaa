package scan

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

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
	f := b.find(ctx, mint, maxt, ms)
	list := f.rest()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return list, f.err()
}

// finder goes through what Find returns.
type finder struct {
	ctx        context.Context // of the select
	block      *Block
	mint, maxt int64
	ids        *roaring.Bitmap
	next       roaring.IntPeekable // nil at the end
	at         Found
	errs       []error

	entry   block.SeriesEntry
	builder labels.ScratchBuilder
	deleted []block.Interval
}

// maxErrors is how many of the errors of a select are kept: one damage can make
// many.
const maxErrors = 10

func (b *Block) find(ctx context.Context, mint, maxt int64, ms []*labels.Matcher) finder {
	f := finder{ctx: ctx, block: b, mint: mint, maxt: maxt, builder: labels.NewScratchBuilder(16)}
	ids, err := index.Select(ctx, b.Reader, ms...)
	if err != nil {
		f.fail(err)
		return f
	}
	f.ids, f.next = ids, ids.Iterator()
	return f
}

// read goes to the next series.
func (f *finder) read() bool {
	for f.next != nil && f.next.HasNext() {
		if err := f.ctx.Err(); err != nil {
			f.errs, f.next = []error{err}, nil
			return false
		}
		id := f.next.Next()
		if err := f.block.Reader.Series(id, &f.builder, &f.entry); err != nil {
			f.fail(err)
			continue
		}
		f.deleted = f.block.Tombstones.Intervals(f.deleted[:0], id)
		ok, err := f.block.overlaps(f.entry.Chunks, f.deleted, f.mint, f.maxt)
		if err != nil {
			f.fail(err)
		}
		if ok {
			f.at = Found{id, f.entry.Labels, f.entry.Chunks}
			return true
		}
	}
	return false
}

// rest returns the series that were not read yet.
func (f *finder) rest() []Found {
	var list []Found
	for f.read() {
		list = append(list, f.at)
	}
	return list
}

func (f *finder) fail(err error) {
	if len(f.errs) < maxErrors {
		f.errs = append(f.errs, err)
	}
}

// err returns the errors that were met up to now.
func (f *finder) err() error { return errors.Join(f.errs...) }

// inOrder says whether the series of a select come in the order of their labels.
// In that of the block they do if they have one name and are no buckets.
func (f *finder) inOrder(ms []*labels.Matcher) bool {
	oneName := slices.ContainsFunc(ms, func(m *labels.Matcher) bool {
		return m.Type == labels.MatchEqual && m.Name == model.MetricNameLabel
	})
	if !oneName || f.ids == nil {
		return f.ids == nil
	}
	found, err := f.block.Reader.NameIn(f.ids, model.BucketLabel)
	return err == nil && !found
}

// seriesSet is the series of a select: those of sorted, or those that finder
// comes to.
type seriesSet struct {
	finder
	sorted []Found
	whole  bool // sorted has all of them.
	left   int  // of the series that are wanted
}

// Select returns the series that match and have a sample in the range. They are
// read as the set is iterated, unless they have to be sorted.
func (q *Querier) Select(ctx context.Context, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	mint, maxt, limit, sorted := q.mint, q.maxt, math.MaxInt, false
	if hints != nil {
		sorted = hints.Sorted
		if hints.Limit > 0 {
			limit = hints.Limit
		}
		if hints.Mint != 0 || hints.Maxt != 0 {
			mint, maxt = max(mint, hints.Mint), min(maxt, hints.Maxt)
		}
	}
	s := &seriesSet{finder: q.block.find(ctx, mint, maxt, ms), left: limit}
	if sorted && !s.inOrder(ms) {
		s.sorted, s.whole = s.rest(), true
		slices.SortFunc(s.sorted, func(a, b Found) int { return labels.Compare(a.Labels, b.Labels) })
	}
	return s
}

// SelectInBlockOrder is Select with the series in the order of block.Compare,
// whatever the hints say. None of them is read ahead.
func (q *Querier) SelectInBlockOrder(ctx context.Context, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	var h storage.SelectHints
	if hints != nil {
		h = *hints
	}
	h.Sorted = false
	return q.Select(ctx, &h, ms...)
}

// Next goes to the next series.
func (s *seriesSet) Next() bool {
	if s.left == 0 {
		return false
	}
	s.left--
	if !s.whole {
		return s.read()
	}
	if len(s.sorted) == 0 {
		return false
	}
	s.at, s.sorted = s.sorted[0], s.sorted[1:]
	return true
}

// At returns the current series.
func (s *seriesSet) At() storage.Series { return &series{set: s, found: s.at} }

// Err returns the errors that were met up to now.
func (s *seriesSet) Err() error { return s.err() }

// Warnings returns nothing.
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

// series is a series of a select.
type series struct {
	set   *seriesSet
	found Found
}

// Labels returns the labels.
func (s *series) Labels() labels.Labels { return s.found.Labels }

// Batches returns the samples in the range of the select.
func (s *series) Batches(it storage.BatchIterator) storage.BatchIterator {
	c, ok := it.(*Chunks)
	if !ok {
		c = &Chunks{}
	}
	c.Reset(s.set.block, s.found.ID, s.found.Chunks, s.set.mint, s.set.maxt)
	return c
}
