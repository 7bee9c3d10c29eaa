package promql

import (
	"context"
	"errors"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/promql/exec"
	"github.com/gnomonhq/gnomon/storage"
)

// rolledQueryable is a store in which the selectors of rolled calls find their
// results.
type rolledQueryable struct {
	store storage.Queryable
	// calls are evaluated from rollups. Those that turn out to need samples are
	// added to except.
	calls  []*rolledCall
	except map[int]bool
	// maxSamples bounds the results of a call.
	maxSamples int
}

// Querier opens a snapshot that has the windows of the calls too.
func (q *rolledQueryable) Querier(mint, maxt int64) (storage.Querier, error) {
	for _, c := range q.calls {
		mint, maxt = min(mint, c.windows.First-c.windows.Range), max(maxt, c.windows.Last)
	}
	inner, err := q.store.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return rolledQuerier{inner, q}, nil
}

type rolledQuerier struct {
	storage.Querier
	query *rolledQueryable
}

// Select returns the results of a call if the matchers are those of one.
func (q rolledQuerier) Select(ctx context.Context, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	call := find(q.query.calls, ms)
	if call == nil {
		return q.Querier.Select(ctx, hints, ms...)
	}
	var set storage.SeriesSet
	if call.instant {
		set = call.selInstant(ctx, q.Querier, hints, q.query.maxSamples, exec.ErrTooManySamples)
	} else {
		set = call.sel(ctx, q.Querier, q.query.maxSamples, exec.ErrTooManySamples)
	}
	return rolledSeriesSet{set, call, q.query}
}

// rolledSeriesSet notes that a call needs samples.
type rolledSeriesSet struct {
	storage.SeriesSet
	call  *rolledCall
	query *rolledQueryable
}

// Err returns what ended the sequence early.
func (s rolledSeriesSet) Err() error {
	err := s.SeriesSet.Err()
	if errors.Is(err, errNeedsSamples) {
		s.query.except[s.call.ordinal] = true
	}
	return err
}
