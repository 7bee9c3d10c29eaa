package takeover

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/tombstones"

	"github.com/gnomonhq/gnomon/tsdb/block"
)

// logIndex is what the first reading of the logs and of the chunks of the head
// finds out: which series there are, and which ranges of time have samples.
type logIndex struct {
	logs   *promLogs
	chunks *headChunks
	// from is the time before which in-order samples are in blocks already.
	from int64
	// length is that of a range, milliseconds.
	length int64

	refs   refTable
	series []logSeries // by the order in which they were defined
	// ranks has the place of each series in the order of a block. Series with
	// equal labels have the same.
	ranks  []uint32
	byRank []uint32 // a series of each rank
	// metadata and deleted are by rank.
	metadata  map[uint32]metadata.Metadata
	deleted   map[uint32]tombstones.Intervals
	exemplars map[uint32][]exemplar.Exemplar

	// ranges are those that have samples, the newest first.
	ranges []*logRange
	// unknown counts samples of series that are not defined.
	unknown int
	// fingerprint tells these logs from others.
	fingerprint uint64
}

type logSeries struct{ labels labels.Labels }

// logRange is an aligned range of time that has samples.
type logRange struct {
	start int64
	// weight is how many samples there are at most, a histogram counting for as
	// many as take its room.
	weight uint64
	// samples is how many there are at most.
	samples uint64
	// chunks is the same of the chunks of the head, which mostly have what the
	// logs have.
	chunks struct{ weight, samples uint64 }
	// mint and maxt bound the times of the samples.
	mint, maxt int64
	// source is what meta.json of its block names as its source.
	source ulid.ULID
}

// name is the range for people.
func (r *logRange) name() string {
	return "logs from " + formatTime(r.mint) + " to " + formatTime(r.maxt)
}

// indexer fills an index.
type indexer struct {
	*logIndex
	ranges    map[int64]*logRange
	last      *logRange
	undefined map[chunks.HeadSeriesRef]int
	metadata  map[uint32]metadata.Metadata // by series
	deleted   map[uint32]tombstones.Intervals
	exemplars *exemplarRing
	hash      *xxhash.Digest
	damaged   func(error)
}

// indexLogs reads the logs once. What is damaged is told and left out. reading is
// told the progress, of later readings too.
func indexLogs(ctx context.Context, f *folder, length int64, maxExemplars int, damaged func(error), reading func(done, of int)) (*logIndex, error) {
	logs, err := listLogs(f.dir)
	if err != nil {
		return nil, err
	}
	logs.reading = reading
	heads, err := listHeadChunks(f.dir)
	if err != nil {
		return nil, err
	}
	from, bounded := f.logsFrom()
	if !bounded {
		from = math.MinInt64
	}
	x := newIndexer(logs, heads, from, length, maxExemplars, damaged)
	d := newLogDecoder(x)
	err = logs.read(ctx, func(s *promSegment, rec []byte) error {
		_, _ = x.hash.Write(rec) // never fails
		d.decode(s, rec)
		return nil
	}, func(d *logDamage) { damaged(d) })
	if err != nil {
		return nil, err
	}
	err = heads.read(ctx, func(c *headChunk) {
		var b [24]byte
		binary.LittleEndian.PutUint64(b[:], uint64(c.ref))
		binary.LittleEndian.PutUint64(b[8:], uint64(c.mint))
		binary.LittleEndian.PutUint64(b[16:], uint64(c.maxt))
		_, _ = x.hash.Write(b[:])
		x.chunk(c)
	}, func(d *logDamage) { damaged(d) })
	if err != nil {
		return nil, err
	}
	return x.finish(), nil
}

