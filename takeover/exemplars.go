package takeover

import (
	"cmp"
	"slices"

	"github.com/prometheus/prometheus/model/exemplar"
)

// exemplarRing keeps the exemplars that came last.
type exemplarRing struct {
	limit int
	list  []seriesExemplar
	next  int // of list, once it is full
}

type seriesExemplar struct {
	series   uint32
	exemplar exemplar.Exemplar
}

func newExemplarRing(limit int) *exemplarRing { return &exemplarRing{limit: limit} }

func (r *exemplarRing) add(series uint32, e exemplar.Exemplar) {
	switch x := (seriesExemplar{series, e}); {
	case len(r.list) < r.limit:
		r.list = append(r.list, x)
	case r.limit > 0:
		r.list[r.next] = x
		r.next = (r.next + 1) % r.limit
	}
}

// bySeries returns the exemplars by the rank of their series, in the order of
// time, each once: a checkpoint and a segment may both have it.
func (r *exemplarRing) bySeries(ranks []uint32) map[uint32][]exemplar.Exemplar {
	out := map[uint32][]exemplar.Exemplar{}
	for _, x := range r.list {
		rank := ranks[x.series]
		out[rank] = append(out[rank], x.exemplar)
	}
	for rank, list := range out {
		slices.SortStableFunc(list, func(a, b exemplar.Exemplar) int { return cmp.Compare(a.Ts, b.Ts) })
		out[rank] = slices.CompactFunc(list, func(a, b exemplar.Exemplar) bool { return a.Equals(b) })
	}
	return out
}
