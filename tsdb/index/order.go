package index

import (
	"cmp"
	"slices"
	"strings"
)

// Order yields label sets in ascending order, as labels.Compare has it, without making labels
// of them: it orders the strings that occur, and then compares numbers. The first set comes
// soon, since the others need not be in order for that. It belongs to one goroutine.
type Order struct {
	parts map[uint32]uint32 // Where the part begins in ranked.
	// ranked has the parts, each as its length and its pairs, as names and values by rank.
	ranked []rankedPair
	heap   []orderedSet
}

// rankedPair is a label by the ranks of its strings.
type rankedPair struct{ name, value uint32 }

type orderedSet struct {
	number      uint32 // What the caller knows the set by.
	shared, own uint32 // Where the parts begin in ranked.
}

// NewOrder takes sets, which nobody releases meanwhile, each with a number of the caller's.
func (s *LabelSets) NewOrder(n int, at func(i int) (set LabelSet, number uint32)) *Order {
	o := &Order{parts: map[uint32]uint32{}, heap: make([]orderedSet, n)}
	for i := range o.heap {
		set, number := at(i)
		o.heap[i] = orderedSet{number, o.part(s, set.shared), o.part(s, set.own)}
	}
	o.rank(s)
	for i := n/2 - 1; i >= 0; i-- {
		o.down(i)
	}
	return o
}

// part adds a part, as symbols first.
func (o *Order) part(s *LabelSets, n uint32) uint32 {
	at, ok := o.parts[n]
	if !ok {
		at = uint32(len(o.ranked))
		o.parts[n] = at
		var room [32]Pair
		pairs := appendPart(room[:0], s.part(n).pairs)
		o.ranked = append(o.ranked, rankedPair{value: uint32(len(pairs))})
		for _, p := range pairs {
			o.ranked = append(o.ranked, rankedPair{uint32(p.Name), uint32(p.Value)})
		}
	}
	return at
}

// rank replaces the symbols of parts by the ranks of their strings.
func (o *Order) rank(s *LabelSets) {
	type named struct {
		symbol Symbol
		string string
	}
	ranks := map[uint32]uint32{}
	var strs []named
	each := func(f func(*uint32)) {
		for i := 0; i < len(o.ranked); {
			n := int(o.ranked[i].value)
			for j := i + 1; j <= i+n; j++ {
				f(&o.ranked[j].name)
				f(&o.ranked[j].value)
			}
			i += n + 1
		}
	}
	each(func(n *uint32) {
		if _, ok := ranks[*n]; !ok {
			ranks[*n] = 0
			strs = append(strs, named{Symbol(*n), s.symbols.String(Symbol(*n))})
		}
	})
	slices.SortFunc(strs, func(a, b named) int { return strings.Compare(a.string, b.string) })
	for i, n := range strs {
		ranks[uint32(n.symbol)] = uint32(i)
	}
	each(func(n *uint32) { *n = ranks[*n] })
}

// rankWalk goes through the labels of a set in order.
type rankWalk struct{ a, b []rankedPair }

func (o *Order) walk(set *orderedSet) rankWalk {
	part := func(at uint32) []rankedPair { return o.ranked[at+1 : at+1+o.ranked[at].value] }
	return rankWalk{part(set.shared), part(set.own)}
}

func (w *rankWalk) next() (p rankedPair, ok bool) {
	switch {
	case len(w.a) == 0 && len(w.b) == 0:
		return p, false
	case len(w.b) == 0 || (len(w.a) > 0 && w.a[0].name < w.b[0].name):
		p, w.a = w.a[0], w.a[1:]
	default:
		p, w.b = w.b[0], w.b[1:]
	}
	return p, true
}

func (o *Order) compare(x, y *orderedSet) int {
	a, b := o.walk(x), o.walk(y)
	for {
		p, okA := a.next()
		q, okB := b.next()
		switch {
		case !okA && !okB:
			return 0
		case !okA:
			return -1
		case !okB:
			return 1
		case p.name != q.name:
			return cmp.Compare(p.name, q.name)
		case p.value != q.value:
			return cmp.Compare(p.value, q.value)
		}
	}
}

// down moves entry i of the heap to where it belongs.
func (o *Order) down(i int) {
	for {
		least := 2*i + 1
		if least >= len(o.heap) {
			return
		}
		if right := least + 1; right < len(o.heap) && o.compare(&o.heap[right], &o.heap[least]) < 0 {
			least = right
		}
		if o.compare(&o.heap[i], &o.heap[least]) <= 0 {
			return
		}
		o.heap[i], o.heap[least] = o.heap[least], o.heap[i]
		i = least
	}
}

// Next returns the number of the next set.
func (o *Order) Next() (number uint32, ok bool) {
	if len(o.heap) == 0 {
		return 0, false
	}
	number = o.heap[0].number
	last := len(o.heap) - 1
	o.heap[0] = o.heap[last]
	o.heap = o.heap[:last]
	o.down(0)
	return number, true
}
