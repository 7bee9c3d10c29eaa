package head

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/index"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// exemplarRing keeps the newest exemplars: a new one takes the place of the
// oldest to arrive.
type exemplarRing struct {
	mu sync.Mutex
	// The following are guarded by mu.
	limit    int
	ring     []wal.Exemplar // grows up to limit, then next goes round
	next     int
	bySeries map[storage.SeriesRef]seriesExemplars
	appended uint64
	late     uint64
}

// seriesExemplars is what the ring has of a series.
type seriesExemplars struct {
	count  int
	newest exemplar.Exemplar
}

func newExemplarRing(limit int) *exemplarRing {
	return &exemplarRing{limit: max(limit, 0), bySeries: map[storage.SeriesRef]seriesExemplars{}}
}

// admit says whether the exemplar is new, and refuses a late one.
func (r *exemplarRing) admitLocked(e *wal.Exemplar) (bool, error) {
	have, ok := r.bySeries[e.Series]
	switch {
	case r.limit == 0 || (ok && have.newest.Equals(e.Exemplar)):
		return false, nil
	case ok && e.Exemplar.Ts <= have.newest.Ts:
		r.late++
		return false, storage.ErrOutOfOrderExemplar
	}
	return true, nil
}

func (r *exemplarRing) addLocked(e wal.Exemplar) {
	e.Exemplar.Labels = e.Exemplar.Labels.Copy()
	if len(r.ring) < r.limit {
		r.ring = append(r.ring, e)
	} else {
		r.dropLocked(r.ring[r.next].Series)
		r.ring[r.next] = e
		r.next = (r.next + 1) % r.limit
	}
	have := r.bySeries[e.Series]
	r.bySeries[e.Series] = seriesExemplars{have.count + 1, e.Exemplar}
	r.appended++
}

func (r *exemplarRing) dropLocked(ref storage.SeriesRef) {
	have := r.bySeries[ref]
	if have.count--; have.count <= 0 {
		delete(r.bySeries, ref)
		return
	}
	r.bySeries[ref] = have
}

// orderedLocked returns the exemplars, the oldest to arrive first.
func (r *exemplarRing) orderedLocked() []wal.Exemplar {
	return append(slices.Clone(r.ring[r.next:]), r.ring[:r.next]...)
}

// resize changes the limit; the oldest exemplars go if there are too many.
func (r *exemplarRing) resize(limit int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	limit = max(limit, 0)
	if limit == r.limit {
		return
	}
	all := r.orderedLocked()
	for len(all) > limit {
		r.dropLocked(all[0].Series)
		all = all[1:]
	}
	r.limit, r.ring, r.next = limit, slices.Clip(all), 0
}

// all returns the exemplars, the oldest to arrive first.
func (r *exemplarRing) all() []wal.Exemplar {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.orderedLocked()
}

// removeLocked forgets the exemplars for which gone says so.
func (r *exemplarRing) removeLocked(gone func(*wal.Exemplar) bool) {
	kept := r.orderedLocked()
	n := len(kept)
	kept = slices.DeleteFunc(kept, func(e wal.Exemplar) bool {
		if !gone(&e) {
			return false
		}
		r.dropLocked(e.Series)
		return true
	})
	if len(kept) < n {
		r.ring, r.next = slices.Clip(kept), 0
	}
}

func refSet(refs []storage.SeriesRef) map[storage.SeriesRef]struct{} {
	out := make(map[storage.SeriesRef]struct{}, len(refs))
	for _, r := range refs {
		out[r] = struct{}{}
	}
	return out
}

// delete forgets the exemplars of series in a range.
func (r *exemplarRing) delete(series map[storage.SeriesRef]struct{}, mint, maxt int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removeLocked(func(e *wal.Exemplar) bool {
		_, ok := series[e.Series]
		return ok && e.Exemplar.Ts >= mint && e.Exemplar.Ts <= maxt
	})
}

