package block

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
)

// labelBuilder keeps the labels of all series until the block is finished, because only then
// the order of the strings is known: each string once, and of each series a few bytes.
type labelBuilder struct {
	byName map[string]uint32
	names  []*nameValues
	// metadata are distinct.
	metadata   []metadata.Metadata
	metadataOf map[metadata.Metadata]uint32

	frame     labelFrame // The one that is being filled.
	frames    [][]byte   // Those that are full, not compressed.
	lastShape uint32
	// The names and values of the series added last, and of the one before. Most are the same: a
	// comparison is cheaper than looking a string up.
	last, before []numberedLabel
	shape        []uint32 // Scratch: the numbers of the names of a series.
}

// numberedLabel is a label with the numbers of its strings, which are the builder's.
type numberedLabel struct {
	name, value             string
	nameNumber, valueNumber uint32
}

// nameValues are the values of a label name.
type nameValues struct {
	name    string
	numbers map[string]uint32
	values  []string
	counts  []uint32 // How many series have each value.
}

func newLabelBuilder() labelBuilder {
	return labelBuilder{byName: map[string]uint32{}, metadataOf: map[metadata.Metadata]uint32{}}
}

// add takes the labels and the metadata of the next series.
func (b *labelBuilder) add(ls labels.Labels, m metadata.Metadata) {
	f := &b.frame
	b.last, b.before = b.before[:0], b.last
	b.shape = b.shape[:0]
	ls.Range(func(l labels.Label) {
		n := b.numbered(l)
		b.last = append(b.last, n)
		f.values = append(f.values, n.valueNumber)
		b.shape = append(b.shape, n.nameNumber)
	})
	f.ends = append(f.ends, uint32(len(f.values)))
	f.shape = append(f.shape, b.shapeOf(b.shape))
	f.metadata = append(f.metadata, b.metadataNumber(m))
}

// numbered finds the numbers of a label, the next one of the series.
func (b *labelBuilder) numbered(l labels.Label) numberedLabel {
	at := len(b.last)
	if at < len(b.before) && b.before[at].name == l.Name {
		same := b.before[at]
		name := b.names[same.nameNumber]
		if same.value == l.Value {
			name.counts[same.valueNumber]++
			return same
		}
		value := name.number(l.Value)
		return numberedLabel{same.name, name.values[value], same.nameNumber, value}
	}
	n, ok := b.byName[l.Name]
	if !ok {
		n = uint32(len(b.names))
		name := strings.Clone(l.Name) // It is part of a label set.
		b.byName[name] = n
		b.names = append(b.names, &nameValues{name: name, numbers: map[string]uint32{}})
	}
	name := b.names[n]
	value := name.number(l.Value)
	return numberedLabel{name.name, name.values[value], n, value}
}

// bucket says whether the series added last and the one before are buckets of one histogram.
func (b *labelBuilder) bucket() bool {
	found := false
	for i := range b.last {
		if i >= len(b.before) || b.last[i].nameNumber != b.before[i].nameNumber {
			return false
		}
		if b.last[i].name == model.BucketLabel {
			found = true
		} else if b.last[i].valueNumber != b.before[i].valueNumber {
			return false
		}
	}
	return found && len(b.last) == len(b.before)
}

func (n *nameValues) number(value string) uint32 {
	v, ok := n.numbers[value]
	if !ok {
		v = uint32(len(n.values))
		value = strings.Clone(value)
		n.numbers[value] = v
		n.values, n.counts = append(n.values, value), append(n.counts, 0)
	}
	n.counts[v]++
	return v
}

// shapeOf numbers the lists of names of a frame.
func (b *labelBuilder) shapeOf(names []uint32) uint32 {
	f := &b.frame
	if int(b.lastShape) < len(f.shapes) && slices.Equal(f.shapes[b.lastShape], names) {
		return b.lastShape
	}
	i := slices.IndexFunc(f.shapes, func(s []uint32) bool { return slices.Equal(s, names) })
	if i < 0 {
		i = len(f.shapes)
		f.shapes = append(f.shapes, slices.Clone(names))
	}
	b.lastShape = uint32(i)
	return b.lastShape
}

func (b *labelBuilder) metadataNumber(m metadata.Metadata) uint32 {
	if (m == metadata.Metadata{}) {
		return 0
	}
	n, ok := b.metadataOf[m]
	if !ok {
		m.Unit, m.Help = strings.Clone(m.Unit), strings.Clone(m.Help)
		b.metadata = append(b.metadata, m)
		n = uint32(len(b.metadata))
		b.metadataOf[m] = n
	}
	return n
}

// endFrame puts the frame away. While it is filled, its shapes have numbers of names; then
// indices.
func (b *labelBuilder) endFrame() {
	f := &b.frame
	f.names = f.names[:0]
	for _, shape := range f.shapes {
		f.names = append(f.names, shape...)
	}
	slices.Sort(f.names)
	f.names = slices.Compact(f.names)
	f.reindex()
	b.frames = append(b.frames, f.append(nil))
	f.shapes, f.shape, f.ends, f.metadata, f.values = f.shapes[:0], f.shape[:0], f.ends[:0], f.metadata[:0], f.values[:0]
}

// reindex turns the numbers of names in shapes into indices into names.
func (f *labelFrame) reindex() {
	for _, shape := range f.shapes {
		for j, n := range shape {
			i, _ := slices.BinarySearch(f.names, n)
			shape[j] = uint32(i)
		}
	}
}

// ranks are the places of names and values in the order of the strings, by the numbers that
// they have in a labelBuilder.
type ranks struct {
	names  []uint32
	values [][]uint32
}

// sort brings names and values into the order of the strings, and says where each went.
func (b *labelBuilder) sort() ranks {
	r := ranks{values: make([][]uint32, len(b.names))}
	for n, name := range b.names {
		r.values[n] = name.sort()
	}
	r.names = sortedRanks(len(b.names), func(i, j uint32) int { return strings.Compare(b.names[i].name, b.names[j].name) })
	b.names = permuted(b.names, r.names)
	b.byName = nil
	return r
}

func (n *nameValues) sort() (rank []uint32) {
	n.numbers = nil
	rank = sortedRanks(len(n.values), func(i, j uint32) int { return strings.Compare(n.values[i], n.values[j]) })
	n.values, n.counts = permuted(n.values, rank), permuted(n.counts, rank)
	return rank
}

// sortedRanks returns the place of each of n things in their order.
func sortedRanks(n int, compare func(i, j uint32) int) []uint32 {
	order := make([]uint32, n)
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, compare)
	rank := make([]uint32, n)
	for at, i := range order {
		rank[i] = uint32(at)
	}
	return rank
}

func permuted[E any](list []E, rank []uint32) []E {
	out := make([]E, len(list))
	for i, e := range list {
		out[rank[i]] = e
	}
	return out
}

// rank gives a frame the numbers of the file in place of those of the builder. Its labels keep
// their order, since that is the one of the names.
func (f *labelFrame) rank(r *ranks) {
	for i := range f.shape {
		names, values := f.of(i)
		for j, n := range names {
			values[j] = r.values[f.names[n]][values[j]]
		}
	}
	type place struct{ number, index uint32 }
	places := make([]place, len(f.names))
	for i, n := range f.names {
		places[i] = place{r.names[n], uint32(i)}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.number, b.number) })
	index := make([]uint32, len(places))
	for i, p := range places {
		f.names[i], index[p.index] = p.number, uint32(i)
	}
	for _, shape := range f.shapes {
		for j, n := range shape {
			shape[j] = index[n]
		}
	}
}
