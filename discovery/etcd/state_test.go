package etcd

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"
)

func put(key, value string, rev int64) event {
	return event{keyValue: keyValue{key: key, value: []byte(value), rev: rev}}
}

// created sets the revision in which the key of e came into being.
func created(e event, rev int64) event {
	e.created = rev
	return e
}

func del(key string, rev int64) event {
	return event{keyValue: keyValue{key: key, rev: rev}, deleted: true}
}

// describe renders a delta: one line per group, refused value and refused key.
func describe(d delta) string {
	var lines []string
	for _, g := range d.groups {
		line := strings.TrimPrefix(g.Source, "etcd/h:1:") + ":"
		for _, target := range g.Targets {
			line += " " + string(target[model.AddressLabel])
		}
		if len(g.Targets) == 0 {
			line += " gone"
		}
		lines = append(lines, line)
	}
	for _, b := range d.bad {
		line := fmt.Sprintf("%s@%d refused (%s)", b.key, b.rev, b.err.reason)
		if b.kept {
			line += ", earlier targets stay"
		}
		lines = append(lines, line)
	}
	if d.overLimit > 0 {
		lines = append(lines, fmt.Sprintf("%d over limit from %s", d.overLimit, d.firstOver))
	}
	return strings.Join(lines, "\n")
}

// take applies a whole snapshot.
func take(s *state, rev int64, kvs ...event) delta {
	n := s.begin()
	for _, kv := range kvs {
		// One key a page: pages must not matter.
		n.add([]keyValue{kv.keyValue})
	}
	return n.commit(rev)
}

func TestStateEvents(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []event
		want   string
	}{
		{"new key", []event{put("/c", "c:1", 11)}, "/c: c:1"},
		{"changed key costs itself only", []event{put("/a", "a:2", 11)}, "/a: a:2"},
		{"deleted key", []event{del("/a", 11)}, "/a: gone"},
		{"deleted unknown key", []event{del("/x", 11)}, ""},
		{"the same value again", []event{put("/a", "a:1", 11)}, ""},
		{"another spelling of the same group", []event{put("/a", ` {"targets": ["a:1"]}`, 11)}, ""},
		{"deleted and put back at once", []event{del("/a", 11), put("/a", "a:1", 12)}, "/a: a:1"},
		{"put and deleted at once", []event{put("/c", "c:1", 11), del("/c", 12)}, "/c: gone"},
		{"the last of several", []event{put("/a", "a:2", 11), put("/a", "a:3", 12)}, "/a: a:3"},
		{"one transaction", []event{put("/b", "b:2", 11), put("/a", "a:2", 11)}, "/a: a:2\n/b: b:2"},
		{"a replayed event", []event{put("/a", "a:0", 10), del("/b", 9)}, ""},
		{"emptied on purpose", []event{put("/a", `{"targets":[]}`, 11)}, "/a: gone"},
		{"bad value keeps the targets", []event{put("/a", "oops", 11)}, "/a@11 refused (syntax), earlier targets stay"},
		{"bad value of a new key", []event{put("/c", "oops", 11)}, "/c@11 refused (syntax)"},
		{"bad values leave the rest alone", []event{put("/a", "oops", 11), put("/b", "b:2", 12)}, "/b: b:2\n/a@11 refused (syntax), earlier targets stay"},
		{"bad and repaired", []event{put("/a", "oops", 11), put("/a", "a:1", 12)}, "/a@11 refused (syntax), earlier targets stay"},
		{"bad and deleted", []event{put("/a", "oops", 11), del("/a", 12)}, "/a: gone\n/a@11 refused (syntax), earlier targets stay"},
		{"bad from the start and deleted", []event{put("/c", "oops", 11), del("/c", 12)}, "/c@11 refused (syntax)"},
		{"bad twice is reported twice", []event{put("/c", "oops", 11), put("/c", "oops", 12)}, "/c@11 refused (syntax)\n/c@12 refused (syntax)"},
		{"beyond the limit", []event{put("/c", "c:1", 11), put("/d", "d:1", 12), put("/e", "e:1", 13), put("/a", "a:2", 14)}, "/a: a:2\n/c: c:1\n2 over limit from /d"},
		{"room again", []event{del("/a", 11), del("/b", 12), put("/d", "d:1", 13)}, "/a: gone\n/b: gone\n/d: d:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newState(testParser(t, ""), 3)
			require.Equal(t, "/a: a:1\n/b: b:1", describe(take(s, 10, put("/a", "a:1", 5), put("/b", "b:1", 7))))
			require.Equal(t, int64(10), s.rev)
			require.Equal(t, c.want, describe(s.applyEvents(c.events)))
			last := c.events[len(c.events)-1].rev
			require.Equal(t, max(10, last), s.rev)
		})
	}
}

