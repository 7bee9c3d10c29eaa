package head

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

const registryShards = 64

// registry has the series of the head by labels, by reference and, through the
// postings, by matchers. It is used from any number of goroutines; finding a
// series locks one of its shards.
type registry struct {
	symbols  *index.Symbols
	postings *index.MemPostings
	shards   [registryShards]registryShard
	slots    slots
	count    atomic.Int64
	// created and removed count series since the start.
	created, removed atomic.Uint64
}

type registryShard struct {
	mu     sync.RWMutex
	byHash map[uint64]*series
	// others has the series whose hash another one has too.
	others map[uint64][]*series
	_      [24]byte // shards are on lines of their own
}

func newRegistry() *registry {
	r := &registry{symbols: index.NewSymbols()}
	r.postings = index.NewMemPostings(r.symbols)
	for i := range r.shards {
		r.shards[i].byHash = map[uint64]*series{}
	}
	return r
}

// labels returns the labels of a series, as new memory.
func (r *registry) labels(s *series) labels.Labels {
	b := labels.NewScratchBuilder(len(s.pairs))
	return r.symbols.Labels(s.pairs, &b)
}

// is reports whether the series has the labels.
func (r *registry) is(s *series, ls labels.Labels) bool {
	if len(s.pairs) != ls.Len() {
		return false
	}
	i, same := 0, true
	ls.Range(func(l labels.Label) {
		p := s.pairs[i]
		same = same && r.symbols.String(p.Name) == l.Name && r.symbols.String(p.Value) == l.Value
		i++
	})
	return same
}

func (r *registry) find(sh *registryShard, hash uint64, ls labels.Labels) *series {
	s := sh.byHash[hash]
	if s == nil || r.is(s, ls) {
		return s
	}
	for _, s := range sh.others[hash] {
		if r.is(s, ls) {
			return s
		}
	}
	return nil
}

// get returns the series with the labels, acquired; nil if there is none.
func (r *registry) get(ls labels.Labels) *series {
	hash := ls.Hash()
	sh := &r.shards[hash%registryShards]
	sh.mu.RLock()
	s := r.find(sh, hash, ls)
	sh.mu.RUnlock()
	if s != nil && s.acquire() {
		return s
	}
	return nil
}

// getOrCreate returns the series with the labels, acquired, and whether it is
// new.
func (r *registry) getOrCreate(ls labels.Labels) (*series, bool) {
	hash := ls.Hash()
	sh := &r.shards[hash%registryShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s := r.find(sh, hash, ls); s != nil && s.acquire() {
		return s, false
	}
	s := &series{floor: minTime, pairs: r.symbols.Intern(make([]index.Pair, 0, ls.Len()), ls)}
	s.users.Store(1)
	r.slots.take(s)
	r.insert(sh, hash, s, ls)
	return s, true
}

// restore adds a series that the log tells of, under its reference, or returns
// the one with the labels that is there. Only replay calls it.
func (r *registry) restore(ref storage.SeriesRef, ls labels.Labels) (s *series, created bool) {
	hash := ls.Hash()
	sh := &r.shards[hash%registryShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s := r.find(sh, hash, ls); s != nil {
		return s, false
	}
	s = &series{ref: ref, floor: minTime, pairs: r.symbols.Intern(make([]index.Pair, 0, ls.Len()), ls)}
	s.logged.Store(true)
	r.slots.put(s)
	r.insert(sh, hash, s, ls)
	return s, true
}

// insert puts a series into the maps. The caller holds the shard's lock.
func (r *registry) insert(sh *registryShard, hash uint64, s *series, ls labels.Labels) {
	// A dead series with the same labels, about to be removed, makes way.
	switch have := sh.byHash[hash]; {
	case have == nil || r.is(have, ls):
		sh.byHash[hash] = s
	default:
		if sh.others == nil {
			sh.others = map[uint64][]*series{}
		}
		sh.others[hash] = append(sh.others[hash], s)
	}
	r.postings.Add(s.id(), s.pairs)
	r.count.Add(1)
	r.created.Add(1)
}

// byRef returns the series with a reference, nil if it is unknown. The series is
// not acquired.
func (r *registry) byRef(ref storage.SeriesRef) *series {
	if s := r.slots.get(slotOf(ref)); s != nil && s.ref == ref {
		return s
	}
	return nil
}

// byID returns the series with a number of the postings, nil if it has gone.
func (r *registry) byID(id uint32) *series { return r.slots.get(id) }

// remove takes a dead series out. Its number is given out again only after the
// next call of reuse.
func (r *registry) remove(s *series) {
	hash := r.labels(s).Hash()
	sh := &r.shards[hash%registryShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r.postings.Remove(s.id(), s.pairs)
	others := sh.others[hash]
	for i, o := range others {
		if o == s {
			others = append(others[:i:i], others[i+1:]...)
			break
		}
	}
	if sh.byHash[hash] == s {
		delete(sh.byHash, hash)
		if len(others) > 0 {
			sh.byHash[hash], others = others[0], others[1:]
		}
	}
	if len(others) > 0 {
		sh.others[hash] = others
	} else {
		delete(sh.others, hash)
	}
	r.slots.release(s)
	r.symbols.Release(s.pairs)
	r.count.Add(-1)
	r.removed.Add(1)
}

// reuse lets the numbers of series that were removed before the last call be
// given out again, and forgets label strings that have been without a user for
// as long. Readers that were open at the last call must have ended.
func (r *registry) reuse() {
	r.slots.reuse()
	r.symbols.Sweep()
}

// each calls f for every series, in ascending order of the number, until it
// returns false.
func (r *registry) each(f func(*series) bool) { r.slots.each(f) }
