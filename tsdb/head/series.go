package head

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

// series is a label set with the places where its samples are: columns of
// groups, and samples that came one by one.
//
// Order and duplicates are properties of the series, but nothing is looked up
// per sample for a series that is a column of one open group and gets its
// samples there: such a place is unchecked, and a row that is newer than the
// group's last one is newer than all of the series. As soon as a second writer
// comes (another group, an appender), every open place of the series is marked
// as checked, and from then on each sample is compared with newest. Either all
// open places are checked, or there is exactly one and it is not.
type series struct {
	ref    storage.SeriesRef
	labels index.LabelSet
	// users counts who holds the series without having put a sample or a column
	// there yet, and one for its being in the head; 0 is an empty slot, and
	// deadUsers a series that has left the head.
	users atomic.Int32
	// logged says that the log has the series' definition.
	logged atomic.Bool

	// mu guards what follows, and what more refers to.
	mu sync.Mutex
	// home is the column of a series that has one, as nearly all have.
	home [1]place
	// metadata is interned; nil is none.
	metadata *metadata.Metadata
	// more is nil as long as the series has nothing of it.
	more *seriesMore
}

// seriesMore is what a series has that is not just a column of one group.
type seriesMore struct {
	// places lists the columns if there are several; home is empty then.
	places []place
	// loose is the samples that came one by one; nil if none did.
	loose *loose
	// tracked says that newest is the time of the newest sample of the series
	// in the head, rows that are being appended included. It is kept up only
	// while the places are checked.
	tracked bool
	newest  int64
	// floor is the time of the newest sample that was deleted: a deletion
	// forgets samples, not the order.
	floor int64
	// pins counts the samples of transactions that are on their way to the series:
	// they keep it in the head, as users do, and its places checked.
	pins int32
}

// place is a column of a group that a series has or had, and whose rows are in
// memory.
type place struct {
	group   *group
	col     uint32
	live    bool // the series has the column now
	checked bool // the column's bit in group.checked is set; live places only
}

// id returns the number that the postings know the series by.
func (s *series) id() uint32 { return slotOf(s.ref) }

// Values of users.
const (
	noUsers   = 1 // in the head, and held by nobody
	deadUsers = math.MinInt32 / 2
)

// acquire keeps the series in the head until release. It fails if the series
// has left.
func (s *series) acquire() bool {
	for {
		n := s.users.Load()
		if n < noUsers {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *series) release() { s.users.Add(-1) }

// alive reports whether the series is in the head.
func (s *series) alive() bool { return s.users.Load() >= noUsers }

// retire marks the series as dead if nothing holds it. The caller holds mu.
func (s *series) retireLocked() bool {
	return len(s.placesLocked()) == 0 && s.looseLocked().empty() && s.pinsLocked() == 0 && s.users.CompareAndSwap(noUsers, deadUsers)
}

func (s *series) pinsLocked() int32 {
	if s.more == nil {
		return 0
	}
	return s.more.pins
}

// heldLocked reports whether somebody holds the series besides the columns.
func (s *series) heldLocked() bool { return s.users.Load() != noUsers || s.pinsLocked() > 0 }

// placesLocked returns the places, which are the series' own.
func (s *series) placesLocked() []place {
	switch {
	case s.home[0].group != nil:
		return s.home[:]
	case s.more != nil:
		return s.more.places
	}
	return nil
}

// setPlacesLocked replaces the places. The series keeps the slice if there are
// several.
func (s *series) setPlacesLocked(places []place) {
	home := place{}
	if len(places) == 1 {
		home, places = places[0], nil
	}
	s.home[0] = home
	if len(places) > 0 {
		s.moreLocked().places = places
	} else if s.more != nil {
		s.more.places = nil
		s.slimLocked()
	}
}

// addPlaceLocked adds a place.
func (s *series) addPlaceLocked(p place) {
	if places := s.placesLocked(); len(places) > 0 {
		s.setPlacesLocked(append(slices.Clone(places), p))
		return
	}
	s.home[0] = p
}

// moreLocked returns what is more about the series, made if it is not there.
func (s *series) moreLocked() *seriesMore {
	if s.more == nil {
		s.more = &seriesMore{floor: minTime}
	}
	return s.more
}

// slimLocked forgets more if there is nothing in it.
func (s *series) slimLocked() {
	if m := s.more; m != nil && len(m.places) == 0 && m.loose.empty() && m.floor == minTime && !m.tracked && m.pins == 0 {
		s.more = nil
	}
}

func (s *series) looseLocked() *loose {
	if s.more == nil {
		return nil
	}
	return s.more.loose
}

// takeLooseLocked returns the loose samples, made if there are none.
func (s *series) takeLooseLocked() *loose {
	m := s.moreLocked()
	if m.loose == nil {
		m.loose = &loose{}
	}
	return m.loose
}

func (s *series) floorLocked() int64 {
	if s.more == nil {
		return minTime
	}
	return s.more.floor
}

// raiseFloorLocked notes that a sample at t was deleted.
func (s *series) raiseFloorLocked(t int64) {
	m := s.moreLocked()
	m.floor = max(m.floor, t)
}

// untrackLocked says that newest is not up to date.
func (s *series) untrackLocked() {
	if s.more != nil {
		s.more.tracked = false
		s.slimLocked()
	}
}

// liveLocked returns the number of open places and the last of them.
func (s *series) liveLocked() (n int, last *place) {
	places := s.placesLocked()
	for i := range places {
		if places[i].live {
			n, last = n+1, &places[i]
		}
	}
	return n, last
}

// uncheckedLocked returns the group in which the series is an unchecked column,
// nil if there is none.
func (s *series) uncheckedLocked() *group {
	for _, p := range s.placesLocked() {
		if p.live && !p.checked {
			return p.group
		}
	}
	return nil
}

// placeLocked returns the open place of the series in a group, nil if it has
// none.
func (s *series) placeLocked(g *group) *place {
	places := s.placesLocked()
	for i := range places {
		if p := &places[i]; p.live && p.group == g {
			return p
		}
	}
	return nil
}

// hasPlace reports whether the series has or had a column of a group.
func (s *series) hasPlace(g *group, col uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.placesLocked(), func(p place) bool { return p.group == g && p.col == col })
}

// share makes sure that every open place of the series is checked. The caller
// has acquired the series, so that the places stay so, and holds no lock.
func (s *series) share() {
	for {
		s.mu.Lock()
		g := s.uncheckedLocked()
		s.mu.Unlock()
		if g == nil {
			return
		}
		// The group's writer must not be between looking at the bit and
		// publishing its row, hence its lock.
		g.mu.Lock()
		s.mu.Lock()
		if p := s.placeLocked(g); p != nil && !p.checked {
			p.checked = true
			s.untrackLocked()
			g.checked.Set(storage.Column(p.col))
		}
		s.mu.Unlock()
		g.mu.Unlock()
	}
}

// trackLocked brings newest up to date and returns it.
func (s *series) trackLocked() int64 {
	newest := s.newestLocked()
	m := s.moreLocked()
	m.newest, m.tracked = newest, true
	return newest
}

// newestLocked returns what newest is if it is up to date.
func (s *series) newestLocked() int64 {
	if s.more != nil && s.more.tracked {
		return s.more.newest
	}
	newest := s.floorLocked()
	for _, p := range s.placesLocked() {
		var v groupView
		p.group.pinInto(&v)
		if t, ok := v.newest(s, p.col); ok {
			newest = max(newest, t)
		}
		v.unpin()
	}
	if t, ok := s.looseLocked().newest(); ok {
		newest = max(newest, t)
	}
	return newest
}
