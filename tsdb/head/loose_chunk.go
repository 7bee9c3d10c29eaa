package head

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// looseChunk is a run of samples of one series and one kind, encoded with their
// timeline: AppendTimes, then the values, then AppendTimes of the start
// timestamps if there are any; or packed. It is immutable. Chunks of a series may
// overlap.
type looseChunk struct {
	mint, maxt int64
	// txn is the last transaction of the samples, or a later one.
	txn    uint64
	rows   uint16
	kind   storage.Kind
	starts bool
	packed bool // data is a packed run: see looseRun
	data   []byte
}

// appendChunks encodes samples, ascending in time, a chunk for each run of one
// kind.
func appendChunks(chunks []looseChunk, samples []batch.Sample, txn uint64) []looseChunk {
	for len(samples) > 0 {
		kind := samples[0].Kind()
		n := 1
		for n < len(samples) && n < maxSegmentRows && samples[n].Kind() == kind {
			n++
		}
		b := storage.Batch{Times: make([]int64, 0, n), Values: make([]float64, 0, n)}
		for i := range samples[:n] {
			batch.Append(&b, &samples[i])
		}
		chunks = appendChunk(chunks, &b, txn)
		samples = samples[n:]
	}
	return chunks
}

// chunkRoom is scratch memory for coding chunks.
type chunkRoom struct {
	data   []byte
	times  []int64
	values []float64
}

var chunkRooms = sync.Pool{New: func() any { return new(chunkRoom) }}

// appendChunk encodes a batch; histograms that are too much for one chunk are
// split.
func appendChunk(chunks []looseChunk, b *storage.Batch, txn uint64) []looseChunk {
	n := b.Len()
	c := looseChunk{mint: b.Times[0], maxt: b.Times[n-1], txn: txn, rows: uint16(n), kind: b.Kind, starts: b.StartTimes != nil}
	room := chunkRooms.Get().(*chunkRoom)
	defer chunkRooms.Put(room)
	data := encoding.AppendTimes(room.data[:0], b.Times)
	var err error
	switch b.Kind {
	case storage.KindHistogram:
		data, err = encoding.AppendHistograms(data, b.Histograms)
	case storage.KindFloatHistogram:
		data, err = encoding.AppendFloatHistograms(data, b.FloatHistograms)
	default:
		data = encoding.AppendFloats(data, b.Values)
	}
	if err != nil && n > 1 {
		left, right := splitBatch(b, n/2)
		return appendChunk(appendChunk(chunks, &left, txn), &right, txn)
	}
	if c.starts {
		data = encoding.AppendTimes(data, b.StartTimes)
	}
	room.data, c.data = data, slices.Clone(data)
	return append(chunks, c)
}

func splitBatch(b *storage.Batch, n int) (left, right storage.Batch) {
	left, right = *b, *b
	left.Times, right.Times = b.Times[:n], b.Times[n:]
	if b.StartTimes != nil {
		left.StartTimes, right.StartTimes = b.StartTimes[:n], b.StartTimes[n:]
	}
	if b.Kind == storage.KindHistogram {
		left.Histograms, right.Histograms = b.Histograms[:n], b.Histograms[n:]
	} else {
		left.FloatHistograms, right.FloatHistograms = b.FloatHistograms[:n], b.FloatHistograms[n:]
	}
	return left, right
}

// decode fills b, whose timestamps are new memory.
func (c *looseChunk) decode(b *storage.Batch) error {
	b.Kind, b.Timeline, b.Offset, b.StartTimes = c.kind, 0, 0, nil
	b.Values, b.Histograms, b.FloatHistograms = b.Values[:0], b.Histograms[:0], b.FloatHistograms[:0]
	if c.packed {
		var err error
		b.Times, b.Values, err = unpack(make([]int64, 0, c.rows), b.Values, c)
		return err
	}
	times, rest, err := encoding.DecodeTimes(make([]int64, 0, c.rows), c.data)
	if err != nil {
		return err
	}
	b.Times = times
	got := 0
	switch c.kind {
	case storage.KindHistogram:
		b.Histograms, rest, err = encoding.DecodeHistograms(b.Histograms, rest)
		got = len(b.Histograms)
	case storage.KindFloatHistogram:
		b.FloatHistograms, rest, err = encoding.DecodeFloatHistograms(b.FloatHistograms, rest)
		got = len(b.FloatHistograms)
	default:
		b.Values, rest, err = encoding.DecodeFloats(b.Values, rest)
		got = len(b.Values)
	}
	if err == nil && c.starts {
		b.StartTimes, _, err = encoding.DecodeTimes(nil, rest)
	}
	if err == nil && (got != len(times) || (c.starts && len(b.StartTimes) != got)) {
		err = fmt.Errorf("%w: %d values at %d times", encoding.ErrCorrupt, got, len(times))
	}
	return err
}

