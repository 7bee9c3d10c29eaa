package scrape

import (
	"unsafe"

	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// groupTargets is what relabelling made of one target group.
type groupTargets struct {
	// active has the targets until the pool has taken them, hashes their hashes.
	active []*Target
	hashes []uint64
	// dropped has the dropped targets that are shown, nDropped counts all.
	dropped  []*Target
	nDropped int
	nFailed  int
}

// relabelledGroups are the target groups of a pool with what relabelling made of
// them. A group is relabelled when it comes: one that comes again with the next
// delivery, at the same address, has the same content. The zero value is empty.
type relabelledGroups struct {
	groups []*targetgroup.Group
	made   []*groupTargets // of the group in the same place

	nDropped, nFailed int // sums
}

// same reports whether groups is the slice of the last delivery.
func (r *relabelledGroups) same(groups []*targetgroup.Group) bool {
	return len(groups) == len(r.groups) && unsafe.SliceData(groups) == unsafe.SliceData(r.groups)
}

// replace makes groups those of r, and returns what that adds and removes. relabel
// is called for the groups that were not there before.
func (r *relabelledGroups) replace(groups []*targetgroup.Group, relabel func(*targetgroup.Group) *groupTargets) (added, removed []*groupTargets) {
	next := relabelledGroups{groups: groups, made: make([]*groupTargets, len(groups))}
	// Nearly all groups are where they were. The others may have moved.
	moved := map[*targetgroup.Group][]*groupTargets{}
	for i, g := range r.groups {
		if i < len(groups) && groups[i] == g {
			next.made[i] = r.made[i]
		} else {
			moved[g] = append(moved[g], r.made[i])
		}
	}
	for i, g := range groups {
		if next.made[i] == nil {
			if n := len(moved[g]); n > 0 {
				next.made[i], moved[g] = moved[g][n-1], moved[g][:n-1]
			} else {
				next.made[i] = relabel(g)
				added = append(added, next.made[i])
			}
		}
		next.nDropped += next.made[i].nDropped
		next.nFailed += next.made[i].nFailed
	}
	for _, list := range moved {
		removed = append(removed, list...)
	}
	*r = next
	return added, removed
}

// clear forgets all groups and returns what that removes.
func (r *relabelledGroups) clear() (removed []*groupTargets) {
	removed = r.made
	*r = relabelledGroups{}
	return removed
}

// keepDropped keeps as many dropped targets as limit, if there are. relabel makes
// those once more that were not kept when their group came.
func (r *relabelledGroups) keepDropped(limit int, relabel func(*targetgroup.Group) *groupTargets) {
	room := limit
	for i, made := range r.made {
		if room > len(made.dropped) && len(made.dropped) < made.nDropped {
			made.dropped = relabel(r.groups[i]).dropped
		}
		if len(made.dropped) > room {
			made.dropped = append([]*Target(nil), made.dropped[:room]...)
		}
		room -= len(made.dropped)
	}
}

// droppedTargets returns the dropped targets that are kept.
func (r *relabelledGroups) droppedTargets() (targets []*Target) {
	for _, made := range r.made {
		targets = append(targets, made.dropped...)
	}
	return targets
}
