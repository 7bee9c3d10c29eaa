package index

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// LabelSet stands for a label set in a LabelSets table.
type LabelSet struct{ shared, own uint32 }

// LabelSets holds label sets in two parts each, and each part once: the labels of a target,
// which all of its series have, and the series' own, which the same series of other targets
// have. Where a label belongs is learned from series of the same job and instance: what they
// differ in is their own. It does not matter for what a set is, only for its memory.
//
// A set that was released can be resolved until the second Sweep from then, so that a reader
// which found a series just before it was removed can still read its labels. LabelSets may be
// used from any number of goroutines; reading a set takes no lock.
//
// Lock order: mu, then Symbols.
type LabelSets struct {
	symbols *Symbols
	seed    maphash.Seed
	// parts grows at its end only. A part is written before its number is given out, and again
	// only when nobody can hold the number.
	parts atomic.Pointer[[]*[partChunk]part]
	texts partTexts

	mu struct {
		sync.RWMutex
		numbers Table
		next    uint32
		free    []uint32
		jobs    map[Symbol]*jobLabels
		// sweeps is the number of Sweeps. Parts that lost their last user since the last one
		// are in young, those of the time between that and the one before in old.
		sweeps     uint32
		young, old []uint32
	}
}

const partChunk = 512

// part is some labels of a set, ascending in the name.
type part struct {
	pairs string // Uvarints: name, value, name, value, ...
	users atomic.Int32
	idle  uint32 // What sweeps was when users became 0.
}

// jobLabels is what is known of the label sets of a job.
type jobLabels struct {
	last []Pair   // The set that came last.
	own  []Symbol // Names that series of one instance differ in.
}

// Bounds of what is learned. Beyond them sets take more memory.
const (
	maxJobs     = 1 << 12
	maxOwnNames = 32
)

// NewLabelSets returns an empty table over a table of symbols that nobody else changes.
func NewLabelSets(symbols *Symbols) *LabelSets {
	s := &LabelSets{symbols: symbols, seed: maphash.MakeSeed()}
	s.mu.next = 1 // Part 0 is empty.
	s.mu.jobs = map[Symbol]*jobLabels{}
	s.parts.Store(&[]*[partChunk]part{new([partChunk]part)})
	return s
}

func (s *LabelSets) part(n uint32) *part { return &(*s.parts.Load())[n/partChunk][n%partChunk] }

func (s *LabelSets) hash(pairs string) uint32 { return uint32(maphash.String(s.seed, pairs) >> 32) }

// room is scratch memory of Intern, enough for most label sets.
type room struct {
	pairs       [32]Pair
	shared, own [160]byte
}

var rooms = sync.Pool{New: func() any { return new(room) }}

