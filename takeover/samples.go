package takeover

import (
	"cmp"
	"slices"
	"sort"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
)

// samples are the samples of one series, in runs of one kind. They are put in
// order by settle, after which they can be read. Reset keeps the memory.
type samples struct {
	runs []storage.Batch
	// ordered says that they ascend: see count.
	ordered bool
}

// expect makes room for n floats, if there is none yet.
func (s *samples) expect(n int) {
	if s.runs == nil {
		s.runs = []storage.Batch{{Times: make([]int64, 0, n), Values: make([]float64, 0, n)}}[:0]
	}
}

func (s *samples) reset() {
	for i := range s.runs {
		r := &s.runs[i]
		clear(r.Histograms)
		clear(r.FloatHistograms)
	}
	s.runs, s.ordered = s.runs[:0], false
}

func (s *samples) len() int {
	n := 0
	for i := range s.runs {
		n += s.runs[i].Len()
	}
	return n
}

// run returns the run that a sample of the kind is appended to.
func (s *samples) run(kind storage.Kind) *storage.Batch {
	if n := len(s.runs); n > 0 && s.runs[n-1].Kind == kind {
		return &s.runs[n-1]
	}
	if len(s.runs) < cap(s.runs) {
		s.runs = s.runs[:len(s.runs)+1]
	} else {
		s.runs = append(s.runs, storage.Batch{})
	}
	r := &s.runs[len(s.runs)-1]
	*r = storage.Batch{Kind: kind, Times: r.Times[:0], Values: r.Values[:0], Histograms: r.Histograms[:0], FloatHistograms: r.FloatHistograms[:0]}
	return r
}

// at notes the times of a sample whose value is appended next.
func at(r *storage.Batch, st, t int64) {
	if st != 0 && r.StartTimes == nil {
		r.StartTimes = make([]int64, r.Len())
	}
	if r.StartTimes != nil {
		r.StartTimes = append(r.StartTimes, st)
	}
	r.Times = append(r.Times, t)
}

func (s *samples) float(st, t int64, v float64) {
	r := s.run(storage.KindFloat)
	at(r, st, t)
	r.Values = append(r.Values, v)
}

// histogram takes the histogram over.
func (s *samples) histogram(st, t int64, h *histogram.Histogram) {
	r := s.run(storage.KindHistogram)
	at(r, st, t)
	r.Histograms = append(r.Histograms, h)
}

// floatHistogram takes the histogram over.
func (s *samples) floatHistogram(st, t int64, h *histogram.FloatHistogram) {
	r := s.run(storage.KindFloatHistogram)
	at(r, st, t)
	r.FloatHistograms = append(r.FloatHistograms, h)
}

// read appends what an iterator of upstream has.
func (s *samples) read(it chunkenc.Iterator) error {
	for {
		switch it.Next() {
		case chunkenc.ValFloat:
			t, v := it.At()
			s.float(it.AtST(), t, v)
		case chunkenc.ValHistogram:
			t, h := it.AtHistogram(nil)
			s.histogram(it.AtST(), t, h)
		case chunkenc.ValFloatHistogram:
			t, h := it.AtFloatHistogram(nil)
			s.floatHistogram(it.AtST(), t, h)
		default:
			return it.Err()
		}
	}
}

// take appends sample k of a run, and shares its histogram.
func (s *samples) take(r *storage.Batch, k int) {
	s.ordered = false
	s.append(batch.At(r, k))
}

func (s *samples) append(x batch.Sample) {
	switch x.Kind() {
	case storage.KindHistogram:
		s.histogram(x.ST, x.T, x.H)
	case storage.KindFloatHistogram:
		s.floatHistogram(x.ST, x.T, x.FH)
	default:
		s.float(x.ST, x.T, x.V)
	}
}

// count returns how many samples there are with mint <= t <= maxt. It puts them
// in order.
func (s *samples) count(mint, maxt int64) int {
	s.order()
	n := 0
	for i := range s.runs {
		times := s.runs[i].Times
		n += sort.Search(len(times), func(k int) bool { return times[k] > maxt }) -
			sort.Search(len(times), func(k int) bool { return times[k] >= mint })
	}
	return n
}

// order puts the samples into ascending order, one for each time, the one that
// came first.
func (s *samples) order() {
	if !s.ordered && !s.ascends() {
		s.sort()
	}
	s.ordered = true
}

// addBatch appends what a batch has.
func (s *samples) addBatch(b *storage.Batch) {
	for k := range b.Times {
		s.append(batch.At(b, k))
	}
}

// settle puts the samples in order and gives histograms the counter reset hints
// of a store.
func (s *samples) settle() {
	s.order()
	var before batch.Sample
	for i := range s.runs {
		r := &s.runs[i]
		if r.Kind == storage.KindFloat {
			continue
		}
		for k := range r.Times {
			x := batch.At(r, k)
			if k == 0 {
				before = batch.Sample{}
			}
			x.SetReset(&before)
			before = x
		}
	}
}

func (s *samples) ascends() bool {
	last, any := int64(0), false
	for i := range s.runs {
		for _, t := range s.runs[i].Times {
			if any && t <= last {
				return false
			}
			last, any = t, true
		}
	}
	return true
}

func (s *samples) sort() {
	all := make([]batch.Sample, 0, s.len())
	for i := range s.runs {
		for k := range s.runs[i].Times {
			all = append(all, batch.At(&s.runs[i], k))
		}
	}
	slices.SortStableFunc(all, func(a, b batch.Sample) int { return cmp.Compare(a.T, b.T) })
	all = slices.CompactFunc(all, func(a, b batch.Sample) bool { return a.T == b.T })
	s.reset()
	for i := range all {
		s.append(all[i])
	}
}

// digest adds the samples to a digest.
func (s *samples) digest(d *Digest) {
	for i := range s.runs {
		d.Add(&s.runs[i])
	}
}

// batches returns an iterator over the samples, which lends their memory.
func (s *samples) batches() storage.BatchIterator { return &runIterator{runs: s.runs} }

type runIterator struct{ runs []storage.Batch }

func (it *runIterator) Err() error { return nil }

func (it *runIterator) Next(b *storage.Batch) bool {
	if len(it.runs) == 0 {
		return false
	}
	*b = it.runs[0]
	it.runs = it.runs[1:]
	return true
}
