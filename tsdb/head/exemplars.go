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
	bySeries := map[storage.SeriesRef][]exemplar.Exemplar{}
	for _, e := range h.exemplars.all() {
		if e.Exemplar.Ts >= q.mint && e.Exemplar.Ts <= q.maxt && match.Contains(slotOf(e.Series)) {
			bySeries[e.Series] = append(bySeries[e.Series], e.Exemplar)
		}
	}
	var out []storage.ExemplarSeries
	for ref, list := range bySeries {
		s := h.reg.byRef(ref)
		if s == nil {
			continue
		}
		slices.SortStableFunc(list, func(a, b exemplar.Exemplar) int { return cmp.Compare(a.Ts, b.Ts) })
		out = append(out, storage.ExemplarSeries{Labels: h.reg.labels(s), Exemplars: list})
	}
	slices.SortFunc(out, func(a, b storage.ExemplarSeries) int { return labels.Compare(a.Labels, b.Labels) })
	return out, ctx.Err()
}
