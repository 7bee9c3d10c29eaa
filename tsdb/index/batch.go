package index

// Batch interns many label sets that are made of the same strings, as those of a target are:
// each string is looked up once, and each label of the postings is locked once. It belongs to
// one goroutine. Its strings have a user until Close.
type Batch struct {
	sets    *LabelSets
	symbols []Symbol // By the number of the string.
	room    room
	labels  []batchLabel // Of the series that were entered.
	ids     []uint32     // The series that were entered.
}

// batchLabel is a label of a series: name and value as numbers of strings.
type batchLabel struct {
	pair [2]uint32
	id   uint32
}

// NewBatch returns a batch for label sets made of the strings. The table keeps no part of them.
func (s *LabelSets) NewBatch(strings []string) *Batch {
	return &Batch{sets: s, symbols: s.symbols.hold(strings)}
}

// Close takes back the uses of the strings.
func (b *Batch) Close() { b.sets.symbols.drop(b.symbols) }

// Intern is LabelSets.Intern of labels that are names and values as numbers of strings,
// ascending in the name.
func (b *Batch) Intern(ls [][2]uint32) LabelSet {
	s, pairs := b.sets, b.room.pairs[:0]
	for _, l := range ls {
		pairs = append(pairs, Pair{b.symbols[l[0]], b.symbols[l[1]]})
	}
	s.mu.RLock()
	set, ok := s.useSetLocked(&b.room, pairs)
	s.mu.RUnlock()
	if ok {
		return set
	}
	s.Release(set)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addSetLocked(&b.room, pairs)
}

// Enter notes a series with the labels, for AddBatch.
func (b *Batch) Enter(id uint32, ls [][2]uint32) {
	b.ids = append(b.ids, id)
	for _, l := range ls {
		b.labels = append(b.labels, batchLabel{l, id})
	}
}

// AddBatch is Add for all series that were entered into a batch.
func (p *MemPostings) AddBatch(b *Batch) {
	sorted := make([]batchLabel, len(b.labels))
	var ids []uint32
	starts := make([]uint32, len(b.symbols)+1)
	sortLabels(sorted, b.labels, starts, func(l *batchLabel) uint32 { return l.pair[1] })
	for rest := sorted; len(rest) > 0; rest = rest[len(ids):] {
		label := rest[0].pair
		ids = takeIDs(ids[:0], rest, func(l *batchLabel) bool { return l.pair == label })
		l, value := p.labelIndex(b.symbols[label[0]]), b.symbols[label[1]]
		l.Lock()
		l.valueLocked(value).addMany(ids)
		l.Unlock()
	}
	sortLabels(sorted, b.labels, starts, func(l *batchLabel) uint32 { return l.pair[0] })
	for rest := sorted; len(rest) > 0; rest = rest[len(ids):] {
		name := rest[0].pair[0]
		ids = takeIDs(ids[:0], rest, func(l *batchLabel) bool { return l.pair[0] == name })
		l := p.labelIndex(b.symbols[name])
		l.Lock()
		l.has.addMany(ids)
		l.Unlock()
	}
	p.all.Lock()
	defer p.all.Unlock()
	p.all.list.addMany(b.ids)
}

// sortLabels copies labels to dst in the order of the key, which is below len(starts)-1; those
// with the same key stay in their order. starts is scratch memory.
func sortLabels(dst, labels []batchLabel, starts []uint32, key func(*batchLabel) uint32) {
	clear(starts)
	for i := range labels {
		starts[key(&labels[i])+1]++
	}
	for i := range starts[1:] {
		starts[i+1] += starts[i]
	}
	for i := range labels {
		at := &starts[key(&labels[i])]
		dst[*at] = labels[i]
		*at++
	}
}

// takeIDs appends the series of the first labels that belong together, at least one.
func takeIDs(dst []uint32, labels []batchLabel, same func(*batchLabel) bool) []uint32 {
	for i := range labels {
		if !same(&labels[i]) {
			break
		}
		dst = append(dst, labels[i].id)
	}
	return dst
}
