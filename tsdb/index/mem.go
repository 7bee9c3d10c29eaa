package index

import (
	"context"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"
)

// MemPostings is the inverted index of the head. It may be used from any number of
// goroutines; see the package comment.
//
// Lock order: a labelIndex, then names; none is held while another labelIndex is locked.
type MemPostings struct {
	symbols *Symbols
	valueOf func(id uint32, name string) (value string, ok bool) // Or nil.

	names struct {
		sync.RWMutex
		byName map[Symbol]*labelIndex
	}
	all struct {
		sync.RWMutex
		list list
	}
}

var _ Postings = (*MemPostings)(nil)

// labelIndex is the values of one label name. It stays when it has lost all its values.
type labelIndex struct {
	sync.RWMutex
	has    list // The series that have the name.
	values map[Symbol]*list

	// sorted has the values that were there when it was made, and is never changed in place.
	// added came since, possibly gone again; removed says that some have gone.
	sorted  []valueEntry
	added   []Symbol
	removed bool
	strings []string // The values of sorted, or nil.
}

type valueEntry struct {
	value  string
	symbol Symbol
}

// NewMemPostings returns an empty index over a table of symbols.
func NewMemPostings(symbols *Symbols) *MemPostings {
	p := &MemPostings{symbols: symbols}
	p.names.byName = map[Symbol]*labelIndex{}
	return p
}

// KnowLabels gives the index a function that returns the value which a series has of a label,
// "" if it does not have it, and false if there is no such series. The index then looks at the
// series where they are fewer than the values of a label. It must be called before any other
// method.
func (p *MemPostings) KnowLabels(valueOf func(id uint32, name string) (value string, ok bool)) {
	p.valueOf = valueOf
}

// valuesOf implements forward.
func (p *MemPostings) valuesOf(name string) (of func(id uint32) (string, bool), values int) {
	l := p.find(name)
	if l == nil || p.valueOf == nil {
		return nil, 0
	}
	l.RLock()
	defer l.RUnlock()
	return func(id uint32) (string, bool) { return p.valueOf(id, name) }, len(l.values)
}

// Add enters a series. The pairs must stay interned until after Remove.
func (p *MemPostings) Add(id uint32, pairs []Pair) {
	for _, pair := range pairs {
		l := p.labelIndex(pair.Name)
		l.Lock()
		l.valueLocked(pair.Value).add(id)
		l.has.add(id)
		l.Unlock()
	}
	p.all.Lock()
	defer p.all.Unlock()
	p.all.list.add(id)
}

// valueLocked returns the list of a value, making it if it is new.
func (l *labelIndex) valueLocked(value Symbol) *list {
	v := l.values[value]
	if v == nil {
		v = &list{}
		l.values[value] = v
		l.noteAdded(value)
	}
	return v
}

// Remove takes series out. pairs are the labels that any of them was added with, each at least
// once.
func (p *MemPostings) Remove(ids *roaring.Bitmap, pairs []Pair) {
	p.all.Lock()
	p.all.list.remove(ids)
	p.all.Unlock()
	names := map[Symbol]struct{}{}
	for _, pair := range pairs {
		names[pair.Name] = struct{}{}
		l := p.labelIndex(pair.Name)
		l.Lock()
		if v := l.values[pair.Value]; v != nil && v.remove(ids) {
			delete(l.values, pair.Value)
			l.removed = true
		}
		l.Unlock()
	}
	for name := range names {
		l := p.labelIndex(name)
		l.Lock()
		l.has.remove(ids)
		l.Unlock()
	}
}

// labelIndex returns the index of a name, making it if it is new.
func (p *MemPostings) labelIndex(name Symbol) *labelIndex {
	p.names.RLock()
	l := p.names.byName[name]
	p.names.RUnlock()
	if l != nil {
		return l
	}
	p.names.Lock()
	defer p.names.Unlock()
	if l = p.names.byName[name]; l == nil {
		l = &labelIndex{values: map[Symbol]*list{}}
		p.names.byName[name] = l
	}
	return l
}

// find returns the index of a name, nil if there is none.
func (p *MemPostings) find(name string) *labelIndex {
	n, ok := p.symbols.Lookup(name)
	if !ok {
		return nil
	}
	p.names.RLock()
	defer p.names.RUnlock()
	return p.names.byName[n]
}

