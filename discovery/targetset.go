package discovery

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// targetSet is a scrape job or an Alertmanager section: the groups of its providers. It
// is used under the manager's lock.
type targetSet struct {
	providers []*provider
	// seen has what each provider had at the last look, in the same order.
	seen []snapshot
	// groups are those that were delivered last; never nil, since an empty list tells
	// receivers to drop what they had.
	groups []*targetgroup.Group

	targets, updated prometheus.Gauge
}

// look takes up what the providers have. It reports whether the groups changed, and
// whether there was any update at all.
func (s *targetSet) look() (changed, updated bool) {
	if s.seen == nil {
		// The first look is news even if there is nothing to see.
		s.seen = make([]snapshot, len(s.providers))
		changed, updated = true, true
	}
	targets := 0
	for i, p := range s.providers {
		now := p.snapshot()
		targets += now.targets
		updated = updated || now.updates != s.seen[i].updates
		changed = changed || !sameSlice(now.groups, s.seen[i].groups)
		s.seen[i] = now
	}
	if changed {
		s.groups = s.join()
		s.targets.Set(float64(targets))
	}
	return changed, updated
}

// join returns the groups of all providers. A set with one provider shares its slice.
func (s *targetSet) join() []*targetgroup.Group {
	if len(s.seen) == 1 {
		return s.seen[0].groups
	}
	groups := []*targetgroup.Group{}
	for _, now := range s.seen {
		groups = append(groups, now.groups...)
	}
	return groups
}

// sameSlice reports whether two snapshots are one. Empty ones have no address to tell
// them apart, and need none.
func sameSlice(a, b []*targetgroup.Group) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// add adds a provider once.
func (s *targetSet) add(p *provider) {
	if !slices.Contains(s.providers, p) {
		s.providers = append(s.providers, p)
	}
}

// uses reports whether one of the providers is of the mechanism.
func (s *targetSet) uses(mechanism string) bool {
	return slices.ContainsFunc(s.providers, func(p *provider) bool { return p.config.Name() == mechanism })
}
