package batch

import (
	"container/heap"
	"errors"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
)

// MergeSets is the union of series sets, each of which is in the order of compare,
// in that order. A series that is in several sets has the union of its samples, as
// [Merge] has it; earlier sets win. A limit above 0 bounds the series.
func MergeSets(sets []storage.SeriesSet, compare func(a, b labels.Labels) int, limit int) storage.SeriesSet {
	if len(sets) == 1 && limit <= 0 {
		return sets[0]
	}
	return &mergedSet{sets: sets, heap: setHeap{compare: compare}, left: limit, limited: limit > 0}
}

// mergedSet merges sets by a heap of their current series.
type mergedSet struct {
	sets    []storage.SeriesSet
	started bool
	heap    setHeap
	current storage.Series
	left    int
	limited bool
}

// cursor is a set with the series it is at.
type cursor struct {
	index  int // into sets: the order in which they win
	series storage.Series
}

type setHeap struct {
	list    []cursor
	compare func(a, b labels.Labels) int
}

func (h *setHeap) Len() int      { return len(h.list) }
func (h *setHeap) Swap(i, j int) { h.list[i], h.list[j] = h.list[j], h.list[i] }
func (h *setHeap) Less(i, j int) bool {
	if c := h.compare(h.list[i].series.Labels(), h.list[j].series.Labels()); c != 0 {
		return c < 0
	}
	return h.list[i].index < h.list[j].index
}
func (h *setHeap) Push(x any) { h.list = append(h.list, x.(cursor)) }
func (h *setHeap) Pop() any {
	last := h.list[len(h.list)-1]
	h.list = h.list[:len(h.list)-1]
	return last
}

func (m *mergedSet) start() {
	m.started = true
	for i, set := range m.sets {
		if set.Next() {
			m.heap.list = append(m.heap.list, cursor{i, set.At()})
		}
	}
	heap.Init(&m.heap)
}

// advance moves the set at the top of the heap on.
func (m *mergedSet) advance() {
	top := &m.heap.list[0]
	if set := m.sets[top.index]; set.Next() {
		top.series = set.At()
		heap.Fix(&m.heap, 0)
		return
	}
	heap.Pop(&m.heap)
}

// Next goes to the next series.
func (m *mergedSet) Next() bool {
	if !m.started {
		m.start()
	}
	if m.heap.Len() == 0 || (m.limited && m.left == 0) {
		return false
	}
	m.left--
	first := m.heap.list[0].series
	m.current = first
	m.advance()
	var joined *joinedSeries
	for m.heap.Len() > 0 && labels.Equal(m.heap.list[0].series.Labels(), first.Labels()) {
		if joined == nil {
			joined = &joinedSeries{parts: []storage.Series{first}}
			m.current = joined
		}
		joined.parts = append(joined.parts, m.heap.list[0].series)
		m.advance()
	}
	return true
}

// At returns the current series.
func (m *mergedSet) At() storage.Series { return m.current }

// Err returns the errors of all sets.
func (m *mergedSet) Err() error {
	var errs []error
	for _, set := range m.sets {
		errs = append(errs, set.Err())
	}
	return errors.Join(errs...)
}

// Warnings returns the warnings of all sets.
func (m *mergedSet) Warnings() annotations.Annotations {
	var all annotations.Annotations
	for _, set := range m.sets {
		if w := set.Warnings(); len(w) > 0 {
			all.Merge(w)
		}
	}
	return all
}

// joinedSeries is a series that is in several sets.
type joinedSeries struct{ parts []storage.Series }

func (s *joinedSeries) Labels() labels.Labels { return s.parts[0].Labels() }

// Batches merges the iterators of the parts, which reuse those that it merged
// before.
func (s *joinedSeries) Batches(it storage.BatchIterator) storage.BatchIterator {
	m, ok := it.(*merger)
	if !ok {
		m = &merger{}
	}
	var room [4]storage.BatchIterator
	its := room[:0]
	for i, p := range s.parts {
		var used storage.BatchIterator
		if i < len(m.sources) {
			used = m.sources[i].it
		}
		its = append(its, p.Batches(used))
	}
	return MergeInto(m, its...)
}
