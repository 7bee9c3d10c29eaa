package parse

import (
	"strings"
	"sync"
	"unique"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
)

// Family is a metric family with its metadata.
type Family struct {
	Name string
	metadata.Metadata
}

// familyGrace is the number of scrapes for which a family outlives its last
// line.
const familyGrace = 10

// Families is the metadata that a target exposed. The readers List, Get, Size
// and Len can be called by any goroutine, and on a nil pointer; everything else
// belongs to the Layout.
//
// The strings are shared between all targets of the process: hundreds of targets
// of a job have the same help texts.
type Families struct {
	mu      sync.Mutex
	ids     map[string]uint32 // into list
	list    []familyState     // number 0 is no family
	free    []uint32
	changed []uint32 // families whose metadata changed since the last commit
}

type familyState struct {
	family   unique.Handle[Family]
	used     bool
	lines    int    // lines of the layout that belong to the family
	lastSeen uint64 // scrape that saw it last, if no line belongs to it
}

func newFamilies() *Families {
	return &Families{ids: map[string]uint32{}, list: make([]familyState, 1)}
}

// List returns all families, in no particular order.
func (f *Families) List() []Family {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	result := make([]Family, 0, len(f.ids))
	for _, id := range f.ids {
		result = append(result, f.list[id].family.Value())
	}
	return result
}

// Get returns the metadata of a family.
func (f *Families) Get(name string) (metadata.Metadata, bool) {
	if f == nil {
		return metadata.Metadata{}, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id, ok := f.ids[name]
	if !ok {
		return metadata.Metadata{}, false
	}
	return f.list[id].family.Value().Metadata, true
}

// Len returns the number of families.
func (f *Families) Len() int {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.ids)
}

// Size returns the number of bytes of all types, units and helps.
func (f *Families) Size() int {
	n := 0
	for _, family := range f.List() {
		n += len(family.Type) + len(family.Unit) + len(family.Help)
	}
	return n
}

// set changes the metadata of the family name and returns its number, and
// whether it is new, has changed, or was not announced by the body before. A new
// family has no series yet that would have to be told, so it is not in changed.
func (f *Families) set(name []byte, scrape uint64, change func(*metadata.Metadata)) (id uint32, news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, ok := f.ids[string(name)]
	if !ok {
		family := Family{Name: string(name), Metadata: metadata.Metadata{Type: model.MetricTypeUnknown}}
		change(&family.Metadata)
		handle := unique.Make(family)
		if n := len(f.free); n > 0 {
			id, f.free = f.free[n-1], f.free[:n-1]
		} else {
			id = uint32(len(f.list))
			f.list = append(f.list, familyState{})
		}
		f.list[id] = familyState{family: handle, used: true, lastSeen: scrape}
		f.ids[handle.Value().Name] = id
		return id, true
	}
	state := &f.list[id]
	gap := state.lastSeen+1 < scrape
	state.lastSeen = scrape
	family := state.family.Value()
	before := family.Metadata
	change(&family.Metadata)
	if family.Metadata != before {
		state.family = unique.Make(family)
		f.changed = append(f.changed, id)
		return id, true
	}
	return id, gap
}

// get returns the family with the number id.
func (f *Families) get(id uint32) Family { return f.list[id].family.Value() }

// addLines notes that n more lines of the layout belong to the family.
func (f *Families) addLines(id uint32, n int, scrape uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list[id].lines += n
	f.list[id].lastSeen = scrape
}

// expire forgets the families that no line belongs to and that were not seen
// for a while, and returns their numbers.
func (f *Families) expire(scrape uint64) (gone map[uint32]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gone = map[uint32]bool{}
	for id := range f.list {
		state := &f.list[id]
		if !state.used || state.lines > 0 || scrape-state.lastSeen <= familyGrace {
			continue
		}
		delete(f.ids, state.family.Value().Name)
		*state = familyState{}
		f.free = append(f.free, uint32(id))
		gone[uint32(id)] = true
	}
	return gone
}

// familySuffixes are the suffixes that the series of a family may have, by the
// type of the family.
var familySuffixes = map[model.MetricType][]string{
	model.MetricTypeCounter:        {"_total"},
	model.MetricTypeHistogram:      {"_bucket", "_sum", "_count"},
	model.MetricTypeGaugeHistogram: {"_bucket", "_gsum", "_gcount"},
	model.MetricTypeSummary:        {"_sum", "_count"},
	model.MetricTypeInfo:           {"_info"},
}

// hasSeries reports whether a series with the name belongs to the family. In
// the text format the name of a counter's or info's family has the suffix too.
func (f *Family) hasSeries(name string) bool {
	rest, ok := strings.CutPrefix(name, f.Name)
	if !ok {
		return false
	}
	if rest == "" {
		return true
	}
	for _, suffix := range familySuffixes[f.Type] {
		if rest == suffix {
			return true
		}
	}
	return false
}
