package rollup

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/compact"
	"github.com/gnomonhq/gnomon/tsdb/scan"
)

// Places are what a plan refers to. Whoever made them holds the blocks.
type Places struct {
	// Rollups are the blocks, in the order in which they were surveyed.
	Rollups []scan.Block
	// Samples returns the series with their samples with mint <= t <= maxt, in the
	// order in which the set is to be.
	Samples func(mint, maxt int64) compact.Source
}

// Set is series with buckets. It implements storage.RollupSet, but for the
// warnings of Places.Samples, and belongs to one goroutine.
type Set struct {
	plan    *Plan
	compare func(a, b labels.Labels) int
	// parts are the places of the segments, in their order; at has those that are
	// at the current series.
	parts   []part
	started bool
	at      []int
	cells   cells
	buckets []storage.Bucket
	read    int64
	err     error
}

// part is a segment's series, in ascending order.
type part interface {
	next() bool
	series() (labels.Labels, metadata.Metadata)
	// collect adds what the current series has in the segment, and returns how much
	// was decoded for it.
	collect(c *cells) (read int, err error)
	err() error
	// done reports that next returned false.
	done() bool
}

// Select returns the series that match, in ascending order of labels.
func Select(ctx context.Context, p *Plan, places Places, ms ...*labels.Matcher) *Set {
	s := &Set{plan: p, compare: labels.Compare}
	for _, seg := range p.Segments {
		if seg.Resolution == 0 {
			s.parts = append(s.parts, &samplePart{source: places.Samples(seg.Lo+1, seg.Hi)})
			continue
		}
		b := &places.Rollups[seg.Block]
		list, err := b.Find(ctx, seg.Lo+1, seg.Hi, ms)
		slices.SortFunc(list, func(a, b scan.Found) int { return labels.Compare(a.Labels, b.Labels) })
		s.parts = append(s.parts, &bucketPart{segment: seg, block: b, source: &foundSource{list: list, at: -1, err: err}})
	}
	return s
}

// all returns all series, in the order of a block.
func all(p *Plan, places Places) *Set {
	s := &Set{plan: p, compare: block.Compare}
	for _, seg := range p.Segments {
		if seg.Resolution == 0 {
			s.parts = append(s.parts, &samplePart{source: places.Samples(seg.Lo+1, seg.Hi)})
			continue
		}
		b := &places.Rollups[seg.Block]
		s.parts = append(s.parts, &bucketPart{segment: seg, block: b, source: &directorySource{reader: b.Reader, builder: labels.NewScratchBuilder(16)}})
	}
	return s
}

// Next goes to the next series that has a sample in a window.
func (s *Set) Next() bool {
	for s.err == nil {
		s.advance()
		if s.err != nil || len(s.at) == 0 {
			return false
		}
		s.cells.reset(s.plan.cells)
		for _, i := range s.at {
			n, err := s.parts[i].collect(&s.cells)
			s.read += int64(n)
			if err != nil {
				s.err = fmt.Errorf("series %s: %w", s.Labels(), err)
				return false
			}
		}
		if s.buckets = s.cells.finish(); len(s.buckets) > 0 {
			return true
		}
	}
	return false
}

// advance moves the parts on that are at the current series, and finds the next.
func (s *Set) advance() {
	if !s.started {
		s.started = true
		for i := range s.parts {
			s.at = append(s.at, i)
		}
	}
	for _, i := range s.at {
		s.parts[i].next()
	}
	s.at = s.at[:0]
	var least labels.Labels
	for i, p := range s.parts {
		if p.done() {
			if err := p.err(); err != nil && s.err == nil {
				s.err = err
			}
			continue
		}
		ls, _ := p.series()
		c := -1
		if len(s.at) > 0 {
			c = s.compare(ls, least)
		}
		switch {
		case c < 0:
			s.at, least = append(s.at[:0], i), ls
		case c == 0:
			s.at = append(s.at, i)
		}
	}
}

// Labels returns the labels of the series.
func (s *Set) Labels() labels.Labels {
	ls, _ := s.parts[s.at[0]].series()
	return ls
}

// metadata returns the latest metadata of the series.
func (s *Set) metadata() (m metadata.Metadata) {
	for _, i := range s.at {
		if _, got := s.parts[i].series(); !got.IsEmpty() {
			m = got
		}
	}
	return m
}

// Buckets returns the buckets of the series.
func (s *Set) Buckets() []storage.Bucket { return s.buckets }

// Window returns where window i begins, exclusive, and ends.
func (s *Set) Window(i int) (begin, end int64) { return s.plan.Window(i) }

// Samples returns how many buckets and samples were decoded so far.
func (s *Set) Samples() int64 { return s.read }

// Err returns what ended the sequence early.
func (s *Set) Err() error { return s.err }

// samplePart is a segment of samples.
type samplePart struct {
	source  compact.Source
	current compact.Series
	over    bool
	batch   storage.Batch
}

func (p *samplePart) next() bool {
	if p.over || !p.source.Next() {
		p.over = true
		return false
	}
	p.current = p.source.Series()
	return true
}

