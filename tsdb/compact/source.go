package compact

import (
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/scan"
)

// Source is series in the order of block.Compare, each once.
type Source interface {
	// Next goes to the next series and reports whether there is one.
	Next() bool
	// Series returns the series that Next went to, valid until the next call of
	// Next.
	Series() Series
	// Err returns what ended the sequence early.
	Err() error
}

// Series is a series of a source.
type Series struct {
	Labels   labels.Labels
	Metadata metadata.Metadata
	// Exemplars are in ascending order of time.
	Exemplars []exemplar.Exemplar
	Batches   storage.BatchIterator
}

// BlockSource reads a block, without what was deleted up to now. The caller
// holds the reader. number is unique among the sources of a merge.
func BlockSource(r *block.Reader, number uint32, mint, maxt int64) Source {
	return &blockSource{
		block: scan.Block{Reader: r, Tombstones: r.Tombstones(), Number: number},
		mint:  mint, maxt: maxt, builder: labels.NewScratchBuilder(16), entry: block.SeriesEntry{ReuseLabels: true},
	}
}

type blockSource struct {
	block      scan.Block
	mint, maxt int64
	next       uint32
	builder    labels.ScratchBuilder
	entry      block.SeriesEntry
	exemplars  []exemplar.Exemplar
	chunks     scan.Chunks
	err        error
}

func (s *blockSource) Next() bool {
	if s.err != nil || s.next >= s.block.Reader.NumSeries() {
		return false
	}
	if s.err = s.block.Reader.Series(s.next, &s.builder, &s.entry); s.err != nil {
		return false
	}
	if s.exemplars, s.err = s.block.Exemplars(s.next, &s.entry, s.mint, s.maxt); s.err != nil {
		return false
	}
	s.chunks.Reset(&s.block, s.next, s.entry.Chunks, s.mint, s.maxt)
	s.next++
	return true
}

func (s *blockSource) Series() Series {
	return Series{Labels: s.entry.Labels, Metadata: s.entry.Metadata, Exemplars: s.exemplars, Batches: &s.chunks}
}

func (s *blockSource) Err() error { return s.err }

// SetSource is a series set in the order of block.Compare as a source.
func SetSource(set storage.SeriesSet) Source { return &setSource{set: set} }

type setSource struct {
	set storage.SeriesSet
	it  storage.BatchIterator
}

func (s *setSource) Next() bool { return s.set.Next() }
func (s *setSource) Err() error { return s.set.Err() }

func (s *setSource) Series() Series {
	series := s.set.At()
	s.it = series.Batches(s.it)
	out := Series{Labels: series.Labels(), Batches: s.it}
	if m, ok := series.(interface{ Metadata() metadata.Metadata }); ok {
		out.Metadata = m.Metadata()
	}
	if e, ok := series.(interface{ Exemplars() []exemplar.Exemplar }); ok {
		out.Exemplars = e.Exemplars()
	}
	return out
}
