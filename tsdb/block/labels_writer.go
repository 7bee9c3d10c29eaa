package block

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/metadata"
)

// labelBuilder keeps the labels of all series until the block is finished, because only then
// the order of the strings is known: each string once, and of each series a few bytes.
type labelBuilder struct {
	dictionary *Dictionary
	// metadata are distinct. lastMetadata is the number of that of the series added last: most
	// have that of the one before.
	metadata     []metadata.Metadata
	metadataOf   map[metadata.Metadata]uint32
	lastMetadata uint32

	frame     labelFrame // The one that is being filled.
	frames    [][]byte   // Those that are full, not compressed.
	lastShape uint32
	// The labels of the series added last, and of the one before.
	last, before []Label
	shape        []uint32 // Scratch: the numbers of the names of a series.
}

func newLabelBuilder() labelBuilder {
	return labelBuilder{dictionary: newDictionary(), metadataOf: map[metadata.Metadata]uint32{}}
}

// add takes the labels and the metadata of the next series.
func (b *labelBuilder) add(ls []Label, m metadata.Metadata) {
	f := &b.frame
	b.last, b.before = append(b.before[:0], ls...), b.last
	b.shape = b.shape[:0]
	for _, l := range ls {
		b.dictionary.names[l.Name].counts[l.Value]++
		f.values = append(f.values, l.Value)
		b.shape = append(b.shape, l.Name)
	}
	f.ends = append(f.ends, uint32(len(f.values)))
	f.shape = append(f.shape, b.shapeOf(b.shape))
	f.metadata = append(f.metadata, b.metadataNumber(m))
}

// inOrder says whether the series added last comes after the one before.
func (b *labelBuilder) inOrder() bool { return b.dictionary.Compare(b.before, b.last) < 0 }

// bucket says whether the series added last and the one before are buckets of one histogram.
func (b *labelBuilder) bucket() bool { return b.dictionary.follows(b.before, b.last) }

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
	if n := b.lastMetadata; n > 0 && b.metadata[n-1] == m {
		return n
	}
	n, ok := b.metadataOf[m]
	if !ok {
		m.Unit, m.Help = strings.Clone(m.Unit), strings.Clone(m.Help)
		b.metadata = append(b.metadata, m)
		n = uint32(len(b.metadata))
		b.metadataOf[m] = n
	}
	b.lastMetadata = n
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
