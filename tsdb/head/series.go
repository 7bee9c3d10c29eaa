package head

import (
	"math"
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
	ref   storage.SeriesRef
	pairs []index.Pair // the labels
	// users counts who holds the series without having put a sample or a column
	// there yet; it is deadUsers once the series has left the head.
	users atomic.Int32
	// logged says that the log has the series' definition.
	logged atomic.Bool

	mu sync.Mutex
	// places, guarded by mu, lists the columns that the series has or had and
	// whose rows are in memory.
	places []place
	// loose is the samples that came one by one; nil if none did.
	loose *loose
	// tracked says that newest is the time of the newest sample of the series
	// in the head, rows that are being appended included. It is kept up only
	// while the places are checked.
	tracked bool
	// metadata is interned; nil is none.
	metadata *metadata.Metadata
	newest   int64
	// floor is the time of the newest sample that was deleted: a deletion
	// forgets samples, not the order.
	floor int64
}

// place is a column of a group.
type place struct {
	group   *group
	col     uint32
	live    bool // the series has the column now
	checked bool // the column's bit in group.checked is set; live places only
}

// id returns the number that the postings know the series by.
func (s *series) id() uint32 { return slotOf(s.ref) }

// deadUsers marks a series that has left the head.
const deadUsers = math.MinInt32 / 2

// acquire keeps the series in the head until release. It fails if the series
// has left.
func (s *series) acquire() bool {
	for {
		n := s.users.Load()
		if n < 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *series) release() { s.users.Add(-1) }

// retire marks the series as dead if nothing holds it. The caller holds mu.
func (s *series) retireLocked() bool {
	return len(s.places) == 0 && s.loose.empty() && s.users.CompareAndSwap(0, deadUsers)
}

// liveLocked returns the number of open places and the last of them.
func (s *series) liveLocked() (n int, last *place) {
	for i := range s.places {
		if s.places[i].live {
			n, last = n+1, &s.places[i]
		}
	}
	return n, last
}

// uncheckedLocked returns the group in which the series is an unchecked column,
// nil if there is none.
func (s *series) uncheckedLocked() *group {
	for i := range s.places {
		if p := &s.places[i]; p.live && !p.checked {
			return p.group
		}
	}
	return nil
}

// placeLocked returns the open place of the series in a group, nil if it has
// none.
func (s *series) placeLocked(g *group) *place {
	for i := range s.places {
		if p := &s.places[i]; p.live && p.group == g {
			return p
		}
	}
	return nil
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
			p.checked, s.tracked = true, false
			g.checked.Set(storage.Column(p.col))
		}
		s.mu.Unlock()
		g.mu.Unlock()
	}
}

// trackLocked brings newest up to date.
func (s *series) trackLocked() {
	if s.tracked {
		return
	}
	s.newest, s.tracked = s.floor, true
	for _, p := range s.places {
		v := p.group.pin()
		if t, ok := v.newest(s, p.col); ok {
			s.newest = max(s.newest, t)
		}
		v.unpin()
	}
	if t, ok := s.loose.newest(); ok {
		s.newest = max(s.newest, t)
	}
}
