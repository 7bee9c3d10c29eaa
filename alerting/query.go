package alerting

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
)

// ErrNotVector is the error that a QueryFunc returns for an expression whose
// result is neither an instant vector nor a scalar.
var ErrNotVector = errors.New("rule result is not a vector or scalar")

// QueryFunc evaluates a PromQL expression at the instant t. A scalar result is
// returned as a vector of one sample without labels; any other type than these
// two fails with ErrNotVector. The vector belongs to the caller. It is called
// from many goroutines.
type QueryFunc func(ctx context.Context, expr string, t time.Time) (Vector, error)

// Sample is one element of an instant vector.
type Sample struct {
	Labels labels.Labels
	// T is the timestamp in milliseconds since the Unix epoch.
	T int64
	// V is the value, unless H is set.
	V float64
	// H is the value if it is a native histogram, else nil. It is not changed
	// by anybody who got the sample.
	H *histogram.FloatHistogram
}

// Vector is the result of an instant query, in the order in which the engine
// returned it.
type Vector []Sample
