package head

import (
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/index"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

const registryShards = 64

// registry has the series of the head by labels, by reference and, through the
// postings, by matchers. It is used from any number of goroutines; finding a
// series locks one of its shards.
type registry struct {
	symbols  *index.Symbols
	sets     *index.LabelSets
	postings *index.MemPostings
	shards   [registryShards]registryShard
	slots    slots
	count    atomic.Int64
	// created and removed count series since the start.
	created, removed atomic.Uint64
}

// registryShard has the slots of the series whose hash ends alike. A series that
// died is there until it is removed.
type registryShard struct {
	mu     sync.RWMutex
	byHash index.Table
	_      [8]byte // shards are on lines of their own
}

func newRegistry() *registry {
	r := &registry{symbols: index.NewSymbols()}
	r.sets = index.NewLabelSets(r.symbols)
	r.postings = index.NewMemPostings(r.symbols)
	r.postings.KnowLabels(func(id uint32, name string) (string, bool) {
		s := r.byID(id)
		if s == nil {
			return "", false
		}
		return r.sets.Value(s.labels, name), true
	})
	return r
}

// shard returns where series with the hash are, and the hash there.
func (r *registry) shard(hash uint64) (*registryShard, uint32) {
	return &r.shards[hash%registryShards], uint32(hash >> 32)
}

// labelBuilders are the scratch memory of registry.labels.
var labelBuilders = sync.Pool{New: func() any { return new(labels.ScratchBuilder) }}

// labels returns the labels of a series, as new memory.
func (r *registry) labels(s *series) labels.Labels {
	b := labelBuilders.Get().(*labels.ScratchBuilder)
	defer labelBuilders.Put(b)
	return r.sets.Labels(s.labels, b)
}

// definition is a series and its column; the column is 0 if it is about the series alone.
type definition struct {
	column storage.Column
	series *series
}

// columns returns definitions as the log takes them. Their labels are read in place, so the series
// must stay in the head meanwhile.
func (r *registry) columns(n int, at func(i int) definition) []wal.Column {
	views, out := make([]index.LabelSetView, n), make([]wal.Column, n)
	for i := range out {
		d := at(i)
		views[i] = r.sets.View(d.series.labels)
		out[i] = wal.Column{Number: d.column, Series: d.series.ref, Labels: &views[i]}
	}
	return out
}

// find returns the series with the labels, acquired; nil if there is none. The
// caller holds the shard's lock.
func (r *registry) find(sh *registryShard, hash uint32, ls labels.Labels) *series {
	slot := sh.byHash.Find(hash, func(slot uint32) bool {
		s := r.slots.at(slot)
		return r.sets.Is(s.labels, ls) && s.acquire()
	})
	if slot == 0 {
		return nil
	}
	return r.slots.at(slot)
}

// get returns the series with the labels, acquired; nil if there is none.
func (r *registry) get(ls labels.Labels) *series {
	sh, hash := r.shard(ls.Hash())
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return r.find(sh, hash, ls)
}

// getOrCreate returns the series with the labels, acquired, and whether it is
// new.
func (r *registry) getOrCreate(ls labels.Labels) (*series, bool) {
	sh, hash := r.shard(ls.Hash())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s := r.find(sh, hash, ls); s != nil {
		return s, false
	}
	s := r.slots.take(r.sets.Intern(ls), noUsers+1)
	r.insert(sh, hash, s)
	return s, true
}

// beginRun is called when the series of the log are known: new ones get references
// that no series of the log had, even one whose definition was damaged.
func (r *registry) beginRun() { r.slots.beginRun() }

// restorer adds series to a registry as the log defines them. It belongs to one goroutine;
// any number can be used at once.
type restorer struct {
	*registry
	batch *index.Batch
	// Scratch memory.
	builder labels.ScratchBuilder
	ls      labels.Labels
}

func (r *registry) newRestorer() *restorer {
	return &restorer{registry: r, batch: r.sets.NewBatch()}
}

// restore adds the series that a record of the log tells of, under their references, and
// returns them; where one with the labels is there, that one. Only replay calls it; selects see
// a series when the record is done.
func (r *restorer) restore(columns *wal.Columns) []*series {
	r.batch.Begin(columns.Strings)
	defer r.batch.Close()
	made := make([]*series, len(columns.List))
	created := 0
	for i := range columns.List {
		columns.Labels(i, &r.builder, &r.ls)
		s, isNew := r.restoreOne(&columns.List[i])
		if made[i] = s; isNew {
			created++
		}
	}
	r.postings.AddBatch(r.batch)
	r.count.Add(int64(created))
	r.created.Add(uint64(created))
	return made
}

// restoreOne adds or finds the series whose labels were made.
func (r *restorer) restoreOne(c *wal.DecodedColumn) (s *series, created bool) {
	sh, hash := r.shard(r.ls.Hash())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s := r.find(sh, hash, r.ls); s != nil {
		s.release()
		return s, false
	}
	s = r.slots.put(c.Series, r.batch.Intern(c.Labels))
	s.logged.Store(true)
	sh.byHash.Insert(hash, s.id())
	r.batch.Enter(s.id(), c.Labels)
	return s, true
}

// insert makes a series known. The caller holds the shard's lock.
func (r *registry) insert(sh *registryShard, hash uint32, s *series) {
	var room [32]index.Pair
	sh.byHash.Insert(hash, s.id())
	r.postings.Add(s.id(), r.sets.Pairs(room[:0], s.labels))
	r.count.Add(1)
	r.created.Add(1)
}

// byRef returns the series with a reference, nil if it is unknown. The series is
// not acquired: the caller knows that it stays.
func (r *registry) byRef(ref storage.SeriesRef) *series {
	if s := r.slots.get(slotOf(ref)); s != nil && s.ref == ref {
		return s
	}
	return nil
}

// acquire returns the series with a reference, acquired; nil if it is unknown.
func (r *registry) acquire(ref storage.SeriesRef) *series {
	s := r.slots.get(slotOf(ref))
	if s == nil || !s.acquire() {
		return nil
	}
	if s.ref != ref {
		s.release()
		return nil
	}
	return s
}

// lock returns the series with a reference with its lock held, so that it stays; nil
// if it is unknown.
func (r *registry) lock(ref storage.SeriesRef) *series {
	s := r.slots.get(slotOf(ref))
	if s == nil {
		return nil
	}
	if s.mu.Lock(); !s.alive() || s.ref != ref {
		s.mu.Unlock()
		return nil
	}
	return s
}

// byID returns the series with a number of the postings, nil if it has gone.
func (r *registry) byID(id uint32) *series { return r.slots.get(id) }

// remove takes dead series out. Their numbers are given out again only after the
// next call of reuse.
func (r *registry) remove(dead []*series) {
	if len(dead) == 0 {
		return
	}
	ids, sets := roaring.New(), make([]index.LabelSet, len(dead))
	for i, s := range dead {
		ids.Add(s.id())
		sets[i] = s.labels
	}
	r.postings.Remove(ids, r.sets.PairsOf(sets))
	b := labelBuilders.Get().(*labels.ScratchBuilder)
	defer labelBuilders.Put(b)
	var ls labels.Labels
	for i, s := range dead {
		r.sets.Overwrite(&ls, sets[i], b)
		sh, hash := r.shard(ls.Hash())
		sh.mu.Lock()
		sh.byHash.Remove(hash, s.id())
		sh.mu.Unlock()
		s.mu.Lock()
		r.slots.release(s)
		s.mu.Unlock()
		r.sets.Release(sets[i])
	}
	r.count.Add(-int64(len(dead)))
	r.removed.Add(uint64(len(dead)))
}

// reuse lets the numbers of series that were removed before the last call be
// given out again, and forgets label strings that have been without a user for
// as long. Readers that were open at the last call must have ended.
func (r *registry) reuse() {
	r.slots.reuse()
	r.sets.Sweep()
}

// each calls f for every series, in ascending order of the number, until it
// returns false.
func (r *registry) each(f func(*series) bool) { r.slots.each(f) }
