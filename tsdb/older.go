package tsdb

import (
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/scan"
)

const (
	// maxOlderSeries bounds the series that olderCache remembers.
	maxOlderSeries = 8192
	// olderWindow is the length of time, milliseconds, of the samples that it
	// keeps of a series in a block.
	olderWindow = 15 * 60_000
)

// olderCache remembers what the head asked of blocks to judge late samples. They
// come for the same series again and again, mostly in ascending order of time:
// finding the series in each block, and decoding, is then done once for many of
// them. It counts for one list of blocks and is empty after a change of it.
//
// Its locks are taken below all others.
type olderCache struct {
	mu sync.Mutex
	// The following are guarded by mu.
	list   *blockList
	byHash map[uint64]*olderSeries
}

// olderSeries is what blocks have of a series.
type olderSeries struct {
	labels labels.Labels
	list   *blockList

	mu sync.Mutex
	// The following are guarded by mu.
	parts    map[*block.Reader]*olderPart
	searched bool // newest and any are known
	newest   int64
	any      bool
}

// olderPart is a series in a block.
type olderPart struct {
	reader *block.Reader
	id     uint32
	entry  block.SeriesEntry
	found  bool

	// samples are those with mint <= t < maxt, as the tombstones were.
	mint, maxt int64
	tombs      *block.Tombstones
	samples    []batch.Sample
}

// of returns what is remembered of a series in a list of blocks.
func (c *olderCache) of(list *blockList, ls labels.Labels) *olderSeries {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list != list {
		c.list, c.byHash = list, map[uint64]*olderSeries{}
	}
	hash := ls.Hash()
	if s := c.byHash[hash]; s != nil && labels.Equal(s.labels, ls) {
		return s
	}
	if len(c.byHash) >= maxOlderSeries {
		for any := range c.byHash {
			delete(c.byHash, any)
			break
		}
	}
	s := &olderSeries{labels: ls, list: list, parts: map[*block.Reader]*olderPart{}}
	c.byHash[hash] = s
	return s
}

// partLocked finds the series in a block, which the caller holds.
func (s *olderSeries) partLocked(r *block.Reader) (*olderPart, error) {
	if p := s.parts[r]; p != nil {
		return p, nil
	}
	p := &olderPart{reader: r}
	var err error
	if p.id, p.entry, p.found, err = scan.Find(r, s.labels); err != nil {
		return nil, err
	}
	s.parts[r] = p
	return p, nil
}

// newestLocked returns the time of the newest sample.
func (s *olderSeries) newestLocked() (t int64, ok bool, err error) {
	if s.searched {
		return s.newest, s.any, nil
	}
	for _, r := range slices.Backward(s.list.samples) {
		if ok && r.Meta().MaxTime <= t || !r.Acquire() {
			continue
		}
		newest, found, err := s.newestIn(r)
		r.Release()
		if err != nil {
			return 0, false, err
		}
		if found && (!ok || newest > t) {
			t, ok = newest, true
		}
	}
	s.newest, s.any, s.searched = t, ok, true
	return t, ok, nil
}

func (s *olderSeries) newestIn(r *block.Reader) (int64, bool, error) {
	p, err := s.partLocked(r)
	if err != nil || !p.found {
		return 0, false, err
	}
	return scan.Newest(r, &p.entry)
}

// at returns the sample at t.
func (p *olderPart) at(t int64) (s batch.Sample, ok bool, err error) {
	if tombs := p.reader.Tombstones(); tombs != p.tombs || t < p.mint || t >= p.maxt {
		maxt := alignedEnd(t, olderWindow)
		var it scan.Chunks
		it.Reset(&scan.Block{Reader: p.reader, Tombstones: tombs, Number: 1}, p.id, p.entry.Chunks, maxt-olderWindow, maxt-1)
		if p.samples, err = batch.Collect(&it); err != nil {
			p.tombs = nil
			return s, false, err
		}
		p.mint, p.maxt, p.tombs = maxt-olderWindow, maxt, tombs
	}
	i, ok := slices.BinarySearchFunc(p.samples, t, func(s batch.Sample, t int64) int {
		switch {
		case s.T < t:
			return -1
		case s.T > t:
			return 1
		}
		return 0
	})
	if ok {
		s = p.samples[i]
	}
	return s, ok, nil
}

// Newest implements head.Older.
func (s *blockSet) Newest(ls labels.Labels) (t int64, ok bool, err error) {
	o := s.older.of(s.list.Load(), ls)
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.newestLocked()
}

// At implements head.Older.
func (s *blockSet) At(ls labels.Labels, t int64) (batch.Sample, bool, error) {
	o := s.older.of(s.list.Load(), ls)
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.list.samples {
		meta := r.Meta()
		if t < meta.MinTime || t >= meta.MaxTime || !r.Acquire() {
			continue
		}
		have, ok, err := o.atLocked(r, t)
		r.Release()
		if ok || err != nil {
			return have, ok, err
		}
	}
	return batch.Sample{}, false, nil
}

func (s *olderSeries) atLocked(r *block.Reader, t int64) (batch.Sample, bool, error) {
	p, err := s.partLocked(r)
	if err != nil || !p.found {
		return batch.Sample{}, false, err
	}
	return p.at(t)
}