func TestStateSnapshots(t *testing.T) {
	for _, c := range []struct {
		name string
		kvs  []event
		want string
	}{
		{"nothing changed", []event{put("/a", "a:1", 5), put("/b", "b:1", 7), put("/x", "oops", 6)}, ""},
		{"a bad key without targets vanishes in silence", []event{put("/a", "a:1", 5), put("/b", "b:1", 7)}, ""},
		{"changed, added and removed meanwhile", []event{put("/a", "a:2", 12), put("/c", "c:1", 13)}, "/a: a:2\n/b: gone\n/c: c:1"},
		{"everything is gone", nil, "/a: gone\n/b: gone"},
		{"bad meanwhile", []event{put("/a", "oops", 12), put("/b", "b:1", 7)}, "/a@12 refused (syntax), earlier targets stay"},
		{"deleted and created again, now bad", []event{created(put("/a", "oops", 12), 11), put("/b", "b:1", 7)}, "/a: gone\n/a@12 refused (syntax)"},
		{"another history with equal revisions", []event{put("/a", "a:9", 5), put("/b", "b:1", 7)}, "/a: a:9"},
		{"known keys come before new ones", []event{put("/0", "z:1", 12), put("/1", "z:2", 12), put("/a", "a:1", 5), put("/b", "b:1", 7), put("/x", "oops", 6)}, "/0: z:1\n1 over limit from /1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newState(testParser(t, ""), 4)
			require.Equal(t, "/a: a:1\n/b: b:1\n/x@6 refused (syntax)",
				describe(take(s, 10, put("/a", "a:1", 5), put("/b", "b:1", 7), put("/x", "oops", 6))))
			require.Equal(t, 1, s.badKeys)
			require.Equal(t, c.want, describe(take(s, 20, c.kvs...)))
			require.Equal(t, int64(20), s.rev)
			require.LessOrEqual(t, len(s.keys), 4)
		})
	}
}

func TestStateSnapshotMayGoBack(t *testing.T) {
	s := newState(testParser(t, ""), 10)
	take(s, 1000, put("/a", "a:1", 900))
	require.Equal(t, "/a: a:2", describe(take(s, 3, put("/a", "a:2", 2))))
	require.Equal(t, int64(3), s.rev)
	require.Equal(t, "/a: a:3", describe(s.applyEvents([]event{put("/a", "a:3", 4)})))
	s.advance(9)
	require.Equal(t, int64(9), s.rev)
	s.advance(2)
	require.Equal(t, int64(9), s.rev)
}

func TestStateDroppedSnapshotChangesNothing(t *testing.T) {
	s := newState(testParser(t, ""), 10)
	take(s, 10, put("/a", "a:1", 5), put("/b", "b:1", 7))
	s.begin().add([]keyValue{put("/a", "a:2", 12).keyValue, put("/c", "oops", 13).keyValue})
	require.Empty(t, describe(s.applyEvents(nil)))
	require.Equal(t, int64(10), s.rev)
	require.Zero(t, s.badKeys)
	require.Empty(t, describe(take(s, 20, put("/a", "a:1", 5), put("/b", "b:1", 7))))
}