// expire forgets the exemplars that are older than t.
func (r *exemplarRing) expire(t int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removeLocked(func(e *wal.Exemplar) bool { return e.Exemplar.Ts < t })
}

// exemplarStats is what the metrics show.
type exemplarStats struct {
	appended, late     uint64
	kept, series, room int
	oldest             int64 // timestamp, 0 if there is none
}

func (r *exemplarRing) stats() exemplarStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := exemplarStats{appended: r.appended, late: r.late, kept: len(r.ring), series: len(r.bySeries), room: r.limit}
	if len(r.ring) > 0 {
		st.oldest = r.ring[r.next%len(r.ring)].Exemplar.Ts
	}
	return st
}

// addExemplars logs and keeps the exemplars that are new. The error is that of
// the refused ones.
func (h *Head) addExemplars(list []wal.Exemplar) error {
	if len(list) == 0 {
		return nil
	}
	r := h.exemplars
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	var kept []wal.Exemplar
	for i := range list {
		ok, err := r.admitLocked(&list[i])
		errs = append(errs, err)
		if ok {
			r.addLocked(list[i])
			kept = append(kept, list[i])
		}
	}
	if len(kept) > 0 {
		b := h.log.Begin()
		b.Exemplars(kept)
		if _, err := b.Commit(); err != nil {
			errs = append(errs, h.logError(err, "exemplars"))
		}
	}
	return errors.Join(errs...)
}

// knownExemplars returns the exemplars whose series the head still has.
func (h *Head) knownExemplars() []wal.Exemplar {
	return slices.DeleteFunc(h.exemplars.all(), func(e wal.Exemplar) bool { return h.reg.byRef(e.Series) == nil })
}

// Exemplars returns the exemplars of the series in the querier's range, ascending
// in time.
func (s *headSeries) Exemplars() []exemplar.Exemplar {
	return s.set.q.allExemplars()[s.series.ref]
}

func (q *Querier) allExemplars() map[storage.SeriesRef][]exemplar.Exemplar {
	q.exemplars.once.Do(func() { q.exemplars.bySeries = q.exemplarsOf(nil) })
	return q.exemplars.bySeries
}

// CountExemplars returns how many exemplars the head has in the querier's range.
func (q *Querier) CountExemplars() (n int) {
	for _, list := range q.allExemplars() {
		n += len(list)
	}
	return n
}

// exemplarsOf returns the exemplars in the querier's range, of the series with the
// numbers; nil is all.
func (q *Querier) exemplarsOf(ids *roaring.Bitmap) map[storage.SeriesRef][]exemplar.Exemplar {
	out := map[storage.SeriesRef][]exemplar.Exemplar{}
	for _, e := range q.head.exemplars.all() {
		if e.Exemplar.Ts >= q.mint && e.Exemplar.Ts <= q.maxt && (ids == nil || ids.Contains(slotOf(e.Series))) {
			out[e.Series] = append(out[e.Series], e.Exemplar)
		}
	}
	for _, list := range out {
		slices.SortStableFunc(list, func(a, b exemplar.Exemplar) int { return cmp.Compare(a.Ts, b.Ts) })
	}
	return out
}

// Exemplars returns the exemplars in the querier's range of the series that
// match any of the selectors.
func (q *Querier) Exemplars(ctx context.Context, selectors ...[]*labels.Matcher) ([]storage.ExemplarSeries, error) {
	h := q.head
	match := roaring.New()
	for _, ms := range selectors {
		ids, err := index.Select(ctx, h.reg.postings, ms...)
		if err != nil {
			return nil, err
		}
		match.Or(ids)
	}
	var out []storage.ExemplarSeries
	for ref, list := range q.exemplarsOf(match) {
		s := h.reg.byRef(ref)
		if s == nil {
			continue
		}
		out = append(out, storage.ExemplarSeries{Labels: h.reg.labels(s), Exemplars: list})
	}
	slices.SortFunc(out, func(a, b storage.ExemplarSeries) int { return labels.Compare(a.Labels, b.Labels) })
	return out, ctx.Err()
}
