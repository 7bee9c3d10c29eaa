package storage

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
)

// Tenant names the owner of the data of a store. The zero value is the only
// tenant of a server that has no tenants.
type Tenant string

// Opener opens the store of a tenant. An implementation documents whether
// opening a tenant twice shares the store or fails.
type Opener interface {
	OpenStore(ctx context.Context, tenant Tenant) (Store, error)
}

// Store is the data of one tenant. Its methods can be used by any number of
// goroutines.
type Store interface {
	Writer
	Queryable
	Deleter
	// Close ends the store: it waits for running calls and refuses later ones.
	// Open queriers stay valid until they are closed.
	Close() error
}

// Deleter deletes samples.
type Deleter interface {
	// Delete deletes the samples with mint <= t <= maxt of the series that
	// match all of the matchers. It takes effect at once, for every querier
	// opened afterwards. At least one matcher must not match the empty string.
	Delete(ctx context.Context, mint, maxt int64, matchers ...*labels.Matcher) error
}
