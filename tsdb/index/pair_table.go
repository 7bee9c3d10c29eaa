package index

// pairTable numbers distinct labels from 0 on.
type pairTable struct {
	pairs []Pair
	// first has by the value the first label with it, and after for each label the next one with
	// its value; both plus one, so that 0 is none. Few names share a value.
	first, after []uint32
}

// add returns the number of a label.
func (t *pairTable) add(p Pair) uint32 {
	t.first = grown(t.first, uint32(p.Value))
	for i := t.first[p.Value]; i > 0; i = t.after[i-1] {
		if t.pairs[i-1] == p {
			return i - 1
		}
	}
	t.pairs = append(t.pairs, p)
	t.after = append(t.after, t.first[p.Value])
	t.first[p.Value] = uint32(len(t.pairs))
	return uint32(len(t.pairs)) - 1
}

// grown makes sure that a list has an element i.
func grown(list []uint32, i uint32) []uint32 {
	if missing := int(i) + 1 - len(list); missing > 0 {
		list = append(list, make([]uint32, missing)...)
	}
	return list
}