func newIndexer(logs *promLogs, heads *headChunks, from, length int64, maxExemplars int, damaged func(error)) *indexer {
	return &indexer{
		logIndex:  &logIndex{logs: logs, chunks: heads, from: from, length: length},
		ranges:    map[int64]*logRange{},
		undefined: map[chunks.HeadSeriesRef]int{},
		metadata:  map[uint32]metadata.Metadata{},
		deleted:   map[uint32]tombstones.Intervals{},
		exemplars: newExemplarRing(maxExemplars),
		hash:      xxhash.New(),
		damaged:   damaged,
	}
}

// finish puts the series in order.
func (x *indexer) finish() *logIndex {
	x.unknown = 0
	for ref, n := range x.undefined {
		if _, ok := x.refs.get(ref); !ok {
			x.unknown += n
		}
	}
	if x.unknown > 0 {
		x.damaged(fmt.Errorf("logs of Prometheus: %d samples are of series that are defined nowhere", x.unknown))
	}
	order := make([]uint32, len(x.series))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(block.Compare(x.series[a].labels, x.series[b].labels), cmp.Compare(a, b))
	})
	x.ranks = make([]uint32, len(order))
	for i, n := range order {
		if i == 0 || !labels.Equal(x.series[n].labels, x.series[order[i-1]].labels) {
			x.byRank = append(x.byRank, n)
		}
		x.ranks[n] = uint32(len(x.byRank) - 1)
	}
	x.logIndex.metadata = map[uint32]metadata.Metadata{}
	for n := range x.series { // in the order of definition: the newest one counts
		if m, ok := x.metadata[uint32(n)]; ok {
			x.logIndex.metadata[x.ranks[n]] = m
		}
	}
	x.logIndex.deleted = map[uint32]tombstones.Intervals{}
	for n, list := range x.deleted {
		for _, iv := range list {
			x.logIndex.deleted[x.ranks[n]] = x.logIndex.deleted[x.ranks[n]].Add(iv)
		}
	}
	x.logIndex.exemplars = x.exemplars.bySeries(x.ranks)
	x.fingerprint = x.hash.Sum64()
	x.logIndex.ranges = slices.SortedFunc(maps.Values(x.ranges), func(a, b *logRange) int { return cmp.Compare(b.start, a.start) })
	for _, r := range x.logIndex.ranges {
		r.weight, r.samples = max(r.weight, r.chunks.weight), max(r.samples, r.chunks.samples)
		r.source = x.sourceOf(r)
	}
	return x.logIndex
}

