package batch

import (
	"math"
	"slices"
	"sort"

	"github.com/gnomonhq/gnomon/storage"
)

// Runs shorter than gatherRun samples are collected into batches of up to
// gatherRows, so that sources that alternate do not yield batches of one sample.
const (
	gatherRun  = 16
	gatherRows = 128
)

// Merge is the union of the iterators. A sample of an iterator wins over one
// with the same timestamp of a later iterator. A single iterator is returned as
// it is.
func Merge(its ...storage.BatchIterator) storage.BatchIterator { return MergeInto(nil, its...) }

// MergeInto is Merge with the memory of an iterator that it returned before and
// that is not used any more.
func MergeInto(used storage.BatchIterator, its ...storage.BatchIterator) storage.BatchIterator {
	if len(its) == 1 {
		return its[0]
	}
	m, ok := used.(*merger)
	if !ok {
		m = &merger{}
	}
	for i := range m.sources {
		m.sources[i].reset(nil)
	}
	m.sources = slices.Grow(m.sources[:0], len(its))[:len(its)]
	for i, it := range its {
		m.sources[i].reset(it)
	}
	m.last = nil
	return m
}

// source is one iterator with the batch it is at.
type source struct {
	it   storage.BatchIterator
	b    storage.Batch
	at   int // next sample of b
	done bool
}

// reset begins an iterator, with the room of the batch of the one before.
func (s *source) reset(it storage.BatchIterator) {
	clear(s.b.Histograms)
	clear(s.b.FloatHistograms)
	*s = source{it: it, b: storage.Batch{
		Values: s.b.Values[:0], Histograms: s.b.Histograms[:0], FloatHistograms: s.b.FloatHistograms[:0],
	}}
}

// ready makes sure that there is a sample at hand and reports whether there is.
func (s *source) ready() bool {
	for !s.done && s.at >= s.b.Len() {
		s.at = 0
		if !s.it.Next(&s.b) {
			s.done = true
			s.b.Times, s.b.StartTimes = nil, nil
		}
	}
	return !s.done
}

func (s *source) time() int64 { return s.b.Times[s.at] }

// until returns the end of the run of samples before limit; all of them if
// there is no other source.
func (s *source) until(limit int64, bounded bool) int {
	n := s.b.Len()
	if !bounded || s.b.Times[n-1] < limit {
		return n
	}
	return s.at + sort.Search(n-s.at, func(i int) bool { return s.b.Times[s.at+i] >= limit })
}

type merger struct {
	sources []source
	last    *source // whose sample was handed out last
}

// Err returns the first error of a source.
func (m *merger) Err() error {
	for i := range m.sources {
		if err := m.sources[i].it.Err(); err != nil {
			return err
		}
	}
	return nil
}

// pick returns the source with the earliest sample, and the time of the
// earliest sample of the others. Samples at the same time of later sources are
// passed over.
func (m *merger) pick() (first *source, limit int64, bounded bool) {
	limit = math.MaxInt64
	for i := range m.sources {
		s := &m.sources[i]
		for s.ready() {
			if first == nil || s.time() < first.time() {
				if first != nil {
					limit, bounded = min(limit, first.time()), true
				}
				first = s
				break
			}
			if s.time() > first.time() {
				limit, bounded = min(limit, s.time()), true
				break
			}
			s.at++
		}
	}
	return first, limit, bounded
}

// Next yields the longest run of one source that no other source interrupts, or
// a collection of short runs.
func (m *merger) Next(out *storage.Batch) bool {
	s, limit, bounded := m.pick()
	if s == nil {
		return false
	}
	if end := s.until(limit, bounded); end == s.b.Len() || end-s.at >= gatherRun {
		s.emit(out, end)
		if m.last != s {
			ForgetReset(out, 0)
		}
		m.last = s
		return true
	}
	m.gather(out, s, limit, bounded)
	return true
}

// emit hands out the samples up to end.
func (s *source) emit(out *storage.Batch, end int) {
	from := s.at
	s.at = end
	out.Kind, out.Timeline, out.Offset = s.b.Kind, s.b.Timeline, s.b.Offset+from
	out.Times = s.b.Times[from:end:end]
	out.StartTimes = nil
	if s.b.StartTimes != nil {
		out.StartTimes = s.b.StartTimes[from:end:end]
	}
	out.Values, out.Histograms, out.FloatHistograms = out.Values[:0], out.Histograms[:0], out.FloatHistograms[:0]
	switch s.b.Kind {
	case storage.KindHistogram:
		out.Histograms = append(out.Histograms, s.b.Histograms[from:end]...)
	case storage.KindFloatHistogram:
		out.FloatHistograms = append(out.FloatHistograms, s.b.FloatHistograms[from:end]...)
	default:
		out.Values = append(out.Values, s.b.Values[from:end]...)
	}
}

// gather collects runs until the kind changes, a batch is full or a long run
// comes. The timestamps are new memory, since they outlive the batch.
func (m *merger) gather(out *storage.Batch, s *source, limit int64, bounded bool) {
	*out = storage.Batch{
		Kind: s.b.Kind, Times: make([]int64, 0, gatherRows),
		Values: out.Values[:0], Histograms: out.Histograms[:0], FloatHistograms: out.FloatHistograms[:0],
	}
	for s != nil && s.b.Kind == out.Kind && out.Len() < gatherRows {
		end := s.until(limit, bounded)
		if out.Len() > 0 && end-s.at >= gatherRun {
			return
		}
		for ; s.at < end; s.at++ {
			s.appendTo(out)
			if m.last != s {
				ForgetReset(out, out.Len()-1)
			}
			m.last = s
		}
		s, limit, bounded = m.pick()
	}
}

// appendTo adds the sample at hand to a batch of its kind.
func (s *source) appendTo(out *storage.Batch) {
	if s.b.StartTimes != nil && out.StartTimes == nil {
		out.StartTimes = make([]int64, out.Len(), gatherRows)
	}
	out.Times = append(out.Times, s.b.Times[s.at])
	if out.StartTimes != nil {
		var st int64
		if s.b.StartTimes != nil {
			st = s.b.StartTimes[s.at]
		}
		out.StartTimes = append(out.StartTimes, st)
	}
	switch out.Kind {
	case storage.KindHistogram:
		out.Histograms = append(out.Histograms, s.b.Histograms[s.at])
	case storage.KindFloatHistogram:
		out.FloatHistograms = append(out.FloatHistograms, s.b.FloatHistograms[s.at])
	default:
		out.Values = append(out.Values, s.b.Values[s.at])
	}
}
