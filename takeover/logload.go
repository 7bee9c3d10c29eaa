package takeover

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/tombstones"

	"github.com/gnomonhq/gnomon/tsdb/compact"
)

func clone(s string) string { return strings.Clone(s) }

// load is what one reading of the logs puts into memory: the samples of the
// series with the ranks lo <= r < hi in some ranges.
type load struct {
	ranges []*logRange
	lo, hi uint32
}

// plan divides ranges into loads of at most limit samples: small ranges are read
// together, a large one is divided by its series. A series with more samples
// than that is a load of its own.
func (x *logIndex) plan(ctx context.Context, ranges []*logRange, limit uint64) (map[*logRange][]*load, error) {
	all := uint32(len(x.byRank))
	out := map[*logRange][]*load{}
	var shared *load
	var weight uint64
	for _, r := range ranges {
		if r.weight > limit {
			loads, err := x.divide(ctx, r, limit)
			if err != nil {
				return nil, err
			}
			out[r] = loads
			continue
		}
		if shared == nil || weight+r.weight > limit {
			shared, weight = &load{hi: all}, 0
		}
		shared.ranges = append(shared.ranges, r)
		weight += r.weight
		out[r] = []*load{shared}
	}
	return out, nil
}

// divide reads the logs to learn how many samples each series has in a range.
func (x *logIndex) divide(ctx context.Context, r *logRange, limit uint64) ([]*load, error) {
	c := &weigher{logIndex: x, start: r.start, weights: make([]uint32, len(x.byRank))}
	if err := x.reread(ctx, c); err != nil {
		return nil, err
	}
	inChunks := &weigher{logIndex: x, start: r.start, weights: make([]uint32, len(x.byRank))}
	err := x.chunks.read(ctx, func(h *headChunk) {
		// Only a part of a chunk that reaches over the range may be in it.
		inChunks.add(h.ref, max(h.mint, min(h.maxt, r.start)), h.outOfOrder, uint64(h.samples)*h.weight)
	}, func(*logDamage) {})
	if err != nil {
		return nil, err
	}
	var out []*load
	var weight uint64
	lo := uint32(0)
	for rank, w := range c.weights {
		w = max(w, inChunks.weights[rank])
		if weight += uint64(w); weight > limit && uint32(rank) > lo {
			out = append(out, &load{ranges: []*logRange{r}, lo: lo, hi: uint32(rank)})
			lo, weight = uint32(rank), uint64(w)
		}
	}
	return append(out, &load{ranges: []*logRange{r}, lo: lo, hi: uint32(len(x.byRank))}), nil
}

// reread reads the logs again, for their samples. What is damaged was told
// before.
func (x *logIndex) reread(ctx context.Context, to logConsumer) error {
	d := newLogDecoder(to)
	d.samplesOnly = true
	return x.logs.read(ctx, func(s *promSegment, rec []byte) error {
		d.decode(s, rec)
		return nil
	}, func(*logDamage) {})
}

// samplesOnly is a logConsumer without interest in definitions.
type samplesOnly struct{}

func (samplesOnly) onSeries(record.RefSeries) error  { return nil }
func (samplesOnly) onExemplars([]record.RefExemplar) {}
func (samplesOnly) onMetadata([]record.RefMetadata)  {}
func (samplesOnly) onDamage(error)                   {}

// weigher counts the samples of each series in a range.
type weigher struct {
	samplesOnly
	*logIndex
	start   int64
	weights []uint32 // by rank
}

func (w *weigher) add(ref chunks.HeadSeriesRef, t int64, outOfOrder bool, weight uint64) {
	if t < w.start || t-w.start >= w.length || !w.takes(t, outOfOrder) {
		return
	}
	if n, ok := w.refs.get(ref); ok {
		w.weights[w.ranks[n]] += uint32(weight)
	}
}

func (w *weigher) onTombstones([]tombstones.Stone) {}

func (w *weigher) onFloats(list []record.RefSample, outOfOrder bool) {
	for i := range list {
		w.add(list[i].Ref, list[i].T, outOfOrder, 1)
	}
}

func (w *weigher) onHistograms(list []record.RefHistogramSample, outOfOrder bool) {
	for i := range list {
		h := list[i].H
		w.add(list[i].Ref, list[i].T, outOfOrder, histogramWeight(len(h.PositiveBuckets)+len(h.NegativeBuckets)))
	}
}

func (w *weigher) onFloatHistograms(list []record.RefFloatHistogramSample, outOfOrder bool) {
	for i := range list {
		h := list[i].FH
		w.add(list[i].Ref, list[i].T, outOfOrder, histogramWeight(len(h.PositiveBuckets)+len(h.NegativeBuckets)))
	}
}

// collector holds the samples of a load.
type collector struct {
	samplesOnly
	*logIndex
	load    *load
	columns map[int64][]samples // by the start of the range, then by rank
	last    []samples           // one of them
	start   int64               // its range
	// room is how many samples a series has on average. Most have as many, and
	// then nothing is allocated twice.
	room int
	// ended are series that went into a block: see endsSeries.
	ended map[chunks.HeadSeriesRef]bool
}

// collect reads the logs, and then the chunks of the head for what is missing.
func (x *logIndex) collect(ctx context.Context, l *load) (*collector, error) {
	c := &collector{logIndex: x, load: l, columns: map[int64][]samples{}, ended: map[chunks.HeadSeriesRef]bool{}}
	for _, r := range l.ranges {
		c.columns[r.start] = make([]samples, l.hi-l.lo)
		c.room = max(c.room, int(r.samples)/len(x.byRank)+1)
	}
	if err := x.reread(ctx, c); err != nil {
		return nil, err
	}
	err := x.chunks.read(ctx, c.chunk, func(*logDamage) {})
	return c, err
}