// All implements Postings.
func (p *MemPostings) All() (*roaring.Bitmap, error) {
	p.all.RLock()
	defer p.all.RUnlock()
	return p.all.list.clone(), nil
}

// Retain implements Postings. Remove takes a series out of all before it takes its labels.
func (p *MemPostings) Retain(set *roaring.Bitmap) {
	p.all.RLock()
	defer p.all.RUnlock()
	p.all.list.retain(set)
}

// Name implements Postings.
func (p *MemPostings) Name(name string) (*roaring.Bitmap, error) {
	l := p.find(name)
	if l == nil {
		return roaring.New(), nil
	}
	l.RLock()
	defer l.RUnlock()
	return l.has.clone(), nil
}

// Value implements Postings.
func (p *MemPostings) Value(name, value string) (*roaring.Bitmap, error) {
	l := p.find(name)
	v, ok := p.symbols.Lookup(value)
	if l == nil || !ok {
		return roaring.New(), nil
	}
	l.RLock()
	defer l.RUnlock()
	// The symbol may stand for another value since it was looked up.
	if found := l.values[v]; found != nil && p.symbols.String(v) == value {
		return found.clone(), nil
	}
	return roaring.New(), nil
}

// Count returns how many series have a label.
func (p *MemPostings) Count(name, value string) int {
	l := p.find(name)
	if l == nil {
		return 0
	}
	v, ok := p.symbols.Lookup(value)
	if !ok {
		return 0
	}
	l.RLock()
	defer l.RUnlock()
	if have := l.values[v]; have != nil {
		return have.len()
	}
	return 0
}

// AddValues implements Postings.
func (p *MemPostings) AddValues(ctx context.Context, dst *roaring.Bitmap, name string, values []string) error {
	l := p.find(name)
	if l == nil {
		return nil
	}
	wanted := make([]Symbol, 0, len(values))
	for _, v := range values {
		if n, ok := p.symbols.Lookup(v); ok {
			wanted = append(wanted, n)
		}
	}
	return l.addSymbols(ctx, dst, wanted)
}

// addSymbols adds the series of values to dst, holding the lock for a bounded time at once.
func (l *labelIndex) addSymbols(ctx context.Context, dst *roaring.Bitmap, wanted []Symbol) error {
	u := union{dst: dst}
	for part := range slices.Chunk(wanted, checkEvery) {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.RLock()
		for _, n := range part {
			if v := l.values[n]; v != nil {
				u.add(v)
			}
		}
		l.RUnlock()
	}
	u.flush()
	return nil
}

// AddMatching implements Postings.
func (p *MemPostings) AddMatching(ctx context.Context, dst *roaring.Bitmap, name, prefix string, match func(string) bool) error {
	l := p.find(name)
	if l == nil {
		return nil
	}
	entries := l.sortedValues(p.symbols)
	from, _ := slices.BinarySearchFunc(entries, prefix, func(e valueEntry, prefix string) int {
		return strings.Compare(e.value, prefix)
	})
	entries = entries[from:]
	entries = entries[:sort.Search(len(entries), func(i int) bool { return !strings.HasPrefix(entries[i].value, prefix) })]
	wanted := matching(ctx, entries, match)
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.addSymbols(ctx, dst, wanted)
}

// matchedAtOnce is how many values one goroutine matches.
const matchedAtOnce = 1 << 16

// matching returns the entries whose value matches, fewer if the context ends. Many values are
// matched by several goroutines.
func matching(ctx context.Context, entries []valueEntry, match func(string) bool) []Symbol {
	if len(entries) <= matchedAtOnce {
		var wanted []Symbol
		for i, e := range entries {
			if i%checkEvery == 0 && ctx.Err() != nil {
				return nil
			}
			if match(e.value) {
				wanted = append(wanted, e.symbol)
			}
		}
		return wanted
	}
	wanted := make([][]Symbol, (len(entries)+matchedAtOnce-1)/matchedAtOnce)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(wanted)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(wanted); i = int(next.Add(1)) - 1 {
				part := entries[i*matchedAtOnce : min((i+1)*matchedAtOnce, len(entries))]
				wanted[i] = matching(ctx, part, match)
			}
		})
	}
	wg.Wait()
	return slices.Concat(wanted...)
}

