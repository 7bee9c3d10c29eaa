package head

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// estimatedSeries is of how many series Estimate looks at the rows of their groups.
const estimatedSeries = 64

// sampleBytes is about what a sample takes in the head.
const sampleBytes = 1

// Estimate implements storage.Estimator. Rows are counted for some of the series,
// and the others count alike.
func (q *Querier) Estimate(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) (storage.Estimate, error) {
	mint, maxt = max(q.mint, mint), min(q.maxt, maxt)
	s := q.selection(ctx, mint, maxt, ms)
	if s.err != nil {
		return storage.Estimate{}, s.err
	}
	s.inOrderOfNumber()
	var rows, looked int64
	for s.Next() && looked < estimatedSeries {
		looked++
		for _, p := range append([]placeView{s.at.place}, s.at.others...) {
			if p.view != nil {
				rows += p.view.countRows(max(mint, q.rowMint), maxt)
			}
		}
		if s.at.loose {
			s.at.series.mu.Lock()
			loose := s.at.series.looseLocked().view(q.txn)
			s.at.series.mu.Unlock()
			rows += loose.countRows(mint, maxt)
		}
	}
	if s.err != nil || looked == 0 {
		return storage.Estimate{}, s.err
	}
	n := int64(s.ids.GetCardinality())
	samples := rows * n / looked
	return storage.Estimate{Series: n, Samples: samples, Bytes: samples * sampleBytes}, nil
}

// countRows returns about how many samples there are with mint <= t <= maxt: those
// of a chunk are taken to lie evenly.
func (v *looseView) countRows(mint, maxt int64) int64 {
	n := len(v.tailSamples(mint, maxt))
	for i := range v.chunks {
		c := &v.chunks[i]
		if within := min(maxt, c.maxt) - max(mint, c.mint) + 1; within > 0 {
			n += int(float64(c.rows) * float64(within) / float64(c.maxt-c.mint+1))
		}
	}
	return int64(n)
}

// countRows returns the number of rows with mint <= t <= maxt.
func (v *groupView) countRows(mint, maxt int64) int64 {
	lo, hi := spanOf(v.window.times, mint, maxt)
	n := hi - lo
	for _, s := range v.segments {
		if s.maxt() >= mint && s.mint() <= maxt {
			lo, hi := s.span(mint, maxt)
			n += hi - lo
		}
	}
	return int64(n)
}
