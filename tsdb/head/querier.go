package head

import (
	"context"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

// Querier is a snapshot of the head. It implements storage.Querier.
//
// Groups are pinned when the querier first meets them and read from that view
// ever after, so each row is seen by all of its columns or by none. Loose
// samples are seen up to the transaction that was the last when the querier was
// opened.
type Querier struct {
	head       *Head
	mint, maxt int64
	// rowMint is where rows of groups begin: older ones are in blocks.
	rowMint int64
	key     uint64
	txn     uint64

	// partial says that samples of the range may be missing, because the log was
	// being read when the querier was opened.
	partial error

	mu     sync.Mutex
	closed bool
	views  map[*group]*groupView // guarded by mu
}

// Querier opens a snapshot of the samples with mint <= t <= maxt. Rows of
// groups older than rowMint are left out, since the caller has them in blocks;
// math.MinInt64 leaves out none.
func (h *Head) Querier(mint, maxt, rowMint int64) *Querier {
	q := &Querier{head: h, mint: mint, maxt: maxt, rowMint: rowMint, views: map[*group]*groupView{}}
	q.partial = h.replay.partial(mint)
	q.key, q.txn = h.txns.beginRead()
	return q
}

// warnings tells what the querier may lack.
func (q *Querier) warnings() annotations.Annotations {
	if q.partial == nil {
		return nil
	}
	return annotations.New().Add(q.partial)
}

// Close gives the snapshot back. Closing twice is harmless.
func (q *Querier) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	q.closed = true
	for _, v := range q.views {
		v.unpin()
	}
	q.views = nil
	q.head.txns.endRead(q.key)
	return nil
}

// view returns the querier's view of a group, and whether it is new.
func (q *Querier) view(g *group) (v *groupView, pinned bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if v := q.views[g]; v != nil {
		return v, false
	}
	v = g.pin()
	if q.closed { // the caller breaks the contract; do not pin for ever
		v.unpin()
		return v, false
	}
	q.views[g] = v
	return v, true
}

// found is a series of a select, with the places that have samples in its
// range.
type found struct {
	series *series
	labels labels.Labels
	views  []placeView
	loose  bool
}

type placeView struct {
	view *groupView
	col  uint32
}

// find returns the series that match and have samples in the range.
//
// A group that is pinned only now may have rows of series that were made after
// the postings were looked at. So as long as groups get pinned and series get
// made, it looks again.
func (q *Querier) find(ctx context.Context, mint, maxt int64, ms []*labels.Matcher) ([]found, error) {
	h := q.head
	if maxt < h.minTime.Load() || mint > h.maxTime.Load() {
		return nil, ctx.Err()
	}
	for {
		created := h.reg.created.Load()
		ids, err := index.Select(ctx, h.reg.postings, ms...)
		if err != nil {
			return nil, err
		}
		out := make([]found, 0, ids.GetCardinality())
		pinned := false
		seen := 0
		for it := ids.Iterator(); it.HasNext(); {
			if seen++; seen&1023 == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			s := h.reg.byID(it.Next())
			if s == nil {
				continue
			}
			f, fresh, ok := q.look(s, mint, maxt)
			pinned = pinned || fresh
			if ok {
				out = append(out, f)
			}
		}
		if !pinned || created == h.reg.created.Load() {
			return out, ctx.Err()
		}
	}
}

// look finds where a series has samples in the range.
func (q *Querier) look(s *series, mint, maxt int64) (f found, pinned, ok bool) {
	s.mu.Lock()
	var room [4]place
	places := append(room[:0], s.placesLocked()...)
	loose := s.looseLocked().view(q.txn)
	s.mu.Unlock()
	f.series = s
	f.loose = loose.overlaps(mint, maxt)
	for _, p := range places {
		v, fresh := q.view(p.group)
		pinned = pinned || fresh
		if v.overlaps(s, p.col, max(mint, q.rowMint), maxt) {
			f.views = append(f.views, placeView{v, p.col})
		}
	}
	return f, pinned, f.loose || len(f.views) > 0
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
	list, err := q.find(ctx, mint, maxt, ms)
	for i := range list {
		list[i].labels = q.head.reg.labels(list[i].series)
	}
	if sorted {
		slices.SortFunc(list, func(a, b found) int { return labels.Compare(a.labels, b.labels) })
	}
	if limit > 0 && len(list) > limit {
		list = list[:limit]
	}
	return &seriesSet{q: q, mint: mint, maxt: maxt, list: list, at: -1, err: err}
}

