package scan

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

// Estimate implements storage.Estimator. Series count alike, and samples as if they
// lay evenly in the range of the block.
func (q *Querier) Estimate(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) (storage.Estimate, error) {
	ids, err := index.Select(ctx, q.block.Reader, ms...)
	if err != nil {
		return storage.Estimate{}, err
	}
	meta := q.block.Reader.Meta()
	n := int64(ids.GetCardinality())
	share := float64(n) / float64(max(meta.Stats.NumSeries, 1))
	from, to := max(mint, q.mint, meta.MinTime), min(maxt, q.maxt, meta.MaxTime-1)
	share *= float64(max(to-from+1, 0)) / float64(max(meta.MaxTime-meta.MinTime, 1))
	return storage.Estimate{
		Series: n, Samples: int64(share * float64(meta.Stats.NumSamples)), Bytes: int64(share * float64(q.block.Reader.Size())),
	}, nil
}