func (p *samplePart) done() bool { return p.over }
func (p *samplePart) err() error { return p.source.Err() }

func (p *samplePart) series() (labels.Labels, metadata.Metadata) {
	return p.current.Labels, p.current.Metadata
}

func (p *samplePart) collect(c *cells) (read int, err error) {
	for p.current.Batches.Next(&p.batch) {
		read += p.batch.Len()
		c.addBatch(&p.batch)
	}
	return read, p.current.Batches.Err()
}

func staleHistogram(b *storage.Batch, i int) bool {
	if b.Kind == storage.KindHistogram {
		return value.IsStaleNaN(b.Histograms[i].Sum)
	}
	return value.IsStaleNaN(b.FloatHistograms[i].Sum)
}

// entrySource is series of a rollup.
type entrySource interface {
	next() bool
	entry() (id uint32, ls labels.Labels, m metadata.Metadata, chunks []block.ChunkRef)
	failed() error
}

// foundSource is series that were selected.
type foundSource struct {
	list []scan.Found
	at   int
	err  error
}

func (s *foundSource) next() bool    { s.at++; return s.at < len(s.list) }
func (s *foundSource) failed() error { return s.err }

func (s *foundSource) entry() (uint32, labels.Labels, metadata.Metadata, []block.ChunkRef) {
	f := &s.list[s.at]
	return f.ID, f.Labels, metadata.Metadata{}, f.Chunks
}

// directorySource is all series of a block.
type directorySource struct {
	reader  *block.Reader
	builder labels.ScratchBuilder
	current block.SeriesEntry
	read    uint32
	err     error
}

func (s *directorySource) next() bool {
	if s.err != nil || s.read >= s.reader.NumSeries() {
		return false
	}
	s.err = s.reader.Series(s.read, &s.builder, &s.current)
	s.read++
	return s.err == nil
}

func (s *directorySource) failed() error { return s.err }

func (s *directorySource) entry() (uint32, labels.Labels, metadata.Metadata, []block.ChunkRef) {
	return s.read - 1, s.current.Labels, s.current.Metadata, s.current.Chunks
}

// bucketPart is a segment of a rollup.
type bucketPart struct {
	segment Segment
	block   *scan.Block
	source  entrySource
	over    bool

	decoder Decoder
	buckets []storage.Bucket
	deleted []block.Interval
}

func (p *bucketPart) next() bool {
	p.over = p.over || !p.source.next()
	return !p.over
}

func (p *bucketPart) done() bool { return p.over }
func (p *bucketPart) err() error { return p.source.failed() }

func (p *bucketPart) series() (labels.Labels, metadata.Metadata) {
	_, ls, m, _ := p.source.entry()
	return ls, m
}

func (p *bucketPart) collect(c *cells) (read int, err error) {
	id, _, _, chunks := p.source.entry()
	p.deleted = p.block.Tombstones.Intervals(p.deleted[:0], id)
	for i := range chunks {
		if mint, maxt, _ := p.block.Reader.TimelineRange(chunks[i].Timeline); maxt <= p.segment.Lo || mint > p.segment.Hi {
			continue
		}
		n, err := p.chunk(c, &chunks[i])
		read += n
		if err != nil {
			return read, err
		}
	}
	return read, nil
}

func (p *bucketPart) chunk(c *cells, ref *block.ChunkRef) (read int, err error) {
	r := p.block.Reader
	if ref.Kind != block.KindRollup || ref.HasPresence || ref.HasStartTimes {
		return 0, fmt.Errorf("%w: chunk of kind %d in rollup %s", block.ErrCorrupt, ref.Kind, r.Dir())
	}
	ends, err := r.Timeline(ref.Timeline)
	if err != nil {
		return 0, err
	}
	if uint64(ref.FirstRow)+uint64(ref.Rows) > uint64(len(ends)) {
		return 0, fmt.Errorf("%w: rollup %s: rows %d+%d of a timeline of %d", block.ErrCorrupt, r.Dir(), ref.FirstRow, ref.Rows, len(ends))
	}
	data, err := r.Chunk(ref)
	if err != nil {
		return 0, err
	}
	p.buckets, err = p.decoder.Append(p.buckets[:0], data.Values, ends[ref.FirstRow:ref.FirstRow+ref.Rows], p.segment.Resolution)
	if err != nil {
		return 0, fmt.Errorf("%w: rollup %s: %w", block.ErrCorrupt, r.Dir(), err)
	}
	for i := range p.buckets {
		if b := &p.buckets[i]; b.T > p.segment.Lo && b.T <= p.segment.Hi && !p.touched(b.T) {
			c.merge(b)
		}
	}
	return len(p.buckets), nil
}

// touched reports whether samples of the bucket that ends at end were deleted.
// Where the others are still known, the segment does not have the bucket.
func (p *bucketPart) touched(end int64) bool {
	for _, d := range p.deleted {
		if d.MinT <= end && d.MaxT > end-p.segment.Resolution {
			return true
		}
	}
	return false
}
