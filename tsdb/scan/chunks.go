package scan

import (
	"fmt"
	"sort"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// Block is a block to be read. The reader is held by whoever made it.
type Block struct {
	Reader *block.Reader
	// Tombstones are the deletions that count; nil is none.
	Tombstones *block.Tombstones
	// Number tells the timelines of this block from those of others: it is
	// unique in a query, greater than 0 and less than 2^22.
	Number uint32
}

func (b *Block) timeline(n uint32) storage.TimelineID {
	return storage.TimelineID(uint64(b.Number)<<40 | uint64(n))
}

// Chunks yields the samples of one series of a block. It implements
// storage.BatchIterator.
type Chunks struct {
	block      *Block
	refs       []block.ChunkRef
	deleted    []block.Interval
	mint, maxt int64
	err        error

	// The chunk being handed out: its rows at to end. rows has the index of each
	// row's value, -1 where there is none; nil if row i has value i.
	ref     block.ChunkRef
	decoder encoding.Decoder
	times   []int64
	rows    []int32
	at, end int
	values  []float64
	hs      []*histogram.Histogram
	fhs     []*histogram.FloatHistogram
	starts  []int64
}

// Reset makes the iterator one over the chunks of series id with mint <= t <=
// maxt.
func (c *Chunks) Reset(b *Block, id uint32, refs []block.ChunkRef, mint, maxt int64) {
	c.block, c.refs, c.deleted, c.mint, c.maxt, c.err = b, refs, b.Tombstones.Intervals(c.deleted[:0], id), mint, maxt, nil
	c.ref, c.times, c.at, c.end = block.ChunkRef{}, nil, 0, 0
}

// Err returns what ended the iteration early.
func (c *Chunks) Err() error { return c.err }

// Next yields the next run of samples.
func (c *Chunks) Next(b *storage.Batch) bool {
	for c.err == nil {
		for c.at < c.end && !c.has(c.at) {
			c.at++
		}
		if c.at < c.end {
			c.emit(b)
			return true
		}
		if len(c.refs) == 0 {
			return false
		}
		ref := c.refs[0]
		c.refs = c.refs[1:]
		if err := c.load(&ref); err != nil {
			c.err = err
		}
	}
	return false
}

// span returns the timestamps of a chunk and the rows of them in the range.
func (b *Block) span(ref *block.ChunkRef, mint, maxt int64) (times []int64, lo, hi int, err error) {
	if first, last, _ := b.Reader.TimelineRange(ref.Timeline); last < mint || first > maxt {
		return nil, 0, 0, nil
	}
	times, err = b.Reader.Timeline(ref.Timeline)
	if err != nil {
		return nil, 0, 0, err
	}
	if uint64(ref.FirstRow)+uint64(ref.Rows) > uint64(len(times)) {
		return nil, 0, 0, fmt.Errorf("%w: chunk of rows %d to %d of a timeline of %d", block.ErrCorrupt, ref.FirstRow, ref.FirstRow+ref.Rows, len(times))
	}
	times = times[ref.FirstRow : ref.FirstRow+ref.Rows]
	lo = sort.Search(len(times), func(i int) bool { return times[i] >= mint })
	hi = lo + sort.Search(len(times)-lo, func(i int) bool { return times[lo+i] > maxt })
	return times, lo, hi, nil
}

// load decodes a chunk.
func (c *Chunks) load(ref *block.ChunkRef) error {
	times, lo, hi, err := c.block.span(ref, c.mint, c.maxt)
	if err != nil || lo == hi {
		return err
	}
	data, err := c.block.Reader.Chunk(ref)
	if err != nil {
		return err
	}
	c.ref, c.times, c.at, c.end = *ref, times, lo, hi
	n := 0
	switch ref.Kind {
	case block.KindRollup:
		return fmt.Errorf("block %s has buckets, not samples", c.block.Reader.Dir())
	case storage.KindHistogram:
		c.hs, _, err = encoding.DecodeHistograms(c.hs[:0], data.Values)
		n = len(c.hs)
	case storage.KindFloatHistogram:
		c.fhs, _, err = encoding.DecodeFloatHistograms(c.fhs[:0], data.Values)
		n = len(c.fhs)
	default:
		c.values, err = ref.Floats(&c.decoder, c.values[:0], data)
		n = len(c.values)
	}
	if err != nil {
		return fmt.Errorf("chunk of block %s: %w", c.block.Reader.Dir(), err)
	}
	c.starts = c.starts[:0]
	if ref.HasStartTimes {
		if c.starts, _, err = encoding.DecodeTimes(c.starts, data.StartTimes); err != nil {
			return fmt.Errorf("start timestamps of block %s: %w", c.block.Reader.Dir(), err)
		}
		if len(c.starts) != n {
			return fmt.Errorf("%w: block %s: %d start timestamps of %d values", block.ErrCorrupt, c.block.Reader.Dir(), len(c.starts), n)
		}
	}
	return c.index(data.Presence, n)
}

// index fills rows.
func (c *Chunks) index(presence storage.Bitmap, n int) error {
	c.rows = c.rows[:0]
	if presence == nil && len(c.deleted) == 0 {
		if n != len(c.times) {
			return fmt.Errorf("%w: block %s: %d values in %d rows", block.ErrCorrupt, c.block.Reader.Dir(), n, len(c.times))
		}
		return nil
	}
	next := int32(0)
	for r, t := range c.times {
		if presence != nil && !presence.Has(storage.Column(r)) {
			c.rows = append(c.rows, -1)
			continue
		}
		if covered(c.deleted, t) {
			c.rows = append(c.rows, -1)
		} else {
			c.rows = append(c.rows, next)
		}
		next++
	}
	if int(next) != n {
		return fmt.Errorf("%w: block %s: %d values in %d rows", block.ErrCorrupt, c.block.Reader.Dir(), n, next)
	}
	return nil
}

// covered reports whether t is in one of the intervals, which ascend.
func covered(list []block.Interval, t int64) bool {
	i := sort.Search(len(list), func(i int) bool { return list[i].MaxT >= t })
	return i < len(list) && list[i].MinT <= t
}

func (c *Chunks) has(r int) bool { return len(c.rows) == 0 || c.rows[r] >= 0 }

// emit hands out all rows of the chunk: with the block's timeline if none is
// absent, else with timestamps of their own.
func (c *Chunks) emit(b *storage.Batch) {
	from, end := c.at, c.end
	c.at = c.end
	*b = storage.Batch{Kind: c.ref.Kind, Values: b.Values[:0], Histograms: b.Histograms[:0], FloatHistograms: b.FloatHistograms[:0]}
	for end > from && !c.has(end-1) {
		end--
	}
	whole := true
	for r := from; r < end && len(c.rows) > 0; r++ {
		whole = whole && c.rows[r] >= 0
	}
	if whole {
		b.Timeline, b.Offset, b.Times = c.block.timeline(c.ref.Timeline), int(c.ref.FirstRow)+from, c.times[from:end:end]
		if b.Kind == storage.KindFloat && len(c.starts) == 0 && end-from == len(c.values) {
			b.Values, c.values = c.values, b.Values // Each has an owner, as before.
			return
		}
		lo := from
		if len(c.rows) > 0 {
			lo = int(c.rows[from])
		}
		c.take(b, lo, lo+end-from)
		return
	}
	b.Times = make([]int64, 0, end-from)
	for r := from; r < end; r++ {
		if i := int(c.rows[r]); i >= 0 {
			b.Times = append(b.Times, c.times[r])
			c.take(b, i, i+1)
		}
	}
}

// take adds the values lo <= i < hi.
func (c *Chunks) take(b *storage.Batch, lo, hi int) {
	if len(c.starts) > 0 {
		b.StartTimes = append(b.StartTimes, c.starts[lo:hi]...)
	}
	switch b.Kind {
	case storage.KindHistogram:
		b.Histograms = append(b.Histograms, c.hs[lo:hi]...)
	case storage.KindFloatHistogram:
		b.FloatHistograms = append(b.FloatHistograms, c.fhs[lo:hi]...)
	default:
		b.Values = append(b.Values, c.values[lo:hi]...)
	}
}

// overlaps reports whether a series has a sample in the range that is not
// deleted. Values are not decoded.
func (b *Block) overlaps(refs []block.ChunkRef, deleted []block.Interval, mint, maxt int64) (bool, error) {
	for i := range refs {
		times, lo, hi, err := b.span(&refs[i], mint, maxt)
		if err != nil {
			return false, err
		}
		if lo == hi {
			continue
		}
		if !refs[i].HasPresence && len(deleted) == 0 {
			return true, nil
		}
		var presence storage.Bitmap
		if refs[i].HasPresence {
			data, err := b.Reader.Chunk(&refs[i])
			if err != nil {
				return false, err
			}
			presence = data.Presence
		}
		for r := lo; r < hi; r++ {
			if (presence == nil || presence.Has(storage.Column(r))) && !covered(deleted, times[r]) {
				return true, nil
			}
		}
	}
	return false, nil
}
