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
	Labels labels.Labels
	// Numbered are the labels in place of Labels, of a source that was told to number them.
	Numbered []block.Label
	Metadata metadata.Metadata
	// Exemplars are in ascending order of time.
	Exemplars []exemplar.Exemplar
	Batches   storage.BatchIterator
}

// numbering is a source that can give labels by the numbers of a dictionary, so that nobody looks
// at their strings.
type numbering interface {
	// number is called before the first call of Next.
	number(d *block.Dictionary)
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
	// translation and numbers are of a source that numbers labels.
	translation *block.Translation
	numbers     []block.Label
	exemplars   []exemplar.Exemplar
	chunks      scan.Chunks
	err         error
}

func (s *blockSource) Next() bool {
	if s.err != nil || s.next >= s.block.Reader.NumSeries() {
		return false
	}
	if s.err = s.read(); s.err != nil {
		return false
	}
	if s.exemplars, s.err = s.block.Exemplars(s.next, &s.entry, s.mint, s.maxt); s.err != nil {
		return false
	}
	s.chunks.Reset(&s.block, s.next, s.entry.Chunks, s.mint, s.maxt)
	s.next++
	return true
}

// read reads the next series.
func (s *blockSource) read() (err error) {
	if s.translation == nil {
		return s.block.Reader.Series(s.next, &s.builder, &s.entry)
	}
	s.numbers, err = s.translation.Series(s.next, &s.entry, s.numbers[:0])
	return err
}

func (s *blockSource) number(d *block.Dictionary) {
	s.translation = block.NewTranslation(s.block.Reader, d)
}

func (s *blockSource) Series() Series {
	return Series{Labels: s.entry.Labels, Numbered: s.numbers, Metadata: s.entry.Metadata, Exemplars: s.exemplars, Batches: &s.chunks}
}

func (s *blockSource) Err() error { return s.err }

// SetSource is a series set in the order of block.Compare as a source.
func SetSource(set storage.SeriesSet) Source { return &setSource{set: set} }

type setSource struct {
	set        storage.SeriesSet
	it         storage.BatchIterator
	dictionary *block.Dictionary
	numbers    []block.Label
}

// numbered is a series that knows its labels by number: head.OrderedSeries.
type numbered interface {
	Number(d *block.Dictionary, dst []block.Label) []block.Label
}

func (s *setSource) number(d *block.Dictionary) { s.dictionary = d }

func (s *setSource) Next() bool { return s.set.Next() }
func (s *setSource) Err() error { return s.set.Err() }

func (s *setSource) Series() Series {
	series := s.set.At()
	s.it = series.Batches(s.it)
	out := Series{Batches: s.it}
	if n, ok := series.(numbered); ok && s.dictionary != nil {
		s.numbers = n.Number(s.dictionary, s.numbers[:0])
		out.Numbered = s.numbers
	} else {
		out.Labels = series.Labels()
	}
	if m, ok := series.(interface{ Metadata() metadata.Metadata }); ok {
		out.Metadata = m.Metadata()
	}
	if e, ok := series.(interface{ Exemplars() []exemplar.Exemplar }); ok {
		out.Exemplars = e.Exemplars()
	}
	return out
}
