package head

import (
	"fmt"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
)

// verdict is what becomes of a sample.
type verdict uint8

const (
	verdictRefused verdict = iota
	verdictNewest          // newer than everything that the series has
	verdictLate            // older, and admitted
	verdictSame            // there already
)

// Older answers for the samples that are not in the head any more: those of the
// blocks. It is asked only about samples that are older than what was cut from
// the head.
type Older interface {
	// Newest returns the time of the newest sample of a series.
	Newest(ls labels.Labels) (t int64, ok bool, err error)
	// At returns the sample of a series at t.
	At(ls labels.Labels, t int64) (s batch.Sample, ok bool, err error)
}

// inOrderFrom returns how new a sample must be for nothing but the newest one of its
// series to decide what becomes of it: see judgeLocked.
func (h *Head) inOrderFrom() int64 {
	from := max(h.boundary.Load(), h.staleEnd.Load()+1)
	newest, keep := h.maxTime.Load(), h.retention.Load()
	if keep > 0 && newest > minTime+keep {
		from = max(from, newest-keep)
	}
	return from
}

// inOrderLocked reports whether a sample at t is newer than all of the series; it may
// do without knowing. The caller holds the series' lock, and t is not before
// inOrderFrom.
func (s *series) inOrderLocked(t int64) bool {
	return s.more != nil && s.more.tracked && t > s.more.newest
}

// judgeLocked says what becomes of a sample, and why if it is refused. The
// caller holds the series' lock and the series is checked (see series). window
// is how late a sample may be, milliseconds.
func (h *Head) judgeLocked(s *series, in *batch.Sample, window int64) (verdict, error) {
	newest := h.maxTime.Load()
	if keep := h.retention.Load(); keep > 0 && newest != minTime && in.T < newest-keep {
		return verdictRefused, storage.ErrTooOld
	}
	known := s.trackLocked()
	cut := h.isLate(in.T)
	of := known
	if cut && in.T > of {
		t, ok, err := h.older.Newest(h.reg.labels(s))
		if err != nil {
			return verdictRefused, err
		}
		if ok {
			of = max(of, t)
		}
	}
	switch {
	case in.T > of:
		return verdictNewest, nil
	case window == 0 && in.T < of:
		return verdictRefused, storage.ErrOutOfOrder
	case window > 0 && newest > minTime+window && in.T < newest-window: // it may be the store's first transaction
		return verdictRefused, storage.ErrTooOld
	}
	have, ok, err := s.sampleAtLocked(in.T)
	if err == nil && !ok && cut {
		have, ok, err = h.older.At(h.reg.labels(s), in.T)
	}
	switch {
	case err != nil:
		return verdictRefused, err
	case ok && have.SameValue(in):
		return verdictSame, nil
	case ok || (in.T == known && in.T != s.floorLocked() && !cut): // the latter: a row with it is on its way
		return verdictRefused, storage.ErrDuplicateSample
	default:
		return verdictLate, nil
	}
}

// sampleAtLocked returns the sample at t that the series has in the head.
func (s *series) sampleAtLocked(t int64) (batch.Sample, bool, error) {
	for _, p := range s.placesLocked() {
		v := p.group.pin()
		have, ok, err := v.sampleAt(s, p.col, t)
		v.unpin()
		if ok || err != nil {
			return have, ok, err
		}
	}
	return s.looseLocked().find(t)
}

// sampleAt returns the sample of a series in a column at t.
func (v *groupView) sampleAt(s *series, col uint32, t int64) (out batch.Sample, ok bool, err error) {
	if !v.overlaps(s, col, t, t) {
		return out, false, nil
	}
	var it columnIterator
	it.reset(v, s, col, t, t, false)
	var b storage.Batch
	if it.Next(&b) {
		return batch.At(&b, 0), true, nil
	}
	return out, false, it.Err()
}

// validateHistogram refuses histograms that contradict themselves.
func validateHistogram(h *histogram.Histogram, fh *histogram.FloatHistogram) error {
	var err error
	switch {
	case (h == nil) == (fh == nil):
		err = fmt.Errorf("there must be one of integer and float histogram")
	case h != nil:
		err = h.Validate()
	default:
		err = fh.Validate()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", storage.ErrInvalidHistogram, err)
	}
	return nil
}

func copyCell(col uint32, h *histogram.Histogram, fh *histogram.FloatHistogram) histogramCell {
	c := histogramCell{col: col}
	if h != nil {
		c.h = h.Copy()
	}
	if fh != nil {
		c.fh = fh.Copy()
	}
	return c
}