// SelectOrdered returns all series with a sample in the querier's range, in the
// order of compare. Its series have a method Metadata.
func (q *Querier) SelectOrdered(ctx context.Context, compare func(a, b labels.Labels) int) storage.SeriesSet {
	list, err := q.find(ctx, q.mint, q.maxt, nil)
	for i := range list {
		list[i].labels = q.head.reg.labels(list[i].series)
	}
	slices.SortFunc(list, func(a, b found) int { return compare(a.labels, b.labels) })
	return &seriesSet{q: q, mint: q.mint, maxt: q.maxt, list: list, at: -1, err: err}
}

// seriesSet is the result of a select.
type seriesSet struct {
	q          *Querier
	mint, maxt int64
	list       []found
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

func (s *seriesSet) At() storage.Series                { return &headSeries{set: s, found: &s.list[s.at]} }
func (s *seriesSet) Err() error                        { return s.err }
func (s *seriesSet) Warnings() annotations.Annotations { return s.q.warnings() }

// headSeries is a series of a select.
type headSeries struct {
	set   *seriesSet
	found *found
}

func (s *headSeries) Labels() labels.Labels { return s.found.labels }

// Metadata returns what is known of the series' family.
func (s *headSeries) Metadata() metadata.Metadata {
	s.found.series.mu.Lock()
	defer s.found.series.mu.Unlock()
	if m := s.found.series.metadata; m != nil {
		return *m
	}
	return metadata.Metadata{}
}

// Batches returns the samples: usually of one column, else a union.
func (s *headSeries) Batches(it storage.BatchIterator) storage.BatchIterator {
	q, f := s.set.q, s.found
	rowMint := max(s.set.mint, q.rowMint)
	if len(f.views) == 1 && !f.loose {
		ci, ok := it.(*columnIterator)
		if !ok {
			ci = &columnIterator{}
		}
		ci.reset(f.views[0].view, f.series, f.views[0].col, rowMint, s.set.maxt)
		return ci
	}
	var its []storage.BatchIterator
	for _, p := range f.views {
		ci := &columnIterator{}
		ci.reset(p.view, f.series, p.col, rowMint, s.set.maxt)
		its = append(its, ci)
	}
	if f.loose {
		f.series.mu.Lock()
		loose := f.series.looseLocked().view(q.txn)
		f.series.mu.Unlock()
		its = append(its, loose.iterators(s.set.mint, s.set.maxt)...)
	}
	return batch.Merge(its...)
}

// matching returns the numbers of the series that match and have samples in the
// range.
func (q *Querier) matching(ctx context.Context, ms []*labels.Matcher) (*roaring.Bitmap, error) {
	h := q.head
	if q.mint <= h.MinTime() && q.maxt >= h.MaxTime() && q.rowMint <= h.MinTime() && h.deletions.Load() == 0 {
		return index.Select(ctx, h.reg.postings, ms...)
	}
	list, err := q.find(ctx, q.mint, q.maxt, ms)
	ids := roaring.New()
	for i := range list {
		ids.Add(list[i].series.id())
	}
	return ids, err
}

// LabelNames returns the label names of the series that match.
func (q *Querier) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	ids, err := q.matching(ctx, ms)
	if err != nil {
		return nil, nil, err
	}
	names, err := index.NamesIn(ctx, q.head.reg.postings, ids, hints)
	return names, q.warnings(), err
}

// LabelValues returns the values of a label name in the series that match.
func (q *Querier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	ids, err := q.matching(ctx, ms)
	if err != nil {
		return nil, nil, err
	}
	values, err := index.ValuesIn(ctx, q.head.reg.postings, ids, name, hints)
	return values, q.warnings(), err
}
