package head

import "sync"

// viewRoom is the memory of the views of a querier. Others use it again when the
// querier is closed: a query of one sample of each target otherwise makes more garbage
// than anything else.
type viewRoom struct {
	views  map[*group]*groupView
	pieces []*[viewsTogether]groupView
	// spans are for the segments of the next views, cut off what made has.
	spans, made []timeSpan
}

// viewsTogether is how many views have their memory together, and maxViews how many a
// room has at most that is kept.
const (
	viewsTogether = 64
	maxViews      = 16384
)

var viewRooms = sync.Pool{New: func() any { return &viewRoom{views: map[*group]*groupView{}} }}

// add returns an empty view for a group.
func (r *viewRoom) add(g *group) *groupView {
	n := len(r.views)
	if n/viewsTogether == len(r.pieces) {
		r.pieces = append(r.pieces, new([viewsTogether]groupView))
	}
	v := &r.pieces[n/viewsTogether][n%viewsTogether]
	r.views[g] = v
	return v
}

// spansFor returns empty room for the spans of a view of so many segments.
func (r *viewRoom) spansFor(segments int) []timeSpan {
	if len(r.spans) < segments {
		r.made = make([]timeSpan, max(segments, min(2*len(r.made), viewsTogether*segments)))
		r.spans = r.made
	}
	room := r.spans[:segments:segments]
	r.spans = r.spans[segments:]
	return room
}

// release lets others use the memory. It refers to nothing of the head any more.
func (r *viewRoom) release() {
	n := len(r.views)
	if n > maxViews {
		return
	}
	for _, piece := range r.pieces[:(n+viewsTogether-1)/viewsTogether] {
		used := min(n, viewsTogether)
		clear(piece[:used])
		n -= used
	}
	clear(r.views)
	clear(r.made[:len(r.made)-len(r.spans)])
	r.spans = r.made
	viewRooms.Put(r)
}
