package head

import (
	"context"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

// Select returns the series that match and have a sample in the range. They are
// looked at one by one, as the caller asks for them.
func (q *Querier) Select(ctx context.Context, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	s := q.hinted(ctx, hints, ms)
	if hints != nil && hints.Sorted {
		s.inOrderOfLabels()
	} else {
		s.inOrderOfNumber()
	}
	return s
}

// SelectInBlockOrder is Select with the series in the order of block.Compare,
// whatever the hints say.
func (q *Querier) SelectInBlockOrder(ctx context.Context, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	s := q.hinted(ctx, hints, ms)
	s.inOrderOfBlock()
	return s
}

// hinted is the selection that the hints want.
func (q *Querier) hinted(ctx context.Context, hints *storage.SelectHints, ms []*labels.Matcher) *seriesSet {
	mint, maxt := q.mint, q.maxt
	if hints != nil && (hints.Mint != 0 || hints.Maxt != 0) {
		mint, maxt = max(mint, hints.Mint), min(maxt, hints.Maxt)
	}
	s := q.selection(ctx, mint, maxt, ms)
	if hints != nil {
		s.limit, s.newest = hints.Limit, hints.Newest
		if hints.Labels != nil && !hints.Sorted {
			s.kept = q.head.reg.sets.NewProjection(hints.Labels)
		}
	}
	return s
}

// Overlaps reports whether the head may have samples, or warnings, in the part of
// the querier's range that lies in the given one.
func (q *Querier) Overlaps(mint, maxt int64) bool {
	return q.partial != nil || q.head.overlaps(max(q.mint, mint), min(q.maxt, maxt))
}

func (h *Head) overlaps(mint, maxt int64) bool {
	return maxt >= h.minTime.Load() && mint <= h.maxTime.Load()
}

// seriesSet is the result of a select: series that match, of which those are
// handed out that have a sample in the range.
type seriesSet struct {
	q          *Querier
	ctx        context.Context // the caller's, for as long as the set is used
	mint, maxt int64
	ids        *roaring.Bitmap
	views      int // the number of the querier's views that the set reads
	limit      int // 0 is none
	newest     bool
	// kept are the labels that are wanted of the series; nil for all.
	kept *index.Projection
	next func() (id uint32, ok bool)

	looked, found int
	at            *headSeries
	err           error
	// room is for the next series. Those that were handed out stay valid.
	room []headSeries

	// The view used last: neighbours are mostly of one group.
	lastGroup *group
	lastView  *groupView
}

// selection looks up the series that match, and pins the groups in which they
// have columns.
//
// A group that is pinned only then may have rows of series that were made after
// the series were looked up. So as long as groups get pinned and series get
// made, it looks again. The set reads the groups that are pinned by then, and no
// others: so each row is seen by all of its columns or by none.
func (q *Querier) selection(ctx context.Context, mint, maxt int64, ms []*labels.Matcher) *seriesSet {
	s := &seriesSet{q: q, ctx: ctx, mint: mint, maxt: maxt, ids: roaring.New()}
	h := q.head
	if !h.overlaps(mint, maxt) {
		s.err = ctx.Err()
		return s
	}
	for {
		created, before := h.reg.created.Load(), q.pinned()
		if s.ids, s.err = index.Select(ctx, h.reg.postings, ms...); s.err != nil {
			s.ids = roaring.New()
			return s
		}
		q.pinGroupsOf(s.ids)
		s.views = q.pinned()
		if s.views == before || created == h.reg.created.Load() {
			return s
		}
	}
}

// pinGroupsOf pins the groups of the series; all groups if they are many.
func (q *Querier) pinGroupsOf(ids *roaring.Bitmap) {
	h := q.head
	if ids.GetCardinality() > uint64(h.groupCount()) {
		for _, g := range h.allGroups() {
			q.pin(g)
		}
		return
	}
	var last *group
	for it := ids.Iterator(); it.HasNext(); {
		s := h.reg.byID(it.Next())
		if s == nil {
			continue
		}
		var room [4]place
		s.mu.Lock()
		places := append(room[:0], s.placesLocked()...)
		s.mu.Unlock()
		for _, p := range places {
			if p.group != last {
				q.pin(p.group)
			}
			last = p.group
		}
	}
}

// inOrderOfNumber goes through the series as they come.
func (s *seriesSet) inOrderOfNumber() {
	it := s.ids.Iterator()
	s.next = func() (uint32, bool) {
		if !it.HasNext() {
			return 0, false
		}
		return it.Next(), true
	}
}

// inOrderOfLabels goes through the series in ascending order of their labels.
func (s *seriesSet) inOrderOfLabels() {
	list := s.list()
	order := s.q.head.reg.sets.NewOrder(len(list), func(i int) (index.LabelSet, uint32) { return list[i].labels, list[i].id() })
	s.next = order.Next
}

// inOrderOfBlock goes through the series in the order of block.Compare, which it
// returns.
func (s *seriesSet) inOrderOfBlock() *index.MetricOrder {
	list := s.list()
	order := s.q.head.reg.sets.NewMetricOrder(len(list), func(i int) (index.LabelSet, uint32) { return list[i].labels, list[i].id() })
	s.next = order.Next
	return order
}

// list returns the series that are there still.
func (s *seriesSet) list() []*series {
	list := make([]*series, 0, s.ids.GetCardinality())
	for it := s.ids.Iterator(); it.HasNext(); {
		if found := s.q.head.reg.byID(it.Next()); found != nil {
			list = append(list, found)
		}
	}
	return list
}

// contextEvery is after how many series a select looks at its context.
const contextEvery = 256

func (s *seriesSet) Next() bool {
	if s.err != nil || (s.limit > 0 && s.found == s.limit) {
		return false
	}
	for {
		if s.looked++; s.looked%contextEvery == 0 {
			if s.err = s.ctx.Err(); s.err != nil {
				return false
			}
		}
		id, ok := s.next()
		if !ok {
			return false
		}
		found := s.q.head.reg.byID(id)
		if found == nil {
			continue
		}
		if s.at = s.look(found); s.at != nil {
			s.found++
			return true
		}
	}
}

// look returns the series if it has a sample in the range.
func (s *seriesSet) look(found *series) *headSeries {
	found.mu.Lock()
	var room [4]place
	places := append(room[:0], found.placesLocked()...)
	loose := found.looseLocked().view(s.q.txn)
	found.mu.Unlock()
	out := s.make()
	out.set, out.series, out.loose = s, found, loose.overlaps(s.mint, s.maxt)
	for _, p := range places {
		v := s.view(p.group)
		if v == nil || !v.overlaps(found, p.col, max(s.mint, s.q.rowMint), s.maxt) {
			continue
		}
		if out.place.view == nil {
			out.place = placeView{v, p.col}
		} else {
			out.others = append(out.others, placeView{v, p.col})
		}
	}
	if !out.loose && out.place.view == nil {
		*out = headSeries{}
		return nil
	}
	s.room = s.room[1:]
	return out
}

// maxRoom bounds how many series have their memory together.
const maxRoom = 64

// make returns room for a series, which is taken when it is cut off the room.
func (s *seriesSet) make() *headSeries {
	if len(s.room) == 0 {
		s.room = make([]headSeries, min(s.found+1, maxRoom))
	}
	return &s.room[0]
}

func (s *seriesSet) view(g *group) *groupView {
	if g != s.lastGroup {
		s.lastGroup, s.lastView = g, s.q.view(g, s.views)
	}
	return s.lastView
}

func (s *seriesSet) At() storage.Series                { return s.at }
func (s *seriesSet) Err() error                        { return s.err }
func (s *seriesSet) Warnings() annotations.Annotations { return s.q.warnings() }

// headSeries is a series of a select, with the places that have samples in its
// range.
type headSeries struct {
	set    *seriesSet
	series *series
	labels labels.Labels // made when they are asked for
	place  placeView
	others []placeView
	loose  bool
}

type placeView struct {
	view *groupView
	col  uint32
}

// Labels returns the labels.
func (s *headSeries) Labels() labels.Labels {
	if kept := s.set.kept; kept != nil {
		return kept.Labels(s.series.labels)
	}
	if s.labels.IsEmpty() {
		s.labels = s.set.q.head.reg.labels(s.series)
	}
	return s.labels
}

// Metadata returns what is known of the series' family.
func (s *headSeries) Metadata() metadata.Metadata {
	s.series.mu.Lock()
	defer s.series.mu.Unlock()
	if m := s.series.metadata; m != nil {
		return *m
	}
	return metadata.Metadata{}
}

// Batches returns the samples: usually of one column, else a union.
func (s *headSeries) Batches(it storage.BatchIterator) storage.BatchIterator {
	rowMint := max(s.set.mint, s.set.q.rowMint)
	if s.place.view != nil && len(s.others) == 0 && !s.loose {
		ci, ok := it.(*columnIterator)
		if !ok {
			ci = &columnIterator{}
		}
		ci.reset(s.place.view, s.series, s.place.col, rowMint, s.set.maxt, s.set.newest)
		return ci
	}
	var its []storage.BatchIterator
	add := func(p placeView) {
		ci := &columnIterator{}
		ci.reset(p.view, s.series, p.col, rowMint, s.set.maxt, false)
		its = append(its, ci)
	}
	if s.place.view != nil {
		add(s.place)
	}
	for _, p := range s.others {
		add(p)
	}
	if s.loose {
		s.series.mu.Lock()
		loose := s.series.looseLocked().view(s.set.q.txn)
		s.series.mu.Unlock()
		its = append(its, loose.iterators(s.set.mint, s.set.maxt)...)
	}
	return batch.Merge(its...)
}
