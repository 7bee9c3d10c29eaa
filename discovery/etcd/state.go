package etcd

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// keyValue is one key of etcd. The slices are only read, and not retained.
type keyValue struct {
	key   string
	value []byte
	// rev is the revision of the key's last change, created that of the change which
	// brought it into being.
	rev, created int64
	// oversize marks a value that was not even fetched, as it exceeds what one message
	// may hold; value is empty then.
	oversize bool
}

// event is one change of a key.
type event struct {
	keyValue
	deleted bool
}

// badValue reports a value that was refused.
type badValue struct {
	key string
	rev int64
	err *valueError
	// kept is set if the targets of an earlier value stay in place.
	kept bool
}

// delta is what a step changed.
type delta struct {
	// groups holds the changed target groups; those without targets are gone.
	groups []*targetgroup.Group
	// bad holds the values that were refused in this step for the first time.
	bad []badValue
	// overLimit counts the keys beyond the limit that were refused, and firstOver is the
	// first of them.
	overLimit int
	firstOver string
}

// entry is what is known about one key. Entries are immutable.
type entry struct {
	rev int64
	// sum identifies the value. The revision alone does not: a cluster that was restored
	// from a backup may use it again for something else.
	sum uint64
	// group is the target group of the last good value; nil if there was none.
	group *targetgroup.Group
	// bad is set if the last value was refused.
	bad bool
}

// state is the pure core: all keys under the prefix at one revision. It does no input or
// output, reads no clock, and is used by one goroutine.
type state struct {
	parser  *parser
	maxKeys int
	keys    map[string]*entry
	// rev is the revision that keys reflects; 0 before the first snapshot.
	rev int64
	// badKeys counts the entries whose last value was refused.
	badKeys int
	// overLimit counts the keys that were refused since the last snapshot began.
	overLimit int
}

func newState(p *parser, maxKeys int) *state {
	return &state{parser: p, maxKeys: maxKeys, keys: make(map[string]*entry)}
}

// applyEvents applies changes in their order and moves the state to the revision of the
// last. Changes that the state reflects already are skipped. Deleting an unknown key
// changes nothing, and neither does writing the value that a key already has.
func (s *state) applyEvents(events []event) delta {
	var d delta
	from := s.rev
	for _, e := range events {
		if e.rev <= from {
			continue
		}
		s.rev = max(s.rev, e.rev)
		old := s.keys[e.key]
		switch {
		case e.deleted:
			if old != nil {
				s.remove(e.key, old, &d)
			}
		case old == nil && len(s.keys) >= s.maxKeys:
			d.refuse(e.key)
			s.overLimit++
		default:
			next := s.step(e.keyValue, old, &d)
			s.keys[e.key] = next
			s.countBad(old, next)
		}
	}
	d.compact()
	return d
}

// advance notes that nothing changed up to rev.
func (s *state) advance(rev int64) { s.rev = max(s.rev, rev) }

// remove forgets a key.
func (s *state) remove(key string, old *entry, d *delta) {
	delete(s.keys, key)
	s.countBad(old, nil)
	if old.group != nil {
		d.groups = append(d.groups, &targetgroup.Group{Source: old.group.Source})
	}
}

// countBad keeps badKeys when an entry takes the place of another; either may be nil.
func (s *state) countBad(old, next *entry) {
	if old != nil && old.bad {
		s.badKeys--
	}
	if next != nil && next.bad {
		s.badKeys++
	}
}