// Intern returns the label set, and counts one more user of it. The table keeps no part of ls.
func (s *LabelSets) Intern(ls labels.Labels) LabelSet {
	r := rooms.Get().(*room)
	defer rooms.Put(r)
	if set, ok := s.find(r, ls); ok {
		return set
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	pairs := s.symbols.Intern(r.pairs[:0], ls)
	set := s.addSetLocked(r, pairs)
	s.symbols.Release(pairs) // The parts have their uses.
	return set
}

// addSetLocked counts a user of a set, adding its parts if they are new. The caller holds mu
// for writing, and a use of the symbols.
func (s *LabelSets) addSetLocked(r *room, pairs []Pair) LabelSet {
	s.learnLocked(pairs)
	shared, own := s.splitLocked(r, pairs)
	return LabelSet{s.addLocked(shared), s.addLocked(own)}
}

// find is Intern for a set whose parts are there: that of another series of a known target
// which other targets of its kind have, too.
func (s *LabelSets) find(r *room, ls labels.Labels) (LabelSet, bool) {
	s.mu.RLock()
	pairs, ok := s.symbols.find(r.pairs[:0], ls)
	if !ok {
		s.mu.RUnlock()
		return LabelSet{}, false
	}
	set, ok := s.useSetLocked(r, pairs)
	s.mu.RUnlock()
	if !ok {
		s.Release(set)
	}
	return set, ok
}

// useSetLocked counts a user of the parts of a set that are there, and reports whether all
// are; if not, the caller releases what it got. It holds mu for reading.
func (s *LabelSets) useSetLocked(r *room, pairs []Pair) (set LabelSet, ok bool) {
	shared, own := s.splitLocked(r, pairs)
	set = LabelSet{s.useLocked(shared), s.useLocked(own)}
	return set, (set.shared != 0 || len(shared) == 0) && (set.own != 0 || len(own) == 0)
}

// splitLocked returns the two parts of a set, in r.
func (s *LabelSets) splitLocked(r *room, pairs []Pair) (shared, own []byte) {
	job := s.jobLocked(pairs)
	shared, own = r.shared[:0], r.own[:0]
	for _, p := range pairs {
		to := &shared
		if s.isOwnLocked(job, p.Name) {
			to = &own
		}
		*to = binary.AppendUvarint(binary.AppendUvarint(*to, uint64(p.Name)), uint64(p.Value))
	}
	return shared, own
}

// isOwnLocked says whether labels with the name are own ones in the sets of a job.
func (s *LabelSets) isOwnLocked(job *jobLabels, name Symbol) bool {
	return s.symbols.String(name) == model.MetricNameLabel || job != nil && slices.Contains(job.own, name)
}

// jobLocked returns what is known of the job of a set, nil if nothing is.
func (s *LabelSets) jobLocked(pairs []Pair) *jobLabels {
	return s.mu.jobs[s.value(pairs, model.JobLabel)]
}

func (s *LabelSets) value(pairs []Pair, name string) Symbol {
	for _, p := range pairs {
		if s.symbols.String(p.Name) == name {
			return p.Value
		}
	}
	return 0
}

// learnLocked compares a set with the one that came before it, and reports whether a label
// belongs elsewhere now.
func (s *LabelSets) learnLocked(pairs []Pair) bool {
	key := s.value(pairs, model.JobLabel)
	job := s.mu.jobs[key]
	if job == nil {
		if len(s.mu.jobs) >= maxJobs {
			return false
		}
		job = &jobLabels{}
		s.mu.jobs[key] = job
	}
	known := len(job.own)
	if s.value(pairs, model.InstanceLabel) == s.value(job.last, model.InstanceLabel) {
		job.compare(pairs)
	}
	job.last = append(job.last[:0], pairs...)
	return len(job.own) > known
}

// compare learns from what two sets of one instance differ in.
func (j *jobLabels) compare(pairs []Pair) {
	if slices.EqualFunc(pairs, j.last, func(a, b Pair) bool { return a.Name == b.Name }) {
		for i, p := range pairs {
			if p.Value != j.last[i].Value {
				j.learn(p.Name)
			}
		}
		return
	}
	for _, list := range [2][]Pair{pairs, j.last} {
		for _, p := range list {
			if !slices.Contains(pairs, p) || !slices.Contains(j.last, p) {
				j.learn(p.Name)
			}
		}
	}
}

func (j *jobLabels) learn(name Symbol) {
	if len(j.own) < maxOwnNames && !slices.Contains(j.own, name) {
		j.own = append(j.own, name)
	}
}

// findLocked returns the number of a part, 0 if it is not there.
func (s *LabelSets) findLocked(hash uint32, pairs []byte) uint32 {
	return s.mu.numbers.Find(hash, func(n uint32) bool { return s.part(n).pairs == string(pairs) })
}

// useLocked counts a user of a part that is there, and returns its number; 0 if it is not.
// The caller holds mu for reading.
func (s *LabelSets) useLocked(pairs []byte) uint32 {
	if len(pairs) == 0 {
		return 0
	}
	n := s.findLocked(uint32(maphash.Bytes(s.seed, pairs)>>32), pairs)
	if n != 0 {
		// It may lie in young or old with no user; Sweep sees that it has one again.
		s.part(n).users.Add(1)
	}
	return n
}

// addLocked counts a user of a part, adding it if it is new. The caller holds mu for writing.
func (s *LabelSets) addLocked(pairs []byte) uint32 {
	if n := s.useLocked(pairs); n != 0 || len(pairs) == 0 {
		return n
	}
	var n uint32
	if last := len(s.mu.free) - 1; last >= 0 {
		n, s.mu.free = s.mu.free[last], s.mu.free[:last]
	} else {
		n = s.mu.next
		s.mu.next++
		if chunks := *s.parts.Load(); int(n/partChunk) >= len(chunks) {
			// Readers of the slice that was there do not look behind its end.
			grown := append(chunks, new([partChunk]part))
			s.parts.Store(&grown)
		}
	}
	p := s.part(n)
	p.pairs = string(pairs)
	p.users.Store(1)
	s.mu.numbers.Insert(s.hash(p.pairs), n)
	var list [32]Pair
	s.symbols.use(appendPart(list[:0], p.pairs))
	return n
}

// Release takes back one use of a set.
func (s *LabelSets) Release(set LabelSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseLocked(set)
}

func (s *LabelSets) releaseLocked(set LabelSet) {
	for _, n := range [2]uint32{set.shared, set.own} {
		if n == 0 {
			continue
		}
		p := s.part(n)
		switch users := p.users.Add(-1); {
		case users < 0:
			panic("index: label set was released more often than interned")
		case users == 0:
			p.idle = s.mu.sweeps
			s.mu.young = append(s.mu.young, n)
		}
	}
}

// Sweep forgets what has been without a user since before the Sweep before. The owner calls
// it now and then, at intervals longer than any reader holds on to a set that was released.
func (s *LabelSets) Sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list [32]Pair
	for _, n := range s.mu.old {
		p := s.part(n)
		// One that was used and released again meanwhile is in the lists more than once.
		if p.users.Load() > 0 || p.idle != s.mu.sweeps-1 {
			continue
		}
		p.idle = s.mu.sweeps // So that it is not forgotten twice.
		s.mu.numbers.Remove(s.hash(p.pairs), n)
		s.texts.forget(n)
		s.symbols.Release(appendPart(list[:0], p.pairs))
		p.pairs = ""
		s.mu.free = append(s.mu.free, n)
	}
	s.mu.old, s.mu.young = s.mu.young, s.mu.old[:0]
	s.mu.sweeps++
	for job := range s.mu.jobs {
		if s.symbols.String(job) == "" && job != 0 {
			delete(s.mu.jobs, job)
		}
	}
}

