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
	sources []Source
	started bool
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
	u.least = leastOf(u.least[:0], u.heads)
	return u.err == nil && len(u.least) > 0
}

func (u *union) advance(i int) {
	u.heads[i] = head{}
	if u.sources[i].Next() {
		u.heads[i] = head{u.sources[i].Series(), true}
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

// leastOf appends the sources that are at the least series.
func leastOf(least []int, heads []head) []int {
	for i := range heads {
		h := &heads[i]
		if !h.ok {
			continue
		}
		c := -1
		if len(least) > 0 {
			c = block.Compare(h.Labels, heads[least[0]].Labels)
		}
		switch {
		case c < 0:
			least = append(least[:0], i)
		case c == 0:
			least = append(least, i)
		}
	}
	return least
}
