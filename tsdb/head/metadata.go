package head

import (
	"context"
	"slices"
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
)

// families holds each metadata once, however many series have it.
type families struct {
	mu   sync.Mutex
	byMD map[metadata.Metadata]*metadata.Metadata
}

func (f *families) intern(m metadata.Metadata) *metadata.Metadata {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.byMD[m]; p != nil {
		return p
	}
	if f.byMD == nil {
		f.byMD = map[metadata.Metadata]*metadata.Metadata{}
	}
	p := &m
	f.byMD[m] = p
	return p
}

// sweep forgets the metadata that no series has. Series that get theirs
// meanwhile may hold one that is forgotten, which does no harm.
func (f *families) sweep(used map[*metadata.Metadata]struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for m, p := range f.byMD {
		if _, ok := used[p]; !ok {
			delete(f.byMD, m)
		}
	}
}

// setMetadata reports whether the series had another metadata before.
func (h *Head) setMetadata(s *series, m metadata.Metadata) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.metadata != nil && *s.metadata == m {
		return false
	}
	s.metadata = h.families.intern(m)
	return true
}

// Metadata returns what is known of metric families.
func (q *Querier) Metadata(ctx context.Context, family string) (map[string][]metadata.Metadata, error) {
	out := map[string][]metadata.Metadata{}
	h := q.head
	seen := 0
	h.reg.each(func(s *series) bool {
		if seen++; seen&1023 == 0 && ctx.Err() != nil {
			return false
		}
		s.mu.Lock()
		m := s.metadata
		s.mu.Unlock()
		if m == nil {
			return true
		}
		metric := h.reg.sets.Value(s.labels, model.MetricNameLabel)
		if metric != "" && (family == "" || family == metric) && !slices.Contains(out[metric], *m) {
			out[metric] = append(out[metric], *m)
		}
		return true
	})
	return out, ctx.Err()
}
