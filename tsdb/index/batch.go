package index

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/prometheus/common/model"
)

// Batch interns many label sets that are made of the same strings, as those of a target are:
// each string is looked up once, and each label of the postings is locked once. It belongs to
// one goroutine, and can be used again. Its strings have a user until Close.
type Batch struct {
	sets    *LabelSets
	symbols []Symbol // By the number of the string.
	entered []batchEntry
	// job is that of the sets interned last, by the number of its string, and whose what is
	// known of the names then, by theirs: a set of another job starts it anew.
	job     uint32
	labels  *jobLabels
	learned int
	whose   []uint8

	// Scratch memory.
	pairs       []Pair
	shared, own []byte
	sorted      []batchLabel
	starts, ids []uint32
}

// Values of Batch.whose.
const (
	whoseUnknown uint8 = iota
	whoseShared
	whoseOwn
)

// noString is the number of no string.
const noString = math.MaxUint32

// batchEntry is a series with its labels.
type batchEntry struct {
	id     uint32
	labels [][2]uint32
}

// batchLabel is a label of a series: name and value as numbers of strings.
type batchLabel struct {
	pair [2]uint32
	id   uint32
}

// NewBatch returns a batch, to be begun.
func (s *LabelSets) NewBatch() *Batch { return &Batch{sets: s} }

// Begin begins a batch for label sets made of the strings. The table keeps no part of them.
func (b *Batch) Begin(strings []string) {
	b.symbols = b.sets.symbols.hold(b.symbols[:0], strings)
	b.entered = b.entered[:0]
	b.job, b.labels = noString, nil
	b.whose = append(b.whose[:0], make([]uint8, len(strings))...)
}

// Close takes back the uses of the strings.
func (b *Batch) Close() {
	b.sets.symbols.drop(b.symbols)
	clear(b.entered)
}

// Intern is LabelSets.Intern of labels that are names and values as numbers of strings,
// ascending in the name.
func (b *Batch) Intern(ls [][2]uint32) LabelSet {
	s := b.sets
	s.mu.RLock()
	b.splitLocked(ls)
	set := LabelSet{s.useLocked(b.shared), s.useLocked(b.own)}
	s.mu.RUnlock()
	shared, own := set.shared != 0 || len(b.shared) == 0, set.own != 0 || len(b.own) == 0
	if shared && own {
		return set
	}
	b.pairs = b.pairs[:0]
	for _, l := range ls {
		b.pairs = append(b.pairs, Pair{b.symbols[l[0]], b.symbols[l[1]]})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.learnLocked(b.pairs) {
		s.releaseLocked(set)
		b.splitLocked(ls)
		shared, own = false, false
	}
	if !shared {
		set.shared = s.addLocked(b.shared)
	}
	if !own {
		set.own = s.addLocked(b.own)
	}
	return set
}

// splitLocked is LabelSets.splitLocked, into the batch. The caller holds the lock of the sets.
func (b *Batch) splitLocked(ls [][2]uint32) {
	s := b.sets
	job := uint32(noString)
	for _, l := range ls {
		if s.symbols.String(b.symbols[l[0]]) == model.JobLabel {
			job = l[1]
			break
		}
	}
	if job != b.job || b.labels == nil || len(b.labels.own) != b.learned {
		value := Symbol(0)
		if job != noString {
			value = b.symbols[job]
		}
		b.job, b.labels, b.learned = job, s.mu.jobs[value], 0
		if b.labels != nil {
			b.learned = len(b.labels.own)
		}
		clear(b.whose)
	}
	b.shared, b.own = b.shared[:0], b.own[:0]
	for _, l := range ls {
		name, value := b.symbols[l[0]], b.symbols[l[1]]
		whose := &b.whose[l[0]]
		if *whose == whoseUnknown {
			*whose = whoseShared
			if s.isOwnLocked(b.labels, name) {
				*whose = whoseOwn
			}
		}
		to := &b.shared
		if *whose == whoseOwn {
			to = &b.own
		}
		*to = binary.AppendUvarint(binary.AppendUvarint(*to, uint64(name)), uint64(value))
	}
}

// Enter notes a series with the labels, for AddBatch. The batch keeps them until Close.
func (b *Batch) Enter(id uint32, ls [][2]uint32) {
	b.entered = append(b.entered, batchEntry{id, ls})
}

// AddBatch is Add for all series that were entered into a batch.
func (p *MemPostings) AddBatch(b *Batch) {
	b.sort(1)
	for rest := b.sorted; len(rest) > 0; rest = rest[len(b.ids):] {
		label := rest[0].pair
		b.takeIDs(rest, func(l *batchLabel) bool { return l.pair == label })
		l, value := p.labelIndex(b.symbols[label[0]]), b.symbols[label[1]]
		l.Lock()
		l.valueLocked(value).addMany(b.ids)
		l.Unlock()
	}
	b.sort(0)
	for rest := b.sorted; len(rest) > 0; rest = rest[len(b.ids):] {
		name := rest[0].pair[0]
		b.takeIDs(rest, func(l *batchLabel) bool { return l.pair[0] == name })
		l := p.labelIndex(b.symbols[name])
		l.Lock()
		l.has.addMany(b.ids)
		l.Unlock()
	}
	b.ids = b.ids[:0]
	for i := range b.entered {
		b.ids = append(b.ids, b.entered[i].id)
	}
	p.all.Lock()
	defer p.all.Unlock()
	p.all.list.addMany(b.ids)
}

// sort makes sorted the labels of all series in the order of their names, or values; those with
// the same stay in their order.
func (b *Batch) sort(by int) {
	b.starts = append(b.starts[:0], make([]uint32, len(b.symbols)+1)...)
	n := 0
	for i := range b.entered {
		for _, l := range b.entered[i].labels {
			b.starts[l[by]+1]++
			n++
		}
	}
	for i := range b.starts[1:] {
		b.starts[i+1] += b.starts[i]
	}
	b.sorted = slices.Grow(b.sorted[:0], n)[:n]
	for i := range b.entered {
		e := &b.entered[i]
		for _, l := range e.labels {
			at := &b.starts[l[by]]
			b.sorted[*at] = batchLabel{l, e.id}
			*at++
		}
	}
}

// takeIDs makes ids the series of the first labels that belong together, at least one.
func (b *Batch) takeIDs(labels []batchLabel, same func(*batchLabel) bool) {
	b.ids = b.ids[:0]
	for i := range labels {
		if !same(&labels[i]) {
			break
		}
		b.ids = append(b.ids, labels[i].id)
	}
}
