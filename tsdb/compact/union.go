package compact

import (
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

// Union is the union of sources. A series that is in several has the union of
// its samples; where two have a sample at the same time, the earlier source
// wins.
func Union(sources ...Source) Source {
	return &union{sources: sources, heads: make([]head, len(sources))}
}

type union struct {
	sources    []Source
	dictionary *block.Dictionary // nil if nobody wants labels by number
	started    bool
	// heads has the series that each source is at; least are the sources that are
	// at the least one.
	heads  []head
	least  []int
	merged storage.BatchIterator
	// Scratch of Series.
	its       []storage.BatchIterator
	exemplars [][]exemplar.Exemplar
	err       error
}

// head is the series that a source is at, if it is not at its end.
type head struct {
	Series
	ok bool
	// numbers is memory for the labels of a source that does not number them.
	numbers []block.Label
}

// number makes the union one that numbers labels. Where a source cannot, the union does.
func (u *union) number(d *block.Dictionary) {
	u.dictionary = d
	for _, s := range u.sources {
		if n, ok := s.(numbering); ok {
			n.number(d)
		}
	}
}

// Next moves the sources on that are at the current series.
func (u *union) Next() bool {
	if !u.started {
		u.started = true
		for i := range u.sources {
			u.advance(i)
		}
	}
	for _, i := range u.least {
		u.advance(i)
	}
	u.findLeast()
	return u.err == nil && len(u.least) > 0
}

func (u *union) advance(i int) {
	h := &u.heads[i]
	*h = head{numbers: h.numbers[:0]}
	if u.sources[i].Next() {
		h.Series, h.ok = u.sources[i].Series(), true
		if u.dictionary != nil && h.Numbered == nil {
			h.numbers = u.dictionary.Append(h.numbers, h.Labels)
			h.Numbered = h.numbers
		}
	}
	if err := u.sources[i].Err(); err != nil && u.err == nil {
		u.err = err
	}
}

// Series returns the current series. The metadata is that of the earliest source
// that has some.
func (u *union) Series() Series {
	series := u.heads[u.least[0]].Series
	if len(u.least) == 1 {
		return series
	}
	u.its, u.exemplars = u.its[:0], u.exemplars[:0]
	for _, i := range u.least {
		h := &u.heads[i]
		u.its, u.exemplars = append(u.its, h.Batches), append(u.exemplars, h.Exemplars)
		if series.Metadata == (metadata.Metadata{}) {
			series.Metadata = h.Metadata
		}
	}
	u.merged = batch.MergeInto(u.merged, u.its...)
	series.Batches, series.Exemplars = u.merged, batch.MergeExemplars(u.exemplars...)
	return series
}

// Err returns the first error of a source.
func (u *union) Err() error { return u.err }

// findLeast finds the sources that are at the least series.
func (u *union) findLeast() {
	u.least = u.least[:0]
	for i := range u.heads {
		h := &u.heads[i]
		if !h.ok {
			continue
		}
		c := -1
		if len(u.least) > 0 {
			c = u.compare(h, &u.heads[u.least[0]])
		}
		switch {
		case c < 0:
			u.least = append(u.least[:0], i)
		case c == 0:
			u.least = append(u.least, i)
		}
	}
}

func (u *union) compare(a, b *head) int {
	if u.dictionary != nil {
		return u.dictionary.Compare(a.Numbered, b.Numbered)
	}
	return block.Compare(a.Labels, b.Labels)
}
