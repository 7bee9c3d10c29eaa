package head

import "github.com/prometheus/prometheus/model/labels"

// KnowsSeries is that of storage.SeriesKnower: the series is in the head.
func (h *Head) KnowsSeries(ls labels.Labels) bool {
	if h.running() != nil {
		return false
	}
	defer h.done()
	s := h.reg.get(ls)
	if s == nil {
		return false
	}
	s.release()
	return true
}
