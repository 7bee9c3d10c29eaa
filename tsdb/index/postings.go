package index

import (
	"context"

	"github.com/RoaringBitmap/roaring/v2"
)

// Postings gives the series that have a label. Errors are those of reading a damaged file;
// a name or value that does not occur is none, and has the empty bitmap. Every bitmap
// returned belongs to the caller. Slices of strings are ascending, shared, and not to be
// changed.
type Postings interface {
	// All returns every series.
	All() (*roaring.Bitmap, error)
	// Name returns the series that have a label with the name.
	Name(name string) (*roaring.Bitmap, error)
	// Value returns the series that have the label.
	Value(name, value string) (*roaring.Bitmap, error)
	// AddValues adds to dst the series that have the name with any of the values.
	AddValues(ctx context.Context, dst *roaring.Bitmap, name string, values []string) error
	// AddMatching adds to dst the series that have the name with a value that begins with
	// prefix and for which match returns true.
	AddMatching(ctx context.Context, dst *roaring.Bitmap, name, prefix string, match func(value string) bool) error
	// Retain removes from set the series that have been taken out since All. A series that is
	// being taken out loses its labels one by one, and matchers that a missing label satisfies
	// would take it for one without them.
	Retain(set *roaring.Bitmap)
	// Names returns all label names.
	Names() ([]string, error)
	// Values returns all values of a name.
	Values(name string) ([]string, error)
	// ValuesIn returns the values that the name has in the series of set.
	ValuesIn(ctx context.Context, set *roaring.Bitmap, name string) ([]string, error)
	// NameIn says whether any series of set has the name.
	NameIn(set *roaring.Bitmap, name string) (bool, error)
}

// checkEvery is after how many steps a long loop looks at its context.
const checkEvery = 1024