// column returns the samples that one at t of a series belongs to, nil if it is
// not of the load.
func (c *collector) column(ref chunks.HeadSeriesRef, t int64) *samples {
	n, ok := c.refs.get(ref)
	if !ok {
		return nil
	}
	rank := c.ranks[n]
	if rank < c.load.lo || rank >= c.load.hi {
		return nil
	}
	if c.last == nil || t < c.start || t-c.start >= c.length {
		start := c.rangeStart(t)
		if c.columns[start] == nil {
			return nil
		}
		c.last, c.start = c.columns[start], start
	}
	if list := c.deleted[rank]; len(list) > 0 && (tombstones.Interval{Mint: t, Maxt: t}).IsSubrange(list) {
		return nil
	}
	return &c.last[rank-c.load.lo]
}

func (c *collector) onFloats(list []record.RefSample, outOfOrder bool) {
	for i := range list {
		if s := &list[i]; c.takes(s.T, outOfOrder) {
			if col := c.column(s.Ref, s.T); col != nil {
				col.expect(c.room)
				col.float(s.ST, s.T, s.V)
			}
		}
	}
}

func (c *collector) onHistograms(list []record.RefHistogramSample, outOfOrder bool) {
	for i := range list {
		if s := &list[i]; c.takes(s.T, outOfOrder) {
			if col := c.column(s.Ref, s.T); col != nil {
				col.histogram(s.ST, s.T, s.H)
			}
		}
	}
}

func (c *collector) onFloatHistograms(list []record.RefFloatHistogramSample, outOfOrder bool) {
	for i := range list {
		if s := &list[i]; c.takes(s.T, outOfOrder) {
			if col := c.column(s.Ref, s.T); col != nil {
				col.floatHistogram(s.ST, s.T, s.FH)
			}
		}
	}
}

// onTombstones forgets what a series had that went into a block. Deletions are
// known already.
func (c *collector) onTombstones(list []tombstones.Stone) {
	for _, s := range list {
		ref := chunks.HeadSeriesRef(s.Ref)
		n, ok := c.refs.get(ref)
		if !ok || !endsSeries(s) {
			continue
		}
		c.ended[ref] = true
		if rank := c.ranks[n]; rank >= c.load.lo && rank < c.load.hi {
			for _, columns := range c.columns {
				columns[rank-c.load.lo].reset()
			}
		}
	}
}

// chunk adds what the logs do not have of a chunk.
func (c *collector) chunk(h *headChunk) {
	if !c.takes(h.maxt, h.outOfOrder) || c.ended[h.ref] && !h.outOfOrder {
		return
	}
	n, ok := c.refs.get(h.ref)
	if !ok || c.ranks[n] < c.load.lo || c.ranks[n] >= c.load.hi {
		return
	}
	if col := c.column(h.ref, h.mint); col != nil && col.count(h.mint, h.maxt) == h.samples {
		return
	}
	var all samples
	if err := h.decode(&all); err != nil {
		return // its checksum is right: it is of a kind that is not known
	}
	for i := range all.runs {
		r := &all.runs[i]
		for k, t := range r.Times {
			if !c.takes(t, h.outOfOrder) {
				continue
			}
			if col := c.column(h.ref, t); col != nil && col.count(t, t) == 0 {
				col.take(r, k)
			}
		}
	}
}

// logSource is a range of the logs as a source of a block. It digests what it
// hands out.
type logSource struct {
	ctx     context.Context
	index   *logIndex
	unit    *logRange
	loads   []*load
	current **collector // what is in memory, shared by the ranges of a load
	digest  Digest

	rank     uint32 // of the next series
	samples  *samples
	at       uint32
	progress func(samples uint64)
	err      error
}

// Next goes to the next series that has samples.
func (s *logSource) Next() bool {
	for s.err == nil && len(s.loads) > 0 {
		l := s.loads[0]
		if *s.current == nil || (*s.current).load != l {
			*s.current = nil // before more is read
			if *s.current, s.err = s.index.collect(s.ctx, l); s.err != nil {
				return false
			}
		}
		columns := (*s.current).columns[s.unit.start]
		for s.rank = max(s.rank, l.lo); s.rank < l.hi; s.rank++ {
			col := &columns[s.rank-l.lo]
			if col.len() == 0 {
				continue
			}
			s.samples, s.at = col, s.rank
			s.rank++
			col.settle()
			s.digest.Begin(s.index.series[s.index.byRank[s.at]].labels)
			col.digest(&s.digest)
			s.progress(s.digest.Samples)
			return true
		}
		s.loads = s.loads[1:]
	}
	return false
}

// Series returns the series that Next went to.
func (s *logSource) Series() compact.Series {
	return compact.Series{
		Labels:    s.index.series[s.index.byRank[s.at]].labels,
		Metadata:  s.index.metadata[s.at],
		Exemplars: s.exemplarsOf(s.at),
		Batches:   s.samples.batches(),
	}
}

// exemplarsOf returns the exemplars of a series in the range.
func (s *logSource) exemplarsOf(rank uint32) []exemplar.Exemplar {
	list := s.index.exemplars[rank]
	lo := sort.Search(len(list), func(i int) bool { return list[i].Ts >= s.unit.start })
	hi := sort.Search(len(list), func(i int) bool { return list[i].Ts >= s.unit.start+s.index.length })
	return list[lo:hi]
}

func (s *logSource) close() error { return nil }

func (s *logSource) result() (*Digest, []string) { return &s.digest, nil }

// Err returns what ended the range early.
func (s *logSource) Err() error {
	if s.err != nil {
		return fmt.Errorf("read logs: %w", s.err)
	}
	return nil
}
