package storage

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
)

// Errors of writing. An implementation returns them wrapped, so compare with
// errors.Is.
var (
	// ErrOutOfOrder refuses a sample that is older than the newest sample of
	// its series and outside the store's out-of-order window.
	ErrOutOfOrder = errors.New("out of order sample")
	// ErrTooOld refuses a sample that is older than anything the store still
	// accepts, whatever its series has.
	ErrTooOld = errors.New("sample is older than the store accepts")
	// ErrDuplicateSample refuses a sample whose series has another value at the
	// same timestamp.
	ErrDuplicateSample = errors.New("duplicate sample for timestamp")
	// ErrTooFarInFuture refuses a sample that is further ahead of the clock
	// than the store accepts.
	ErrTooFarInFuture = errors.New("sample is too far in the future")
	// ErrSeriesLimit refuses a series that is new while the store is full of
	// series. Existing series are never refused for this reason.
	ErrSeriesLimit = errors.New("series limit reached")
	// ErrLabelLimit refuses a series that is new and has more labels, or longer
	// ones, than the store accepts.
	ErrLabelLimit = errors.New("label limit exceeded")
	// ErrInvalidLabels refuses a label set that is empty, or has an empty
	// value, a name twice, or bytes that are not UTF-8.
	ErrInvalidLabels = errors.New("invalid label set")
	// ErrInvalidHistogram refuses a native histogram whose spans and buckets
	// contradict each other.
	ErrInvalidHistogram = errors.New("invalid native histogram")
	// ErrOutOfOrderExemplar refuses an exemplar that is older than the newest
	// exemplar of its series.
	ErrOutOfOrderExemplar = errors.New("out of order exemplar")
	// ErrUnknownColumn refuses a row that has more columns than its group, or
	// a sample in a column that was released.
	ErrUnknownColumn = errors.New("unknown column")
	// ErrUnknownSeries refuses a sample that has a reference the store does not
	// know and no labels to make a series of.
	ErrUnknownSeries = errors.New("unknown series")
	// ErrNoSpace refuses every write while the disk is full. Writing resumes by
	// itself once there is space.
	ErrNoSpace = errors.New("no space left for the log")
)

// ErrClosed is returned by every call on a store, group, appender or querier
// after it was closed, committed or rolled back.
var ErrClosed = errors.New("already closed")

// RowError says which columns of a row were refused. The other columns of the
// row were appended.
type RowError struct {
	// Appended is the number of columns that were appended.
	Appended int
	// Refused has the refused columns in ascending order of the column.
	Refused []ColumnError
}

// ColumnError is the reason why one column of a row was refused.
type ColumnError struct {
	Column Column
	Labels labels.Labels
	Err    error
}

// Error names the number of refused columns and the first one of them.
func (e *RowError) Error() string {
	if len(e.Refused) == 0 {
		return "no column refused"
	}
	first := e.Refused[0]
	return fmt.Sprintf("%d of %d columns refused, the first is %s: %v",
		len(e.Refused), len(e.Refused)+e.Appended, first.Labels, first.Err)
}

// Unwrap returns the reasons of all refused columns, so that errors.Is finds
// any of them.
func (e *RowError) Unwrap() []error {
	errs := make([]error, len(e.Refused))
	for i := range e.Refused {
		errs[i] = e.Refused[i].Err
	}
	return errs
}
