package kubernetes

import (
	"sync"

	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// subscription holds what a job has not taken yet: the last state of each group, so that a
// job that is slow costs no more than the groups there are.
type subscription struct {
	news chan struct{} // holds one sign if there is something to take

	mu struct {
		sync.Mutex
		pending map[string]*targetgroup.Group
	}
}

func newSubscription() *subscription { return &subscription{news: make(chan struct{}, 1)} }

func (s *subscription) put(g *targetgroup.Group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.pending == nil {
		s.mu.pending = map[string]*targetgroup.Group{}
	}
	s.mu.pending[g.Source] = g
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// take returns what was put since the last time; it may be nothing.
func (s *subscription) take() []*targetgroup.Group {
	s.mu.Lock()
	pending := s.mu.pending
	s.mu.pending = nil
	s.mu.Unlock()
	groups := make([]*targetgroup.Group, 0, len(pending))
	for _, g := range pending {
		groups = append(groups, g)
	}
	return groups
}
