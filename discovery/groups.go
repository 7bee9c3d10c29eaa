package discovery

import (
	"maps"
	"slices"

	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// groupTable has the target groups of one mechanism by their sources. A change costs
// the same however many groups there are. It is used under its owner's lock.
type groupTable struct {
	groups []*targetgroup.Group
	// index has the place of each source in groups.
	index   map[string]int
	targets int
	// shared is a copy of groups that receivers have; nil once it is out of date.
	shared []*targetgroup.Group
}

// apply takes an update: groups without targets are gone, the others take the place of
// those with the same source. It reports whether anything changed. A group that equals
// the known one is dropped in favour of it, since mechanisms that poll send everything
// again each time.
func (t *groupTable) apply(update []*targetgroup.Group) bool {
	if t.index == nil {
		t.index = make(map[string]int, len(update))
	}
	changed := false
	for _, g := range update {
		if g == nil {
			continue // Some mechanisms send them.
		}
		at, known := t.index[g.Source]
		switch {
		case len(g.Targets) == 0 && known:
			t.remove(g.Source, at)
		case len(g.Targets) == 0:
			continue
		case !known:
			t.index[g.Source] = len(t.groups)
			t.groups = append(t.groups, g)
			t.targets += len(g.Targets)
		case EqualGroups(t.groups[at], g):
			continue
		default:
			t.targets += len(g.Targets) - len(t.groups[at].Targets)
			t.groups[at] = g
		}
		changed = true
	}
	if changed {
		t.shared = nil
	}
	return changed
}

// remove fills the gap with the last group.
func (t *groupTable) remove(source string, at int) {
	last := len(t.groups) - 1
	t.targets -= len(t.groups[at].Targets)
	t.groups[at] = t.groups[last]
	t.index[t.groups[at].Source] = at
	t.groups[last] = nil
	t.groups = t.groups[:last]
	delete(t.index, source)
}

// share returns all groups in a slice that stays as it is, and is the same one until
// something changes.
func (t *groupTable) share() []*targetgroup.Group {
	if t.shared == nil {
		t.shared = make([]*targetgroup.Group, len(t.groups))
		copy(t.shared, t.groups)
	}
	return t.shared
}

// EqualGroups compares all that receivers see of two groups of one source.
func EqualGroups(a, b *targetgroup.Group) bool {
	return a == b || maps.Equal(a.Labels, b.Labels) && slices.EqualFunc(a.Targets, b.Targets, maps.Equal)
}
