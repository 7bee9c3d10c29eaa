package storage

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
)

// Estimate is about how much a select finds.
type Estimate struct {
	// Series and Samples are counts, Bytes is what the samples take where they are.
	Series, Samples, Bytes int64
}

// Estimator is a Querier that tells from its index, without reading samples, about
// how much a select would find. The number of series is an upper limit of those that
// match; samples and bytes are their share of all.
type Estimator interface {
	Estimate(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) (Estimate, error)
}