// sortedValues returns the values in ascending order: a snapshot, shared and not to be
// changed.
func (l *labelIndex) sortedValues(symbols *Symbols) []valueEntry {
	l.RLock()
	sorted, fresh := l.sorted, len(l.added) == 0 && !l.removed
	l.RUnlock()
	if fresh {
		return sorted
	}
	l.Lock()
	defer l.Unlock()
	l.sortLocked(symbols)
	return l.sorted
}

// noteAdded remembers a new value for sortLocked. Where nobody reads the values in order,
// the memory is bound by starting over.
func (l *labelIndex) noteAdded(value Symbol) {
	if len(l.added) > 2*len(l.values)+checkEvery {
		l.sorted, l.added = nil, l.added[:0]
		for n := range l.values {
			l.added = append(l.added, n)
		}
		return
	}
	l.added = append(l.added, value)
}

// sortLocked brings sorted up to date: it merges the values that came into those that stayed.
func (l *labelIndex) sortLocked(symbols *Symbols) {
	if len(l.added) == 0 && !l.removed {
		return
	}
	byValue := func(a, b valueEntry) int { return strings.Compare(a.value, b.value) }
	added := make([]valueEntry, 0, len(l.added))
	for _, n := range l.added {
		if l.values[n] != nil {
			added = append(added, valueEntry{symbols.String(n), n})
		}
	}
	slices.SortFunc(added, byValue)
	merged := make([]valueEntry, 0, len(l.values))
	for _, e := range l.sorted {
		// The number of a value that went may stand for another one by now, which is in added.
		if l.values[e.symbol] == nil || symbols.String(e.symbol) != e.value {
			continue
		}
		for len(added) > 0 && added[0].value < e.value {
			merged, added = append(merged, added[0]), added[1:]
		}
		merged = append(merged, e)
	}
	merged = append(merged, added...)
	// A value that went and came back is there twice.
	merged = slices.CompactFunc(merged, func(a, b valueEntry) bool { return a.value == b.value })
	l.sorted, l.added, l.removed, l.strings = merged, nil, false, nil
}

// Names implements Postings.
func (p *MemPostings) Names() ([]string, error) {
	type named struct {
		name  string
		index *labelIndex
	}
	p.names.RLock()
	all := make([]named, 0, len(p.names.byName))
	for n, l := range p.names.byName {
		all = append(all, named{p.symbols.String(n), l})
	}
	p.names.RUnlock()

	// Without the lock of the names, because of the lock order.
	out := make([]string, 0, len(all))
	for _, n := range all {
		n.index.RLock()
		if n.index.has.len() > 0 {
			out = append(out, n.name)
		}
		n.index.RUnlock()
	}
	slices.Sort(out)
	return out, nil
}

// Values implements Postings.
func (p *MemPostings) Values(name string) ([]string, error) {
	l := p.find(name)
	if l == nil {
		return nil, nil
	}
	l.Lock()
	defer l.Unlock()
	l.sortLocked(p.symbols)
	if l.strings == nil {
		l.strings = make([]string, len(l.sorted))
		for i, e := range l.sorted {
			l.strings[i] = e.value
		}
	}
	return l.strings, nil
}

// ValuesIn implements Postings.
func (p *MemPostings) ValuesIn(ctx context.Context, set *roaring.Bitmap, name string) ([]string, error) {
	l := p.find(name)
	if l == nil {
		return nil, nil
	}
	var out []string
	for part := range slices.Chunk(l.sortedValues(p.symbols), checkEvery) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l.RLock()
		for _, e := range part {
			if v := l.values[e.symbol]; v != nil && v.intersects(set) {
				out = append(out, e.value)
			}
		}
		l.RUnlock()
	}
	return out, nil
}

// NameIn implements Postings.
func (p *MemPostings) NameIn(set *roaring.Bitmap, name string) (bool, error) {
	l := p.find(name)
	if l == nil {
		return false, nil
	}
	l.RLock()
	defer l.RUnlock()
	return l.has.intersects(set), nil
}

// ValueCounts calls f for each value of a label name with the number of its series, in no
// particular order, until f returns false. Writers of the name wait meanwhile.
func (p *MemPostings) ValueCounts(name string, f func(value string, series int) bool) {
	l := p.find(name)
	if l == nil {
		return
	}
	l.RLock()
	defer l.RUnlock()
	for n, v := range l.values {
		if !f(p.symbols.String(n), v.len()) {
			return
		}
	}
}
