package takeover

import "github.com/prometheus/prometheus/tsdb/chunks"

// refPage is how many references a page of a refTable has. Prometheus numbers
// its series as they come, so those of a target lie together.
const refPage = 1 << 12

// refTable maps references of Prometheus to numbers.
type refTable struct {
	pages map[uint64]*[refPage]uint32 // the number plus one, 0 for none
	last  *[refPage]uint32
	at    uint64 // which page last is
}

func (r *refTable) page(ref chunks.HeadSeriesRef) *[refPage]uint32 {
	n := uint64(ref) / refPage
	if r.last == nil || r.at != n {
		p := r.pages[n]
		if p == nil {
			return nil
		}
		r.last, r.at = p, n
	}
	return r.last
}

func (r *refTable) get(ref chunks.HeadSeriesRef) (n uint32, ok bool) {
	p := r.page(ref)
	if p == nil || p[ref%refPage] == 0 {
		return 0, false
	}
	return p[ref%refPage] - 1, true
}

func (r *refTable) set(ref chunks.HeadSeriesRef, n uint32) {
	p := r.page(ref)
	if p == nil {
		if r.pages == nil {
			r.pages = map[uint64]*[refPage]uint32{}
		}
		p = new([refPage]uint32)
		r.pages[uint64(ref)/refPage] = p
	}
	p[ref%refPage] = n + 1
}
