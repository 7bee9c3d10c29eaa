package block

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	idx "github.com/gnomonhq/gnomon/tsdb/index"
)

// Dictionary numbers the label strings of a block that is being written, in the order in which
// they come: each name, and the values of each name. Series whose labels are numbers are
// compared and written without a look at their strings. It belongs to the goroutine of its
// Writer. What is numbered and no series has is not written.
type Dictionary struct {
	byName map[string]uint32
	names  []*nameValues
	// metric and bucket are the numbers of the names that Compare treats apart, noName as long as
	// they did not come.
	metric, bucket uint32
	bounds         []float64 // Of the values of le, by number, as far as they were wanted.
	// last has the label set that was numbered last. Most labels of a set are those of the one
	// before: a comparison is cheaper than looking a string up.
	last []Label
}

// Label is a label by the numbers of a Dictionary.
type Label struct{ Name, Value uint32 }

// nameValues are the values of a label name.
type nameValues struct {
	name    string
	numbers map[string]uint32
	values  []string
	counts  []uint32 // How many series have each value.
}

func newDictionary() *Dictionary {
	return &Dictionary{byName: map[string]uint32{}, metric: noName, bucket: noName}
}

// Number returns the numbers of a label. It keeps no part of the strings.
func (d *Dictionary) Number(name, value string) Label {
	n, ok := d.byName[name]
	if !ok {
		n = uint32(len(d.names))
		name = strings.Clone(name) // It may be part of a label set.
		d.byName[name] = n
		d.names = append(d.names, &nameValues{name: name, numbers: map[string]uint32{}})
		switch name {
		case model.MetricNameLabel:
			d.metric = n
		case model.BucketLabel:
			d.bucket = n
		}
	}
	return Label{n, d.names[n].number(value)}
}

func (n *nameValues) number(value string) uint32 {
	v, ok := n.numbers[value]
	if !ok {
		v = uint32(len(n.values))
		value = strings.Clone(value)
		n.numbers[value] = v
		n.values, n.counts = append(n.values, value), append(n.counts, 0)
	}
	return v
}

// Append appends the numbers of a label set to dst.
func (d *Dictionary) Append(dst []Label, ls labels.Labels) []Label {
	from := len(dst)
	ls.Range(func(l labels.Label) {
		if at := len(dst) - from; at < len(d.last) {
			same := d.last[at]
			if n := d.names[same.Name]; n.name == l.Name {
				if n.values[same.Value] != l.Value {
					same.Value = n.number(l.Value)
				}
				dst = append(dst, same)
				return
			}
		}
		dst = append(dst, d.Number(l.Name, l.Value))
	})
	d.last = append(d.last[:0], dst[from:]...)
	return dst
}

// Labels returns a label set as new memory.
func (d *Dictionary) Labels(ls []Label) labels.Labels {
	b := labels.NewScratchBuilder(len(ls))
	for _, l := range ls {
		b.Add(d.names[l.Name].name, d.names[l.Name].values[l.Value])
	}
	return b.Labels()
}

// Compare is the function Compare of label sets by number.
func (d *Dictionary) Compare(a, b []Label) int {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] { // What they have in common decides nothing.
		a, b = a[1:], b[1:]
	}
	if len(a)+len(b) == 0 { // As a rule, when blocks are merged.
		return 0
	}
	if c := strings.Compare(d.value(a, d.metric), d.value(b, d.metric)); c != 0 {
		return c
	}
	for i, j := 0, 0; ; i, j = i+1, j+1 {
		if i < len(a) && a[i].Name == d.bucket {
			i++
		}
		if j < len(b) && b[j].Name == d.bucket {
			j++
		}
		if i == len(a) || j == len(b) {
			return cmp.Or(cmp.Compare(len(a)-i, len(b)-j), d.compareBuckets(a, b))
		}
		if c := d.compareLabels(a[i], b[j]); c != 0 {
			return c
		}
	}
}

// value returns the value that a label set has of a name, "" if it has none.
func (d *Dictionary) value(ls []Label, name uint32) string {
	for _, l := range ls {
		if l.Name == name {
			return d.names[name].values[l.Value]
		}
	}
	return ""
}

func (d *Dictionary) compareBuckets(a, b []Label) int {
	return cmp.Or(cmp.Compare(d.bound(a), d.bound(b)), strings.Compare(d.value(a, d.bucket), d.value(b, d.bucket)))
}

// bound returns the bound of a bucket.
func (d *Dictionary) bound(ls []Label) float64 {
	for _, l := range ls {
		if l.Name != d.bucket {
			continue
		}
		for n := len(d.bounds); n <= int(l.Value); n++ {
			d.bounds = append(d.bounds, idx.Bound(d.names[d.bucket].values[n]))
		}
		return d.bounds[l.Value]
	}
	return idx.Bound("")
}

func (d *Dictionary) compareLabels(a, b Label) int {
	switch {
	case a == b:
		return 0
	case a.Name != b.Name:
		return strings.Compare(d.names[a.Name].name, d.names[b.Name].name)
	default:
		values := d.names[a.Name].values
		return strings.Compare(values[a.Value], values[b.Value])
	}
}

// follows says whether b is a bucket of the histogram that a is a bucket of.
func (d *Dictionary) follows(a, b []Label) bool {
	if len(a) != len(b) {
		return false
	}
	found := false
	for i := range a {
		if a[i].Name != b[i].Name {
			return false
		}
		if a[i].Name == d.bucket {
			found = true
		} else if a[i].Value != b[i].Value {
			return false
		}
	}
	return found
}

// ranks are the places of names and values in the order of the strings, by their numbers. Those
// that no series has, have none.
type ranks struct {
	names  []uint32
	values [][]uint32
}

// sort brings names and values into the order of the strings, says where each went, and drops
// what no series has.
func (d *Dictionary) sort() ranks {
	r := ranks{values: make([][]uint32, len(d.names))}
	used := func(n uint32) bool { return len(d.names[n].values) > 0 }
	for n, name := range d.names {
		r.values[n] = name.sort()
	}
	r.names, d.names = sorted(d.names, used, func(a, b *nameValues) int { return strings.Compare(a.name, b.name) })
	d.byName = nil
	return r
}

func (n *nameValues) sort() (rank []uint32) {
	n.numbers = nil
	counts := n.counts
	rank, n.values = sorted(n.values, func(v uint32) bool { return counts[v] > 0 }, strings.Compare)
	n.counts = make([]uint32, len(n.values))
	for v, count := range counts {
		if count > 0 {
			n.counts[rank[v]] = count
		}
	}
	return rank
}

// sorted returns those of the list that are used, in order, and the place of each by its place in
// the list.
func sorted[E any](list []E, used func(i uint32) bool, compare func(a, b E) int) (rank []uint32, out []E) {
	order := make([]uint32, 0, len(list))
	for i := range uint32(len(list)) {
		if used(i) {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(i, j uint32) int { return compare(list[i], list[j]) })
	rank, out = make([]uint32, len(list)), make([]E, len(order))
	for at, i := range order {
		rank[i], out[at] = uint32(at), list[i]
	}
	return rank, out
}
