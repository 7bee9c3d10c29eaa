package scrape

import (
	"errors"
	"log/slog"

	"github.com/gnomonhq/gnomon/storage"
)

// refusals counts the samples of a scrape that the store refused.
type refusals struct {
	outOfOrder, duplicates, outOfBounds, exemplars, others int
	other                                                  error // one of the others
}

// count counts a refused sample. One that was expected to be refused because
// there is a newer one is not counted.
func (t *refusals) count(err error, expected bool) {
	switch {
	case errors.Is(err, storage.ErrOutOfOrder):
		if !expected {
			t.outOfOrder++
		}
	case errors.Is(err, storage.ErrDuplicateSample):
		if !expected {
			t.duplicates++
		}
	case errors.Is(err, storage.ErrTooOld), errors.Is(err, storage.ErrTooFarInFuture):
		t.outOfBounds++
	default:
		t.others++
		t.other = err
	}
}

// report adds to the metrics and logs.
func (t *refusals) report(m *metrics, log *slog.Logger) {
	m.outOfOrder.Add(float64(t.outOfOrder))
	m.duplicates.Add(float64(t.duplicates))
	m.outOfBounds.Add(float64(t.outOfBounds))
	m.exemplarsOutOfOrder.Add(float64(t.exemplars))
	if t.outOfOrder > 0 {
		log.Warn("the store refused out-of-order samples", "num_dropped", t.outOfOrder)
	}
	if t.duplicates > 0 {
		log.Warn("the store refused samples with another value for the same timestamp", "num_dropped", t.duplicates)
	}
	if t.outOfBounds > 0 {
		log.Warn("the store refused samples that are too old or too far in the future", "num_dropped", t.outOfBounds)
	}
	if t.exemplars > 0 {
		log.Debug("the store refused out-of-order exemplars", "num_dropped", t.exemplars)
	}
	if t.others > 0 {
		log.Warn("the store refused samples", "num_dropped", t.others, "err", t.other)
	}
}