// sourceOf derives the name of a range's source from the logs' content, so that
// the same logs have the same.
func (x *logIndex) sourceOf(r *logRange) (id ulid.ULID) {
	var b []byte
	for _, v := range []uint64{x.fingerprint, uint64(x.from), uint64(x.length), uint64(r.start)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	binary.BigEndian.PutUint64(id[:8], xxhash.Sum64(b))
	binary.BigEndian.PutUint64(id[8:], xxhash.Sum64(append(b, 1)))
	return id
}

// rangeStart returns where the range begins that t lies in.
func (x *logIndex) rangeStart(t int64) int64 {
	start := t - t%x.length
	if t < start {
		start -= x.length
	}
	return start
}

// takes reports whether a sample is to be imported: an in-order one that is in a
// block already is not.
func (x *logIndex) takes(t int64, outOfOrder bool) bool { return outOfOrder || t >= x.from }

// rangeOf returns the range of samples that begin at t and end at maxt, or
// later than the range.
func (x *indexer) rangeOf(t, maxt int64) *logRange {
	r := x.last
	if r == nil || t < r.start || t-r.start >= x.length {
		start := x.rangeStart(t)
		if r = x.ranges[start]; r == nil {
			r = &logRange{start: start, mint: t, maxt: t}
			x.ranges[start] = r
		}
		x.last = r
	}
	r.mint, r.maxt = min(r.mint, t), max(r.maxt, min(maxt, r.start+x.length-1))
	return r
}

// note counts a sample of the logs.
func (x *indexer) note(t int64, weight uint64) {
	r := x.rangeOf(t, t)
	r.weight += weight
	r.samples++
}

func (x *indexer) known(ref chunks.HeadSeriesRef, n int) {
	if _, ok := x.refs.get(ref); !ok {
		x.undefined[ref] += n
	}
}

// chunk notes a chunk of the head, which may reach over several ranges.
func (x *indexer) chunk(c *headChunk) {
	if !x.takes(c.maxt, c.outOfOrder) {
		return
	}
	x.known(c.ref, c.samples)
	mint := c.mint
	if !c.outOfOrder {
		mint = max(mint, x.from)
	}
	for t := mint; ; {
		r := x.rangeOf(t, c.maxt)
		r.chunks.weight += uint64(c.samples) * c.weight
		r.chunks.samples += uint64(c.samples)
		if t = x.rangeStart(t) + x.length; t > c.maxt {
			return
		}
	}
}

// The following implement logConsumer.

func (x *indexer) onSeries(s record.RefSeries) error {
	if n, ok := x.refs.get(s.Ref); ok {
		if !labels.Equal(x.series[n].labels, s.Labels) {
			return fmt.Errorf("series %d is %s, and was %s before", s.Ref, s.Labels, x.series[n].labels)
		}
		return nil
	}
	x.refs.set(s.Ref, uint32(len(x.series)))
	x.series = append(x.series, logSeries{labels: s.Labels})
	return nil
}

func (x *indexer) onFloats(list []record.RefSample, outOfOrder bool) {
	for i := range list {
		s := &list[i]
		if x.takes(s.T, outOfOrder) {
			x.known(s.Ref, 1)
			x.note(s.T, 1)
		}
	}
}

func (x *indexer) onHistograms(list []record.RefHistogramSample, outOfOrder bool) {
	for i := range list {
		s := &list[i]
		if x.takes(s.T, outOfOrder) {
			x.known(s.Ref, 1)
			x.note(s.T, histogramWeight(len(s.H.PositiveBuckets)+len(s.H.NegativeBuckets)))
		}
	}
}

func (x *indexer) onFloatHistograms(list []record.RefFloatHistogramSample, outOfOrder bool) {
	for i := range list {
		s := &list[i]
		if x.takes(s.T, outOfOrder) {
			x.known(s.Ref, 1)
			x.note(s.T, histogramWeight(len(s.FH.PositiveBuckets)+len(s.FH.NegativeBuckets)))
		}
	}
}

// histogramWeight is how many floats with their times take the room of a
// histogram.
func histogramWeight(buckets int) uint64 { return 16 + uint64(buckets)/2 }

func (x *indexer) onTombstones(list []tombstones.Stone) {
	for _, s := range list {
		n, ok := x.refs.get(chunks.HeadSeriesRef(s.Ref))
		if !ok || endsSeries(s) {
			continue
		}
		for _, iv := range s.Intervals {
			x.deleted[n] = x.deleted[n].Add(iv)
		}
	}
}

// endsSeries reports whether a tombstone is not a deletion but says that the
// series, which was stale, went into a block and out of the head.
func endsSeries(s tombstones.Stone) bool {
	return len(s.Intervals) == 1 && s.Intervals[0].Mint == math.MinInt64 && s.Intervals[0].Maxt == math.MaxInt64
}

func (x *indexer) onExemplars(list []record.RefExemplar) {
	for _, e := range list {
		if n, ok := x.refs.get(e.Ref); ok && e.T >= x.from {
			x.exemplars.add(n, exemplar.Exemplar{Labels: e.Labels, Value: e.V, Ts: e.T, HasTs: true})
		}
	}
}

func (x *indexer) onMetadata(list []record.RefMetadata) {
	for _, m := range list {
		if n, ok := x.refs.get(m.Ref); ok {
			// The strings are part of the record, which is overwritten.
			x.metadata[n] = metadata.Metadata{Type: record.ToMetricType(m.Type), Unit: clone(m.Unit), Help: clone(m.Help)}
		}
	}
}

func (x *indexer) onDamage(err error) { x.damaged(err) }