// next returns the time of the first sample at from or later; math.MaxInt64 if
// there is none. A chunk that cannot be decoded has none.
func (c *looseChunk) next(from int64) int64 {
	switch {
	case c.maxt < from:
		return maxTime
	case c.mint >= from:
		return c.mint
	}
	var b storage.Batch
	if err := c.decode(&b); err != nil {
		return maxTime
	}
	lo, _ := spanOf(b.Times, from, maxTime)
	return b.Times[lo]
}

// samples decodes the chunk into single samples.
func (c *looseChunk) samples(dst []batch.Sample) ([]batch.Sample, error) {
	var b storage.Batch
	if err := c.decode(&b); err != nil {
		return dst, err
	}
	for i := range b.Times {
		dst = append(dst, batch.At(&b, i))
	}
	return dst, nil
}

// mergeChunks joins the short chunks at the end once they have chunkRows
// together. Chunks that cannot be decoded stay as they are.
func mergeChunks(chunks []looseChunk) []looseChunk {
	from, rows := len(chunks), 0
	for from > 0 && int(chunks[from-1].rows) < chunkRows && rows < chunkRows && chunks[from-1].kind == chunks[len(chunks)-1].kind {
		from--
		rows += int(chunks[from].rows)
	}
	if rows < chunkRows || len(chunks)-from < 2 {
		return chunks
	}
	txn := uint64(0)
	var samples []batch.Sample
	for i := from; i < len(chunks); i++ {
		txn = max(txn, chunks[i].txn)
		var err error
		if samples, err = chunks[i].samples(samples); err != nil {
			return chunks
		}
	}
	if !slices.IsSortedFunc(samples, func(a, b batch.Sample) int { return cmp.Compare(a.T, b.T) }) {
		sortLate(samples)
	}
	return appendChunks(slices.Clone(chunks[:from]), samples, txn)
}

// filterChunks keeps the samples that keep says; only those of the range are
// asked about. The slice passed in is not changed.
func filterChunks(chunks []looseChunk, mint, maxt int64, keep func(int64, uint64) bool) (out []looseChunk, changed bool, err error) {
	for i := range chunks {
		c := &chunks[i]
		if c.maxt < mint || c.mint > maxt {
			out = append(out, *c)
			continue
		}
		samples, err := c.samples(nil)
		if err != nil {
			return chunks, false, err
		}
		kept := slices.DeleteFunc(samples, func(s batch.Sample) bool { return !keep(s.T, c.txn) })
		if len(kept) == int(c.rows) {
			out = append(out, *c)
			continue
		}
		changed = true
		out = appendChunks(out, kept, c.txn)
	}
	return out, changed, nil
}

// looseView is what a reader of transaction txn sees of the loose samples of a
// series.
type looseView struct {
	chunks []looseChunk
	tail   []looseSample // in the order of arrival, with some that the reader does not see
	txn    uint64
}

// view takes what a reader of transaction txn sees. The caller holds the
// series' lock; the view needs none.
func (l *loose) view(txn uint64) looseView {
	if l.empty() {
		return looseView{}
	}
	v := looseView{chunks: l.chunks, tail: l.tail, txn: txn}
	if l.run.rows > 0 {
		if c := l.run.view(txn); c.rows > 0 {
			v.chunks = append(l.chunks[:len(l.chunks):len(l.chunks)], c)
		}
	}
	return v
}

