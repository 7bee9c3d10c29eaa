package index

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
)

// MetricOrder yields label sets in the order that series have in a block (block.Compare): by
// metric name, then as labels.Compare has it of the labels without le, then by le as a number.
// It orders the labels that occur, each once, and then compares numbers. It belongs to one
// goroutine. Its memory is that of the distinct labels, 12 bytes a set, and the keys of the sets
// of one metric.
type MetricOrder struct {
	pairs []Pair // The distinct labels, in the order of name and value; that of rank r is pairs[r-1].
	// words has the parts of label sets, each as: rank of the metric name or 0; rank of le or 0;
	// how many labels there are beside le; their ranks, ascending.
	words   []uint32
	entries []orderedSet // Those to come, by metric; within a metric as they were given.
	metric  []keyedSet   // Those to come of a metric, in order.
	keys    []uint32     // Of the sets of a metric.
	at      keyedSet
}

// keyedSet is a set with its key: the ranks of its labels without le, ascending, then 0, then the rank of
// le, 0 if it has none.
type keyedSet struct{ number, from, to uint32 }

// Words of a part before its ranks.
const (
	wordMetric = iota
	wordBucket
	wordCount
	partWords
)

// NewMetricOrder takes sets, which nobody releases meanwhile, each with a number of the caller's.
func (s *LabelSets) NewMetricOrder(n int, at func(i int) (set LabelSet, number uint32)) *MetricOrder {
	b := metricOrderBuilder{sets: s, order: &MetricOrder{entries: make([]orderedSet, n)}}
	for i := range b.order.entries {
		set, number := at(i)
		b.order.entries[i] = orderedSet{number, b.part(set.shared), b.part(set.own)}
	}
	b.rank()
	b.byMetric()
	return b.order
}

// metricOrderBuilder collects the distinct parts and labels.
type metricOrderBuilder struct {
	sets  *LabelSets
	order *MetricOrder
	// parts has by the number of a part where it begins in words, plus one; 0 for those that did
	// not come.
	parts []uint32
	table pairTable
}

// part adds a part: its labels as indices into pairs, plus one, in place of ranks.
func (b *metricOrderBuilder) part(n uint32) uint32 {
	b.parts = grown(b.parts, n)
	if at := b.parts[n]; at > 0 {
		return at - 1
	}
	var room [32]Pair
	pairs := appendPart(room[:0], b.sets.part(n).pairs)
	o := b.order
	at := uint32(len(o.words))
	b.parts[n] = at + 1
	if need := partWords + len(pairs); cap(o.words)-len(o.words) < need {
		o.words = slices.Grow(o.words, len(o.words)+need)
	}
	o.words = append(o.words, 0, 0, uint32(len(pairs)))
	for _, p := range pairs {
		o.words = append(o.words, b.table.add(p)+1)
	}
	return at
}

// rank brings the labels into order and gives the parts their ranks.
func (b *metricOrderBuilder) rank() {
	symbols := b.sets.symbols
	type label struct {
		name, value string
		bound       float64 // Of le; 0 of others.
		index       uint32
	}
	list := make([]label, len(b.table.pairs))
	for i, p := range b.table.pairs {
		l := label{name: symbols.String(p.Name), value: symbols.String(p.Value), index: uint32(i)}
		if l.name == model.BucketLabel {
			l.bound = Bound(l.value)
		}
		list[i] = l
	}
	slices.SortFunc(list, func(a, b label) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.bound, b.bound), strings.Compare(a.value, b.value))
	})
	ranks := make([]uint32, len(list))
	b.order.pairs = make([]Pair, len(list))
	for i := range list {
		ranks[list[i].index], b.order.pairs[i] = uint32(i)+1, b.table.pairs[list[i].index]
	}
	b.rerank(ranks)
}