// step returns the entry of kv, given what was known of its key, and notes in d what
// that changes. It does not change the state.
func (s *state) step(kv keyValue, old *entry, d *delta) *entry {
	sum := kv.sum()
	if old != nil && old.sum == sum {
		switch {
		case old.rev == kv.rev:
			return old
		case !old.bad:
			return &entry{rev: kv.rev, sum: sum, group: old.group}
		}
		// Written again, and still bad: worth a new report.
	}
	group, err := s.parse(kv)
	if err != nil {
		next := &entry{rev: kv.rev, sum: sum, bad: true}
		if old != nil && kv.created <= old.rev {
			next.group = old.group
		} else if old != nil && old.group != nil {
			// Deleted and created again since it was last seen: the targets belong to
			// the key that was deleted.
			d.groups = append(d.groups, &targetgroup.Group{Source: old.group.Source})
		}
		d.bad = append(d.bad, badValue{key: kv.key, rev: kv.rev, err: err, kept: next.group != nil})
		return next
	}
	if old == nil || !sameGroup(old.group, group) {
		d.groups = append(d.groups, group)
	}
	return &entry{rev: kv.rev, sum: sum, group: group}
}

func (s *state) parse(kv keyValue) (*targetgroup.Group, *valueError) {
	if kv.oversize {
		return nil, errOversize
	}
	return s.parser.parse(kv.key, kv.value)
}

// snapshot collects all keys at one revision, page by page, beside the state, which
// stays as it is until commit. A snapshot that fails half way is simply dropped.
type snapshot struct {
	s    *state
	next map[string]*entry
	// room is the number of unknown keys that may still be added. Known keys always
	// have room, wherever they come in the order of keys.
	room int
	// unseen is the number of known keys that have not come yet.
	unseen int
	d      delta
}

// begin starts a snapshot; the one before must have been committed or dropped.
func (s *state) begin() *snapshot {
	return &snapshot{
		s:      s,
		next:   make(map[string]*entry, len(s.keys)),
		room:   s.maxKeys - len(s.keys),
		unseen: len(s.keys),
	}
}

// add adds a page of keys.
func (n *snapshot) add(page []keyValue) {
	for _, kv := range page {
		old := n.s.keys[kv.key]
		if old == nil {
			if n.room <= 0 {
				n.d.refuse(kv.key)
				continue
			}
			n.room--
		} else {
			n.unseen--
		}
		n.next[kv.key] = n.s.step(kv, old, &n.d)
	}
}

// full reports whether all further keys will be refused, as one was.
func (n *snapshot) full() bool { return n.room <= 0 && n.unseen == 0 && n.d.overLimit > 0 }

// refuseRest counts keys that are refused unseen.
func (n *snapshot) refuseRest(keys int) { n.d.overLimit += keys }

// commit makes the snapshot the state, as of rev: keys that it does not hold are gone.
func (n *snapshot) commit(rev int64) delta {
	s := n.s
	for key, old := range s.keys {
		if n.next[key] == nil && old.group != nil {
			n.d.groups = append(n.d.groups, &targetgroup.Group{Source: old.group.Source})
		}
	}
	s.keys, s.rev, s.overLimit = n.next, rev, n.d.overLimit
	s.badKeys = 0
	for _, e := range s.keys {
		s.countBad(nil, e)
	}
	n.d.compact()
	return n.d
}

// refuse counts a key for which there is no room.
func (d *delta) refuse(key string) {
	if d.overLimit == 0 {
		d.firstOver = key
	}
	d.overLimit++
}

// compact keeps the last state of each group only, in the order of their sources, so
// that a delta is the same however the changes came about.
func (d *delta) compact() {
	last := make(map[string]*targetgroup.Group, len(d.groups))
	for _, g := range d.groups {
		last[g.Source] = g
	}
	d.groups = slices.SortedFunc(maps.Values(last), func(a, b *targetgroup.Group) int {
		return cmp.Compare(a.Source, b.Source)
	})
}

// sum identifies the value of kv.
func (kv *keyValue) sum() uint64 {
	if kv.oversize {
		return ^uint64(0)
	}
	return xxhash.Sum64(kv.value)
}

// sameGroup compares what receivers see of two groups. A group without targets is no
// different from none.
func sameGroup(a, b *targetgroup.Group) bool {
	if a == nil || b == nil || len(a.Targets) == 0 || len(b.Targets) == 0 {
		return (a == nil || len(a.Targets) == 0) && (b == nil || len(b.Targets) == 0)
	}
	return reflect.DeepEqual(a, b)
}