func TestStateOversizeValue(t *testing.T) {
	s := newState(testParser(t, ""), 10)
	take(s, 10, put("/a", "a:1", 5))
	big := keyValue{key: "/a", rev: 12, oversize: true}
	n := s.begin()
	n.add([]keyValue{big})
	require.Equal(t, "/a@12 refused (size), earlier targets stay", describe(n.commit(20)))
	n = s.begin()
	n.add([]keyValue{big})
	require.Empty(t, describe(n.commit(30)))
	require.Equal(t, 1, s.badKeys)
	require.Empty(t, describe(s.applyEvents([]event{put("/a", "a:1", 31)})))
	require.Zero(t, s.badKeys)
}

// stateModel is what a receiver of updates has to know, kept in the plainest way.
type stateModel struct {
	content map[string]event  // What etcd holds.
	want    map[string]string // The address of each key's last good value that was seen.
	pending []event           // What was not shown to the state yet.
	seen    int64             // The last revision that was.
}

func (m *stateModel) write(e event) {
	m.pending = append(m.pending, e)
	if e.deleted {
		delete(m.content, e.key)
		return
	}
	if old, ok := m.content[e.key]; ok {
		e.created = old.created
	} else {
		e.created = e.rev
	}
	m.content[e.key] = e
}

func (m *stateModel) bad(e event) bool { return string(e.value) == "oops" }

// showEvents lets every change be seen.
func (m *stateModel) showEvents() {
	for _, e := range m.pending {
		switch {
		case e.deleted:
			delete(m.want, e.key)
		case !m.bad(e):
			m.want[e.key] = string(e.value)
		}
	}
}

// showContent lets only the outcome of the changes be seen.
func (m *stateModel) showContent() {
	for key := range m.want {
		if e, ok := m.content[key]; !ok || e.created > m.seen {
			delete(m.want, key)
		}
	}
	for key, e := range m.content {
		if !m.bad(e) {
			m.want[key] = string(e.value)
		}
	}
}

func (m *stateModel) badKeys() (n int) {
	for _, e := range m.content {
		if m.bad(e) {
			n++
		}
	}
	return n
}

// TestStateAgainstModel applies random histories in random portions, some of them as
// snapshots, and holds what a receiver of the deltas has against a model.
func TestStateAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := newState(testParser(t, ""), 100)
		m := stateModel{content: make(map[string]event), want: make(map[string]string)}
		received := make(map[string]string)
		for rev := int64(1); rev <= 200; rev++ {
			key := fmt.Sprintf("/%d", rng.IntN(8))
			switch rng.IntN(10) {
			case 0, 1:
				m.write(del(key, rev))
			case 2:
				m.write(put(key, "oops", rev))
			default:
				m.write(put(key, fmt.Sprintf("h:%d", 1+rng.IntN(3)), rev))
			}
			if rng.IntN(4) != 0 {
				continue
			}
			var d delta
			if rng.IntN(4) == 0 {
				m.showContent()
				d = take(s, rev, slices.Collect(maps.Values(m.content))...)
			} else {
				m.showEvents()
				d = s.applyEvents(m.pending)
			}
			m.pending, m.seen = nil, rev
			receive(received, d.groups)
			require.Equal(t, m.want, received, "seed %d, revision %d", seed, rev)
			require.Len(t, s.keys, len(m.content), "seed %d, revision %d", seed, rev)
			require.Equal(t, m.badKeys(), s.badKeys, "seed %d, revision %d", seed, rev)
		}
	}
}

// receive does what upstream's manager does with an update.
func receive(into map[string]string, groups []*targetgroup.Group) {
	for _, g := range groups {
		key := strings.TrimPrefix(g.Source, "etcd/h:1:")
		if len(g.Targets) == 0 {
			delete(into, key)
			continue
		}
		into[key] = string(g.Targets[0][model.AddressLabel])
	}
}