// takePair takes the first pair from what is left of a part.
func takePair(pairs string) (p Pair, rest string) {
	name, pairs := takeSymbol(pairs)
	value, pairs := takeSymbol(pairs)
	return Pair{name, value}, pairs
}

func takeSymbol(pairs string) (n Symbol, rest string) {
	for i := 0; ; i++ {
		b := pairs[i]
		n |= Symbol(b&0x7f) << (7 * i)
		if b < 0x80 {
			return n, pairs[i+1:]
		}
	}
}

// appendPart appends the pairs of a part.
func appendPart(dst []Pair, pairs string) []Pair {
	for len(pairs) > 0 {
		var p Pair
		p, pairs = takePair(pairs)
		dst = append(dst, p)
	}
	return dst
}

// Pairs appends the labels of a set to dst, ascending in the name.
func (s *LabelSets) Pairs(dst []Pair, set LabelSet) []Pair {
	from := len(dst)
	dst = appendPart(dst, s.part(set.shared).pairs)
	dst = appendPart(dst, s.part(set.own).pairs)
	// Each part is in order: insert what is not.
	list := dst[from:]
	for i := 1; i < len(list); i++ {
		p := list[i]
		name := s.symbols.String(p.Name)
		j := i
		for ; j > 0 && s.symbols.String(list[j-1].Name) > name; j-- {
			list[j] = list[j-1]
		}
		list[j] = p
	}
	return dst
}

// PairsOf returns the distinct labels of sets.
func (s *LabelSets) PairsOf(sets []LabelSet) []Pair {
	var table pairTable
	var room [32]Pair
	seen := map[uint32]struct{}{}
	for _, set := range sets {
		for _, n := range [2]uint32{set.shared, set.own} {
			if _, ok := seen[n]; ok {
				continue
			}
			seen[n] = struct{}{}
			for _, p := range appendPart(room[:0], s.part(n).pairs) {
				table.add(p)
			}
		}
	}
	return table.pairs
}

// Labels returns a set, as new memory. The builder is scratch memory.
func (s *LabelSets) Labels(set LabelSet, b *labels.ScratchBuilder) labels.Labels {
	s.build(set, b)
	return b.Labels()
}

// Overwrite is Labels with the memory of a label set that is not used any more.
func (s *LabelSets) Overwrite(ls *labels.Labels, set LabelSet, b *labels.ScratchBuilder) {
	s.build(set, b)
	b.Overwrite(ls)
}

func (s *LabelSets) build(set LabelSet, b *labels.ScratchBuilder) {
	var room [32]Pair
	b.Reset()
	for _, p := range s.Pairs(room[:0], set) {
		b.Add(s.symbols.String(p.Name), s.symbols.String(p.Value))
	}
}

// LabelSetView reads a label set in place.
type LabelSetView struct {
	sets *LabelSets
	set  LabelSet
}

// View returns a view of a set, which must have a user while the view is used.
func (s *LabelSets) View(set LabelSet) LabelSetView { return LabelSetView{s, set} }

// Len returns the number of labels.
func (v LabelSetView) Len() int {
	return (countVarints(v.sets.part(v.set.shared).pairs) + countVarints(v.sets.part(v.set.own).pairs)) / 2
}

// Range calls f for each label, ascending in the name.
func (v LabelSetView) Range(f func(labels.Label)) {
	var room [32]Pair
	for _, p := range v.sets.Pairs(room[:0], v.set) {
		f(labels.Label{Name: v.sets.symbols.String(p.Name), Value: v.sets.symbols.String(p.Value)})
	}
}

func countVarints(s string) (n int) {
	for i := range len(s) {
		if s[i] < 0x80 {
			n++
		}
	}
	return n
}

// Value returns the value of a label of a set, "" if it does not have it.
func (s *LabelSets) Value(set LabelSet, name string) string {
	var room [32]Pair
	for _, n := range [2]uint32{set.own, set.shared} {
		if v := s.value(appendPart(room[:0], s.part(n).pairs), name); v != 0 {
			return s.symbols.String(v)
		}
	}
	return ""
}
