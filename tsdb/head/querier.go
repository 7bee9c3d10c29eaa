package head

import (
	"context"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
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

	// exemplars are those in the range, if somebody asked.
	exemplars struct {
		once     sync.Once
		bySeries map[storage.SeriesRef][]exemplar.Exemplar
	}

	mu     sync.Mutex
	closed bool
	// The following are guarded by mu.
	room *viewRoom // nil once it is closed

	times timeSpans
}

// Querier opens a snapshot of the samples with mint <= t <= maxt. Rows of
// groups older than rowMint are left out, since the caller has them in blocks;
// math.MinInt64 leaves out none.
func (h *Head) Querier(mint, maxt, rowMint int64) *Querier {
	q := &Querier{head: h, mint: mint, maxt: maxt, rowMint: rowMint, room: viewRooms.Get().(*viewRoom)}
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
	for _, v := range q.room.views {
		v.unpin()
	}
	q.room.release()
	q.room = nil
	q.times.release()
	q.head.txns.endRead(q.key)
	return nil
}

// pin makes sure that the querier has a view of a group.
func (q *Querier) pin(g *group) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.room.views[g] != nil { // closed: the caller breaks the contract; do not pin for ever
		return
	}
	number := len(q.room.views)
	v := q.room.add(g)
	g.pinInto(v)
	v.number, v.made, v.spans = number, &q.times, q.room.spansFor(len(v.segments))
}

// view returns the querier's view of a group if it is one of the first n, else
// nil.
func (q *Querier) view(g *group, n int) *groupView {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	if v := q.room.views[g]; v != nil && v.number < n {
		return v
	}
	return nil
}

// pinned returns the number of views.
func (q *Querier) pinned() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0
	}
	return len(q.room.views)
}

// matching returns the numbers of the series that match and have samples in the
// range.
func (q *Querier) matching(ctx context.Context, ms []*labels.Matcher) (*roaring.Bitmap, error) {
	h := q.head
	if q.mint <= h.MinTime() && q.maxt >= h.MaxTime() && q.rowMint <= h.MinTime() && h.deletions.Load() == 0 {
		return index.Select(ctx, h.reg.postings, ms...)
	}
	ids := roaring.New()
	set := q.selection(ctx, q.mint, q.maxt, ms)
	set.inOrderOfNumber()
	for set.Next() {
		ids.Add(set.at.series.id())
	}
	return ids, set.err
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
