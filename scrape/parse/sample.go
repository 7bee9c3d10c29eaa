package parse

import (
	"errors"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// Errors that fail a scrape.
var (
	// ErrSampleLimit says that a body has more samples than Options.SampleLimit.
	ErrSampleLimit = errors.New("sample limit exceeded")
	// ErrBucketLimit says that a native histogram has more buckets than
	// Options.BucketLimit and no resolution to give.
	ErrBucketLimit = errors.New("histogram bucket limit exceeded")
)

// sample is one sample of a body.
type sample struct {
	hash      uint64
	size      int
	value     float64
	h         *histogram.Histogram
	fh        *histogram.FloatHistogram
	t, start  int64
	timed     bool
	exemplars []exemplar.Exemplar
}

// labeler knows what is needed of a sample only if its series is new.
type labeler interface {
	// exposedLabels returns the labels that the target exposes.
	exposedLabels() labels.Labels
	// familyID returns the number of the family that was announced last.
	familyID() uint32
}

// add makes a line that goes away again if the body fails.
func (s *Scrape) add(l *Layout, n line) uint32 {
	id := l.add(n)
	s.made = append(s.made, id)
	return id
}

// mark notes that the body has the line id, and reports whether it has it for
// the second time.
func (s *Scrape) mark(id uint32) (again bool) {
	s.seen = s.seen.Grow(int(id) + 1)
	again = s.seen.Has(storage.Column(id))
	s.seen.Set(storage.Column(id))
	return again
}

// take takes a sample into the row, or to those with timestamps. It returns the
// line of the series, start if it has none, and whether the line is new.
func (s *Scrape) take(l *Layout, opts *Options, smp *sample, from labeler) (id uint32, isNew bool, err error) {
	s.Total++
	s.again = false
	id = l.index.find(l.lines, smp.hash)
	if id == start {
		return s.create(l, opts, smp, from)
	}
	return id, false, s.takeKnown(l, opts, id, smp, from)
}

// takeKnown takes a sample of the line id. It does not look at the hash and the
// size of the sample.
func (s *Scrape) takeKnown(l *Layout, opts *Options, id uint32, smp *sample, from labeler) error {
	again := s.mark(id)
	s.again = again
	n := &l.lines[id]
	if n.column == markDropped {
		return nil
	}
	s.Kept++
	if again && !smp.timed {
		s.Duplicates++
		return nil
	}
	if ok, err := s.limitBuckets(opts, smp); !ok || err != nil {
		return s.uncount(err)
	}
	switch {
	case smp.timed:
		if again && n.column < firstMark {
			// The body had the series without a timestamp before, so the row
			// has its column, which the line is about to lose to a side.
			s.sideCols = s.sideCols.Grow(int(n.column) + 1)
			s.sideCols.Set(storage.Column(n.column))
		}
		return s.takeTimed(l, opts, id, smp, from)
	case n.column < firstMark:
		s.put(n.column, smp)
		return nil
	default:
		return s.takeSide(l, opts, id, smp, from)
	}
}

// create takes the first sample of a series.
func (s *Scrape) create(l *Layout, opts *Options, smp *sample, from labeler) (id uint32, isNew bool, err error) {
	ls, err := opts.Admit(from.exposedLabels())
	if err != nil {
		return start, false, err
	}
	n := line{hash: smp.hash, size: uint32(smp.size)}
	if ls.IsEmpty() {
		n.column = markDropped
		id = s.add(l, n)
		s.mark(id)
		return id, true, nil
	}
	s.Kept++
	if opts.SampleLimit > 0 && s.stored() > opts.SampleLimit {
		// The rest is counted only.
		s.overLimit = true
		return start, false, nil
	}
	if ok, err := s.limitBuckets(opts, smp); !ok || err != nil {
		return start, false, s.uncount(err)
	}
	family := l.seriesFamily(ls, from.familyID())
	if smp.timed {
		n.column, n.about = markSide, l.newSide(side{column: noColumn, family: family})
		id = s.add(l, n)
		s.Timed = append(s.Timed, TimedSample{Labels: ls, line: id, isNew: true})
		s.Timed[len(s.Timed)-1].set(smp, s.Total)
	} else {
		n.column, n.about = markFresh, uint32(len(s.fresh))
		id = s.add(l, n)
		s.fresh = append(s.fresh, newSeries(id, ls, family, smp))
		s.fresh[len(s.fresh)-1].counted = true
	}
	s.mark(id)
	s.SeriesAdded++
	return id, true, nil
}

func newSeries(id uint32, ls labels.Labels, family uint32, smp *sample) NewSeries {
	n := NewSeries{Labels: ls, line: id, family: family, value: smp.value, start: smp.start, h: smp.h, fh: smp.fh}
	n.exemplars = append(n.exemplars, smp.exemplars...)
	return n
}

func (n *NewSeries) sample() *sample {
	return &sample{value: n.value, h: n.h, fh: n.fh, start: n.start, exemplars: n.exemplars}
}

// notOf marks the number of a family that a series was announced under and does not
// belong to: that is not looked at again.
const notOf = 1 << 31

// hasFamily reports whether the number of a family says that a series has one.
func hasFamily(family uint32) bool { return family != 0 && family&notOf == 0 }

// seriesFamily returns the family if the series belongs to it, else that it does not.
func (l *Layout) seriesFamily(ls labels.Labels, family uint32) uint32 {
	if family != 0 {
		if f := l.families.get(family); f.hasSeries(ls.Get(model.MetricNameLabel)) {
			return family
		}
		return family | notOf
	}
	return 0
}

// familyOfSeries returns where the family of a known series is noted; nil if the line
// has none.
func (l *Layout) familyOfSeries(id uint32) *uint32 {
	n := &l.lines[id]
	switch {
	case n.column == markSide:
		return &l.sides[n.about].family
	case n.column >= firstMark:
		return nil
	}
	return &n.about
}

// mayAdopt reports whether a known series may belong to the family that was announced
// before it, and is not known to or not to.
func (l *Layout) mayAdopt(id, announced uint32) bool {
	family := l.familyOfSeries(id)
	return family != nil && announced != 0 && *family&^notOf != announced
}

// adopt makes a known series one of the family that was announced before it, if it
// belongs there: the body before may not have had the family's comments, or had them
// elsewhere.
func (s *Scrape) adopt(l *Layout, opts *Options, id uint32, from labeler) {
	family, announced := l.familyOfSeries(id), from.familyID()
	if family == nil || *family == announced {
		return
	}
	// The labels were admitted when the series was new.
	ls, err := opts.Admit(from.exposedLabels())
	if err != nil {
		return
	}
	switch found := l.seriesFamily(ls, announced); {
	case hasFamily(found):
		*family = found
		l.families.changed = append(l.families.changed, found)
	case !hasFamily(*family):
		*family = found
	}
}

// takeTimed takes a sample with a timestamp of a known series.
func (s *Scrape) takeTimed(l *Layout, opts *Options, id uint32, smp *sample, from labeler) error {
	t := TimedSample{line: id}
	if n := &l.lines[id]; n.column == markFresh {
		// The body has the series without and with a timestamp.
		t.Labels = s.fresh[n.about].Labels
	} else if known := l.toSide(id); known.ref != 0 {
		t.Ref = known.ref
	} else {
		ls, err := opts.Admit(from.exposedLabels())
		if err != nil {
			return err
		}
		t.Labels = ls
		// The store may have refused its samples so far.
		if t.isNew = known.column == noColumn && !s.again; t.isNew {
			s.SeriesAdded++
		}
	}
	t.set(smp, s.Total)
	s.Timed = append(s.Timed, t)
	return nil
}

func (t *TimedSample) set(smp *sample, ordinal int) {
	t.T, t.Start, t.Value, t.Histogram, t.FloatHistogram = smp.t, smp.start, smp.value, smp.h, smp.fh
	t.Exemplars = append(t.Exemplars, smp.exemplars...)
	t.ordinal = ordinal
}

// takeSide takes a sample without a timestamp of a series that several lines
// stand for, or that had timestamps before.
func (s *Scrape) takeSide(l *Layout, opts *Options, id uint32, smp *sample, from labeler) error {
	n := &l.lines[id]
	known := l.sides[n.about]
	if known.column == noColumn {
		ls, err := opts.Admit(from.exposedLabels())
		if err != nil {
			return err
		}
		s.fresh = append(s.fresh, newSeries(id, ls, known.family, smp))
		return nil
	}
	c := storage.Column(known.column)
	if !s.sideCols.Has(c) {
		s.sideCols = s.sideCols.Grow(int(c) + 1)
		s.sideCols.Set(c)
		s.put(known.column, smp)
		return nil
	}
	// Another line was first. Prometheus keeps the first value too.
	s.Duplicates++
	return nil
}

// put puts a sample into the row.
func (s *Scrape) put(column uint32, smp *sample) {
	c := storage.Column(column)
	if smp.h != nil || smp.fh != nil {
		s.Row.Histograms = append(s.Row.Histograms, storage.HistogramSample{Column: c, Histogram: smp.h, FloatHistogram: smp.fh})
	} else {
		s.Row.Values[c] = smp.value
	}
	if smp.start != 0 {
		s.setStart(c, smp.start)
	}
	for _, e := range smp.exemplars {
		s.Row.Exemplars = append(s.Row.Exemplars, storage.ExemplarSample{Column: c, Exemplar: e})
	}
}

// remove takes what put put of a column out of the row.
func (s *Scrape) remove(column uint32) {
	c := storage.Column(column)
	s.Row.Histograms = slices.DeleteFunc(s.Row.Histograms, func(h storage.HistogramSample) bool { return h.Column == c })
	s.Row.Exemplars = slices.DeleteFunc(s.Row.Exemplars, func(e storage.ExemplarSample) bool { return e.Column == c })
	if s.starts && int(c) < len(s.startTimes) {
		s.startTimes[c] = 0
	}
}

func (s *Scrape) setStart(c storage.Column, t int64) {
	if !s.starts {
		s.starts = true
		clear(s.startTimes[:cap(s.startTimes)])
	}
	for len(s.startTimes) <= int(c) {
		s.startTimes = append(s.startTimes, 0)
	}
	s.startTimes[c] = t
}

// limitBuckets reduces the resolution of a histogram to the limits. If that does
// not do it, ok is false, and the scrape is going to fail, but its samples are
// counted to the end.
func (s *Scrape) limitBuckets(opts *Options, smp *sample) (ok bool, err error) {
	switch {
	case smp.h != nil:
		err = limitHistogram(opts, smp.h, &smp.h.Schema, func() int { return len(smp.h.PositiveBuckets) + len(smp.h.NegativeBuckets) })
	case smp.fh != nil:
		err = limitHistogram(opts, smp.fh, &smp.fh.Schema, func() int { return len(smp.fh.PositiveBuckets) + len(smp.fh.NegativeBuckets) })
	}
	if errors.Is(err, ErrBucketLimit) {
		s.overBuckets = true
		return false, nil
	}
	return true, err
}

// uncount makes a sample with an error one that was not kept: what is counted of a
// body that is refused ends before the error.
func (s *Scrape) uncount(err error) error {
	if err != nil {
		s.Kept--
	}
	return err
}

func limitHistogram(opts *Options, h interface{ ReduceResolution(int32) error }, schema *int32, buckets func() int) error {
	if histogram.IsExponentialSchemaReserved(*schema) && *schema > opts.MaxSchema {
		if err := h.ReduceResolution(opts.MaxSchema); err != nil {
			return err
		}
	}
	if opts.BucketLimit <= 0 {
		return nil
	}
	if buckets() > opts.BucketLimit && !histogram.IsExponentialSchema(*schema) {
		return ErrBucketLimit
	}
	for buckets() > opts.BucketLimit {
		if *schema <= histogram.ExponentialSchemaMin {
			return ErrBucketLimit
		}
		if err := h.ReduceResolution(*schema - 1); err != nil {
			return err
		}
	}
	return nil
}