// rerank puts ranks into the parts.
func (b *metricOrderBuilder) rerank(ranks []uint32) {
	o, symbols := b.order, b.sets.symbols
	// The ranks of metric names, and those of le, follow each other.
	span := func(name string) (from, to uint32) {
		i, _ := slices.BinarySearchFunc(o.pairs, name, func(p Pair, name string) int {
			return strings.Compare(symbols.String(p.Name), name)
		})
		n := i
		for n < len(o.pairs) && symbols.String(o.pairs[n].Name) == name {
			n++
		}
		return uint32(i) + 1, uint32(n) + 1
	}
	metricFrom, metricTo := span(model.MetricNameLabel)
	bucketFrom, bucketTo := span(model.BucketLabel)
	for at := uint32(0); int(at) < len(o.words); {
		head, labels := o.words[at:at+partWords], o.words[at+partWords:at+partWords+o.words[at+wordCount]]
		at += partWords + uint32(len(labels))
		others := labels[:0]
		for _, i := range labels {
			r := ranks[i-1]
			if r >= bucketFrom && r < bucketTo {
				head[wordBucket] = r
				continue
			}
			if r >= metricFrom && r < metricTo {
				head[wordMetric] = r
			}
			others = append(others, r)
		}
		head[wordCount] = uint32(len(others))
	}
}

// byMetric brings the entries into the order of their metrics.
func (b *metricOrderBuilder) byMetric() {
	o := b.order
	starts := make([]uint32, len(o.pairs)+2)
	for i := range o.entries {
		starts[o.metricOf(&o.entries[i])+1]++
	}
	for i := range starts[1:] {
		starts[i+1] += starts[i]
	}
	sorted := make([]orderedSet, len(o.entries))
	for i := range o.entries {
		at := &starts[o.metricOf(&o.entries[i])]
		sorted[*at] = o.entries[i]
		*at++
	}
	o.entries = sorted
}

// metricOf returns the rank of the metric name, 0 if there is none.
func (o *MetricOrder) metricOf(e *orderedSet) uint32 {
	return max(o.words[e.shared+wordMetric], o.words[e.own+wordMetric])
}

// Next goes to the next set and returns its number.
func (o *MetricOrder) Next() (number uint32, ok bool) {
	if len(o.metric) == 0 {
		if len(o.entries) == 0 {
			return 0, false
		}
		o.load()
	}
	o.at, o.metric = o.metric[0], o.metric[1:]
	return o.at.number, true
}

// load sorts the sets of the next metric.
func (o *MetricOrder) load() {
	metric, n := o.metricOf(&o.entries[0]), 1
	for n < len(o.entries) && o.metricOf(&o.entries[n]) == metric {
		n++
	}
	o.keys = o.keys[:0]
	o.keys = slices.Grow(o.keys, n*16) // As a rule they need not grow then.
	list := slices.Grow(o.metric[:0], n)
	for i := range o.entries[:n] {
		from := uint32(len(o.keys))
		o.addKey(&o.entries[i])
		list = append(list, keyedSet{o.entries[i].number, from, uint32(len(o.keys))})
	}
	o.entries = o.entries[n:]
	slices.SortFunc(list, func(a, b keyedSet) int { return slices.Compare(o.keys[a.from:a.to], o.keys[b.from:b.to]) })
	o.metric = list
}

// addKey appends the key of a set to keys.
func (o *MetricOrder) addKey(e *orderedSet) {
	others := func(at uint32) []uint32 { return o.words[at+partWords:][:o.words[at+wordCount]] }
	a, b := others(e.shared), others(e.own)
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			o.keys, a = append(o.keys, a[0]), a[1:]
		} else {
			o.keys, b = append(o.keys, b[0]), b[1:]
		}
	}
	o.keys = append(append(o.keys, a...), b...)
	o.keys = append(o.keys, 0, max(o.words[e.shared+wordBucket], o.words[e.own+wordBucket]))
}

// Labels appends the ranks of the labels of the set that Next went to, ascending in the name.
func (o *MetricOrder) Labels(dst []uint32) []uint32 {
	key := o.keys[o.at.from:o.at.to]
	others, bucket := key[:len(key)-2], key[len(key)-1]
	if bucket == 0 {
		return append(dst, others...)
	}
	i, _ := slices.BinarySearch(others, bucket)
	return append(append(append(dst, others[:i]...), bucket), others[i:]...)
}

// Label returns the label with a rank.
func (o *MetricOrder) Label(rank uint32) Pair { return o.pairs[rank-1] }

// MaxRank is the greatest rank.
func (o *MetricOrder) MaxRank() uint32 { return uint32(len(o.pairs)) }
