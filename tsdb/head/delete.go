package head

import (
	"context"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/index"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// Delete deletes the samples with mint <= t <= maxt of the series that match,
// for every querier that is opened afterwards. What is appended later stays,
// whatever its timestamp. The deletion is in the log when Delete returns.
func (h *Head) Delete(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) error {
	if err := h.WaitReplayed(ctx); err != nil {
		return err
	}
	if err := h.running(); err != nil {
		return err
	}
	defer h.done()
	h.maintenance.Lock()
	defer h.maintenance.Unlock()
	ids, err := index.Select(ctx, h.reg.postings, ms...)
	if err != nil {
		return err
	}
	var list []*series
	var refs []storage.SeriesRef
	for it := ids.Iterator(); it.HasNext(); {
		if s := h.reg.byID(it.Next()); s != nil {
			list, refs = append(list, s), append(refs, s.ref)
		}
	}
	if len(list) == 0 {
		return nil
	}
	slices.Sort(refs)
	b := h.log.Begin()
	b.Tombstone(wal.Tombstone{MinT: mint, MaxT: maxt, Series: refs})
	if _, err := b.Commit(); err != nil {
		return h.logError(err, "deletion")
	}
	h.exemplars.delete(refSet(refs), mint, maxt)
	return h.deleteSeries(list, mint, maxt)
}

// Remember notes that the newest sample of a series, at t, is deleted from a
// block, so that older ones stay out of order. Only what is as new as the head
// remembers is noted; it is in the log when Remember returns.
func (h *Head) Remember(ls labels.Labels, t int64) error {
	if err := h.running(); err != nil {
		return err
	}
	defer h.done()
	if t < h.RememberedFrom() {
		return nil
	}
	s, _, err := h.acquire(ls)
	if err != nil {
		return err
	}
	defer s.release()
	s.share()
	b := h.log.Begin()
	b.Columns(0, h.definitions([]*series{s}))
	b.Floors([]wal.Floor{{Series: s.ref, T: t}})
	if _, err := b.Commit(); err != nil {
		return h.logError(err, "deletion")
	}
	s.logged.Store(true)
	s.mu.Lock()
	s.raiseFloorLocked(t)
	s.untrackLocked()
	s.mu.Unlock()
	return nil
}

// RememberedFrom returns the time from which on the head remembers, after a
// deletion, how new the samples of a series were.
func (h *Head) RememberedFrom() int64 {
	if newest := h.maxTime.Load(); newest > minTime+floorMemory {
		return newest - floorMemory
	}
	return minTime
}

// deleteSeries deletes from memory.
func (h *Head) deleteSeries(list []*series, mint, maxt int64) error {
	h.deletions.Add(1)
	byGroup := map[*group][]extra{}
	h.txns.commit.Lock()
	for _, s := range list {
		s.mu.Lock()
		s.untrackLocked()
		if newest := s.trackLocked(); newest >= mint && newest <= maxt {
			s.raiseFloorLocked(newest)
		}
		for _, p := range s.placesLocked() {
			byGroup[p.group] = append(byGroup[p.group], extra{p.col, s})
		}
		if loose := s.looseLocked(); loose != nil {
			if _, err := loose.filter(mint, maxt, func(t int64, _ uint64) bool { return t < mint || t > maxt }); err != nil {
				h.opts.Logger.Error("loose samples cannot be deleted", "series", h.reg.labels(s), "err", err)
			}
		}
		s.untrackLocked()
		s.mu.Unlock()
	}
	h.txns.commit.Unlock()
	for g, places := range byGroup {
		g.delete(places, mint, maxt)
	}
	for _, s := range list {
		s.mu.Lock()
		s.untrackLocked()
		s.mu.Unlock()
	}
	return nil
}

// delete hides the samples of the places in the range.
func (g *group) delete(places []extra, mint, maxt int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if lo, hi := spanOf(g.rmu.window.times, mint, maxt); lo < hi {
		g.sealLocked()
	}
	for _, p := range places {
		delete(g.lastHistograms, p.col)
	}
	segments := slices.Clone(g.rmu.segments)
	for i, seg := range segments {
		lo, hi := seg.span(mint, maxt)
		if lo == hi {
			continue
		}
		var hide []maskedPlace
		for _, p := range places {
			if at := seg.find(p.series, p.col); at >= 0 {
				hide = append(hide, maskedPlace{int32(at), rangeMask(lo, hi)})
			}
		}
		if len(hide) > 0 {
			segments[i] = seg.withDeleted(hide)
		}
	}
	g.rmu.Lock()
	g.rmu.segments = segments
	g.rmu.Unlock()
}
