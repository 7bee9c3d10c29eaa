package head

import (
	"context"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/gnomonhq/gnomon/storage"
)

// StaleSeries is series that have ended: no group has them as a column, nobody
// holds them, and they have got no sample for a while. They can leave the head
// before it is cut, once a block has them:
//
//   - [Head.StaleSeries] lists them,
//   - [Querier.SelectStale] reads them for the block,
//   - when the block is visible and [Head.Drain] has returned,
//     [Head.RemoveStale] removes those that have not come back.
//
// The log has them until the next checkpoint.
type StaleSeries struct {
	list []staleSeries
	txn  uint64
}

type staleSeries struct {
	ref    storage.SeriesRef
	newest int64
}

// Len returns the number of series.
func (s *StaleSeries) Len() int { return len(s.list) }

// Series returns the number of series in the head, stale ones included.
func (h *Head) Series() int { return int(h.reg.count.Load()) }

// StaleSeries lists the series that have ended and whose newest sample is older
// than before.
func (h *Head) StaleSeries(before int64) *StaleSeries {
	out := &StaleSeries{txn: h.LastTransaction()}
	h.reg.each(func(s *series) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if live, _ := s.liveLocked(); live > 0 || s.heldLocked() {
			return true
		}
		newest := s.newestLocked()
		s.untrackLocked()
		if newest != minTime && newest < before {
			out.list = append(out.list, staleSeries{s.ref, newest})
		}
		return true
	})
	return out
}

// SelectStale returns those of the series that have a sample in the querier's
// range, in the order of the series of a block. They are [OrderedSeries].
func (q *Querier) SelectStale(ctx context.Context, stale *StaleSeries) storage.SeriesSet {
	ids := roaring.New()
	for _, s := range stale.list {
		if q.head.reg.byRef(s.ref) != nil {
			ids.Add(slotOf(s.ref))
		}
	}
	q.pinGroupsOf(ids)
	s := &seriesSet{q: q, ctx: ctx, mint: q.mint, maxt: q.maxt, ids: ids, views: q.pinned()}
	return s.ordered()
}

// RemoveStale removes the samples that the series had when they were listed, and
// the series if they have none left: a block has them now, and no open querier
// needs them. Samples that are not newer than what was removed go the late way
// from now on. It returns the number of series removed.
func (h *Head) RemoveStale(stale *StaleSeries) (removed int, err error) {
	if err := h.running(); err != nil {
		return 0, err
	}
	defer h.done()
	h.maintenance.Lock()
	defer h.maintenance.Unlock()
	h.reg.reuse()
	h.raiseStaleEnd(stale)
	byGroup := map[*group][]extra{}
	var dead []*series
	h.txns.commit.Lock()
	for _, listed := range stale.list {
		s := h.reg.byRef(listed.ref)
		if s == nil {
			continue
		}
		places, gone, ferr := h.removeStale(s, listed.newest, stale.txn)
		if ferr != nil {
			err = ferr
		}
		for _, p := range places {
			byGroup[p.group] = append(byGroup[p.group], extra{p.col, s})
		}
		if gone {
			dead = append(dead, s)
		}
	}
	h.txns.commit.Unlock()
	for g, places := range byGroup {
		if ferr := g.forget(places); ferr != nil {
			err = ferr
		}
	}
	h.reg.remove(dead)
	h.dropGroups()
	return len(dead), err
}

// raiseStaleEnd sends what is not newer than the removed samples the late way,
// where blocks are asked: see judgeLocked.
func (h *Head) raiseStaleEnd(stale *StaleSeries) {
	end := h.staleEnd.Load()
	for _, s := range stale.list {
		end = max(end, s.newest)
	}
	h.staleEnd.Store(end)
	h.awaitAppends()
}

// removeStale takes the places and loose samples from a series that has not come
// back. It reports whether nothing is left: the series is dead then, and to be removed.
func (h *Head) removeStale(s *series, newest int64, txn uint64) (places []place, gone bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if live, _ := s.liveLocked(); live > 0 || s.heldLocked() {
		return nil, false, nil // and newest may count a row that is on its way
	}
	now := s.newestLocked()
	s.untrackLocked()
	if now > newest {
		return nil, false, nil
	}
	if loose := s.looseLocked(); loose != nil {
		if _, err := loose.filter(minTime, maxTime, func(_ int64, with uint64) bool { return with > txn }); err != nil {
			return nil, false, err
		}
		if loose.empty() {
			s.more.loose = nil
		}
	}
	places = slices.Clone(s.placesLocked())
	s.setPlacesLocked(nil)
	if floor := s.floorLocked(); floor != minTime && floor >= h.RememberedFrom() {
		return places, false, nil
	}
	return places, s.retireLocked(), nil
}

// forget removes the samples of the places, for good. What they took is given
// back where it is a quarter of a segment or more; less goes with the segment.
func (g *group) forget(places []extra) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.rmu.window.times) > 0 {
		g.sealLocked()
	}
	var failed error
	var segments []*segment
	for _, seg := range g.rmu.segments {
		var hide []maskedPlace
		for _, p := range places {
			if at := seg.find(p.series, p.col); at >= 0 {
				hide = append(hide, maskedPlace{int32(at), rangeMask(0, seg.rows())})
			}
		}
		if len(hide) == 0 {
			segments = append(segments, seg)
			continue
		}
		seg = seg.withDeleted(hide)
		switch {
		case !seg.visible():
			continue
		case len(hide)*4 >= seg.places():
			smaller, err := mergeSegments([]*segment{seg})
			if err != nil {
				failed = err
			} else {
				seg = smaller
			}
		}
		segments = append(segments, seg)
	}
	g.rmu.Lock()
	g.rmu.segments = segments
	g.rmu.Unlock()
	return failed
}

// visible reports whether the segment has a sample that is not deleted.
func (s *segment) visible() bool {
	for place := range s.places() {
		if m := s.present(place); !m.empty() {
			return true
		}
	}
	return false
}
