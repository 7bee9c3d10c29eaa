package exec

import (
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/storage"
)

// reader decodes the samples of series into memory that it keeps for the next
// one. It is used by one selector.
type reader struct {
	it    storage.BatchIterator
	batch storage.Batch
	// wantStarts says that start timestamps are of interest.
	wantStarts bool

	room
	// values are those of the series at hand: first or joined.
	values []float64
	pieces []piece
	// stale says that staleness markers are among the values.
	stale bool
	mixed mixedSamples
	// memory counts the room, of which it knows counted bytes.
	memory  *Memory
	counted int
}

// room is the memory of a reader, kept between queries.
type room struct {
	// first is for the first batch of a series, batches for each of the others,
	// and joined for all of them together.
	first, batches, joined []float64

	times  []int64
	starts []int64
	lo, hi []int32
}

// rooms has the memory of readers that are done.
var rooms = sync.Pool{New: func() any { return &room{} }}

// maxRoom bounds what a reader gives back, in values.
const maxRoom = 1 << 18

func newReader(memory *Memory, wantStarts bool) *reader {
	r := rooms.Get().(*room)
	return &reader{room: *r, wantStarts: wantStarts, memory: memory}
}

// count counts the room.
func (r *reader) count() error {
	n := 8 * (cap(r.first) + cap(r.batches) + cap(r.joined) + cap(r.times) + cap(r.starts))
	more := n - r.counted
	r.counted = n
	if more <= 0 {
		return nil
	}
	return r.memory.take(more)
}

// release gives the memory back. The reader is not used any more.
func (r *reader) release() {
	if r.memory == nil {
		return // it was given back
	}
	kept := r.room
	r.room = room{}
	r.memory.give(r.counted)
	r.memory, r.counted = nil, 0
	if cap(kept.joined) <= maxRoom {
		rooms.Put(&kept)
	}
}

// piece is the timestamps of a batch.
type piece struct {
	timeline storage.TimelineID
	offset   int
	times    []int64
}

// floats reads a series. It returns false if there is a native histogram: then
// nothing counts, and mixedSamples reads it. Otherwise the values are in values,
// staleness markers among them, and pieces has the timestamps.
func (r *reader) floats(s storage.Series) (bool, error) {
	r.it = s.Batches(r.it)
	r.values, r.pieces, r.stale = nil, r.pieces[:0], false
	r.starts = r.starts[:0]
	anyStarts := false
	for n := 0; ; n++ {
		// The store may keep the room that a batch came with, and gives other memory
		// for it.
		if n == 0 {
			r.batch.Values = r.first[:0]
		} else {
			r.batch.Values = r.batches[:0]
		}
		more := r.it.Next(&r.batch)
		got := r.batch.Values
		if n == 0 {
			r.first = got
		} else {
			r.batches = got
		}
		if !more {
			break
		}
		if r.batch.Kind != storage.KindFloat {
			return false, nil
		}
		switch n {
		case 0:
			r.values = r.first
		case 1:
			r.joined = append(append(r.joined[:0], r.first...), got...)
			r.values = r.joined
		default:
			r.joined = append(r.joined, got...)
			r.values = r.joined
		}
		r.stale = r.stale || hasStale(got)
		r.pieces = append(r.pieces, piece{r.batch.Timeline, r.batch.Offset, r.batch.Times})
		if r.wantStarts {
			if r.batch.StartTimes != nil {
				r.starts, anyStarts = append(r.starts, r.batch.StartTimes...), true
			} else {
				r.starts = append(r.starts, make([]int64, len(got))...)
			}
		}
	}
	r.batch.Values = nil
	if !anyStarts {
		r.starts = r.starts[:0]
	}
	if err := r.it.Err(); err != nil {
		return false, err
	}
	return true, r.count()
}

// hasStale reports whether there is a staleness marker among the values.
func hasStale(values []float64) bool {
	for len(values) >= 8 {
		// What is taken from itself is 0, and what is not a number stays so in the sum:
		// that is found for eight with one branch.
		v := (*[8]float64)(values)
		sum := ((v[0] - v[0]) + (v[1] - v[1])) + ((v[2] - v[2]) + (v[3] - v[3])) +
			(((v[4] - v[4]) + (v[5] - v[5])) + ((v[6] - v[6]) + (v[7] - v[7])))
		if sum != sum && slices.ContainsFunc(v[:], value.IsStaleNaN) {
			return true
		}
		values = values[8:]
	}
	return slices.ContainsFunc(values, value.IsStaleNaN)
}

// joinTimes returns the timestamps of all pieces, in dst if there are several.
func (r *reader) joinTimes(dst []int64) []int64 {
	switch len(r.pieces) {
	case 0:
		return nil
	case 1:
		return r.pieces[0].times
	}
	dst = dst[:0]
	for _, p := range r.pieces {
		dst = append(dst, p.times...)
	}
	return dst
}

// withoutStale takes the staleness markers out. The times are then in r.times.
func (r *reader) withoutStale(times []int64) []int64 {
	starts := len(r.starts) > 0
	out := r.times[:0]
	n := 0
	for i, v := range r.values {
		if value.IsStaleNaN(v) {
			continue
		}
		out = append(out, times[i])
		r.values[n] = v
		if starts {
			r.starts[n] = r.starts[i]
		}
		n++
	}
	r.values, r.times = r.values[:n], out
	if starts {
		r.starts = r.starts[:n]
	}
	return out
}

// floatSamples are the samples that functions get.
func (r *reader) floatSamples(times []int64) functions.FloatSamples {
	s := functions.FloatSamples{Times: times, Values: r.values}
	if len(r.starts) > 0 {
		s.Starts = r.starts
	}
	return s
}

// mixedSamples are the samples of a series that has native histograms.
type mixedSamples struct {
	floats     functions.FloatSamples
	histTimes  []int64
	hists      []*histogram.FloatHistogram
	histStarts []int64
}

// readMixed reads a series that has native histograms, without staleness
// markers. Histograms are copies, reduced by stats.
func (r *reader) readMixed(s storage.Series, stats statistics) (*mixedSamples, error) {
	m := &r.mixed
	*m = mixedSamples{}
	r.it = s.Batches(r.it)
	r.batch.Values = nil
	for r.it.Next(&r.batch) {
		b := &r.batch
		for i, t := range b.Times {
			stats.reach(t)
			var start int64
			if r.wantStarts && b.StartTimes != nil {
				start = b.StartTimes[i]
			}
			if b.Kind == storage.KindFloat {
				if v := b.Values[i]; !value.IsStaleNaN(v) {
					m.floats.Times, m.floats.Values = append(m.floats.Times, t), append(m.floats.Values, v)
					m.floats.Starts = append(m.floats.Starts, start)
				}
				continue
			}
			h := stats.reduce(batchHistogram(b, i))
			if !value.IsStaleNaN(h.Sum) {
				m.histTimes, m.hists, m.histStarts = append(m.histTimes, t), append(m.hists, h), append(m.histStarts, start)
			}
		}
	}
	if !r.wantStarts {
		m.floats.Starts, m.histStarts = nil, nil
	}
	return m, r.it.Err()
}

// batchHistogram returns a copy of histogram i of a batch.
func batchHistogram(b *storage.Batch, i int) *histogram.FloatHistogram {
	if b.Kind == storage.KindHistogram {
		return b.Histograms[i].ToFloat(nil)
	}
	return b.FloatHistograms[i].Copy()
}