// overlaps reports whether there is a sample in the range. It decodes chunks
// that reach across the range without ending in it.
func (v *looseView) overlaps(mint, maxt int64) bool {
	for i := range v.tail {
		if s := &v.tail[i]; s.T >= mint && s.T <= maxt && s.txn <= v.txn {
			return true
		}
	}
	for i := range v.chunks {
		c := &v.chunks[i]
		switch {
		case c.maxt < mint || c.mint > maxt:
		case c.mint >= mint || c.maxt <= maxt:
			return true
		default:
			var b storage.Batch
			if c.decode(&b) == nil {
				if lo, hi := spanOf(b.Times, mint, maxt); lo < hi {
					return true
				}
			}
		}
	}
	return false
}

// iterators returns the samples of the range as iterators, each of them over
// chunks that do not overlap.
func (v *looseView) iterators(mint, maxt int64) []storage.BatchIterator {
	pieces := make([]looseChunk, 0, len(v.chunks)+1)
	for i := range v.chunks {
		if c := &v.chunks[i]; c.maxt >= mint && c.mint <= maxt {
			pieces = append(pieces, *c)
		}
	}
	slices.SortStableFunc(pieces, func(a, b looseChunk) int { return cmp.Compare(a.mint, b.mint) })
	var lanes []*chunkIterator
	for i := range pieces {
		lane := slices.IndexFunc(lanes, func(l *chunkIterator) bool { return l.chunks[len(l.chunks)-1].maxt < pieces[i].mint })
		if lane < 0 {
			lanes = append(lanes, &chunkIterator{mint: mint, maxt: maxt})
			lane = len(lanes) - 1
		}
		lanes[lane].chunks = append(lanes[lane].chunks, pieces[i])
	}
	var its []storage.BatchIterator
	for _, l := range lanes {
		its = append(its, l)
	}
	if tail := v.tailSamples(mint, maxt); len(tail) > 0 {
		its = append(its, &sampleIterator{samples: tail})
	}
	return its
}

// tailSamples returns the samples that are not sealed, in order.
func (v *looseView) tailSamples(mint, maxt int64) []batch.Sample {
	var out []batch.Sample
	for i := range v.tail {
		if s := &v.tail[i]; s.T >= mint && s.T <= maxt && s.txn <= v.txn {
			out = append(out, s.Sample)
		}
	}
	if !slices.IsSortedFunc(out, byTime) {
		sortLate(out)
	}
	return out
}

// chunkIterator yields chunks that do not overlap.
type chunkIterator struct {
	chunks     []looseChunk
	mint, maxt int64
	err        error
}

func (it *chunkIterator) Err() error { return it.err }

func (it *chunkIterator) Next(b *storage.Batch) bool {
	for it.err == nil && len(it.chunks) > 0 {
		c := &it.chunks[0]
		it.chunks = it.chunks[1:]
		if it.err = c.decode(b); it.err != nil {
			return false
		}
		if lo, hi := spanOf(b.Times, it.mint, it.maxt); lo < hi {
			cutBatch(b, lo, hi)
			return true
		}
	}
	return false
}

// cutBatch keeps the samples lo <= i < hi.
func cutBatch(b *storage.Batch, lo, hi int) {
	b.Times = b.Times[lo:hi]
	if b.StartTimes != nil {
		b.StartTimes = b.StartTimes[lo:hi]
	}
	switch b.Kind {
	case storage.KindHistogram:
		b.Histograms = append(b.Histograms[:0], b.Histograms[lo:hi]...)
	case storage.KindFloatHistogram:
		b.FloatHistograms = append(b.FloatHistograms[:0], b.FloatHistograms[lo:hi]...)
	default:
		b.Values = append(b.Values[:0], b.Values[lo:hi]...)
	}
}

// sampleIterator yields samples, a batch for each run of one kind.
type sampleIterator struct{ samples []batch.Sample }

func (it *sampleIterator) Err() error { return nil }

func (it *sampleIterator) Next(b *storage.Batch) bool {
	if len(it.samples) == 0 {
		return false
	}
	*b = storage.Batch{Values: b.Values[:0], Histograms: b.Histograms[:0], FloatHistograms: b.FloatHistograms[:0]}
	kind := it.samples[0].Kind()
	for len(it.samples) > 0 && it.samples[0].Kind() == kind {
		batch.Append(b, &it.samples[0])
		it.samples = it.samples[1:]
	}
	return true
}
