package scan

import (
	"context"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/tsdb/block"
)

// metadataSeries is how many series of a metric are looked at when all metrics
// are asked for: nearly always its series have the same metadata, and a block may
// have millions of them.
const metadataSeries = 8

// Metadata returns the metadata of the series of a metric; an empty name means
// all of them, of each of which a few series are looked at.
func (q *Querier) Metadata(ctx context.Context, name string) (map[string][]metadata.Metadata, error) {
	out := map[string][]metadata.Metadata{}
	r, names := q.block.Reader, []string{name}
	if name == "" {
		var err error
		if names, err = r.Values(model.MetricNameLabel); err != nil {
			return nil, err
		}
	}
	var entry block.SeriesEntry
	builder := labels.NewScratchBuilder(16)
	for _, metric := range names {
		ids, err := r.Value(model.MetricNameLabel, metric)
		if err != nil {
			return nil, err
		}
		if name == "" {
			ids = someOf(ids, metadataSeries)
		}
		for it := ids.Iterator(); it.HasNext(); {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := r.Series(it.Next(), &builder, &entry); err != nil {
				return nil, err
			}
			if m := entry.Metadata; m != (metadata.Metadata{}) && !slices.Contains(out[metric], m) {
				out[metric] = append(out[metric], m)
			}
		}
	}
	return out, nil
}

// someOf returns n members of a set, evenly.
func someOf(set *roaring.Bitmap, n uint64) *roaring.Bitmap {
	size := set.GetCardinality()
	if size <= n {
		return set
	}
	out := roaring.New()
	for i := range n {
		if id, err := set.Select(uint32(i * (size - 1) / (n - 1))); err == nil {
			out.Add(id)
		}
	}
	return out
}
