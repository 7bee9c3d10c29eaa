package storage

import (
	"context"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
)

// SeriesRef is a store's short name for a series. 0 is no series. A reference
// is valid as long as the store is open, but the store may forget a series that
// has no samples in memory: then the reference is unknown, never another
// series.
type SeriesRef uint64

// Column is the position of a series in the rows of a group, counted from 0.
type Column uint32

// Writer is the writing half of a store. It can be used by any number of
// goroutines.
type Writer interface {
	// OpenGroup makes a group without columns. Its rows share one timeline.
	OpenGroup(opts GroupOptions) (Group, error)
	// Appender begins a transaction of single samples.
	Appender(ctx context.Context) Appender
}

// GroupOptions describes a group to be opened.
type GroupOptions struct {
	// Origin says where the rows come from, for errors and for people: the job
	// and instance of a target, the file and name of a rule group. It need not
	// be unique and is not interpreted.
	Origin string
}

// Group is a set of series that get their samples together. A group is used by
// one goroutine at a time; different groups do not disturb each other.
type Group interface {
	// AddColumn returns the column of the series with the labels ls, and adds
	// the column if the group does not have it. A new column gets the lowest
	// number that is free, so numbers stay dense. It fails with
	// ErrInvalidLabels, ErrLabelLimit or ErrSeriesLimit.
	AddColumn(ls labels.Labels) (Column, error)
	// ReleaseColumn says that column c gets no more samples. Its number may be
	// given to another series by the next AddColumn. Write a staleness marker
	// first if the series should end. Releasing a released column does nothing.
	ReleaseColumn(c Column)
	// SetMetadata records the type, unit and help of a column's metric. It is
	// cheap if nothing changed.
	SetMetadata(c Column, m metadata.Metadata) error
	// AppendRow appends the samples of a row, all of them visible at once. The
	// error is a *RowError if some columns were refused and the rest was
	// appended; any other error means that nothing was appended.
	AppendRow(row *Row) error
	// Close ends the group: its columns are released. Its samples stay.
	Close() error
}

// Appender is a transaction of single samples. It is used by one goroutine and
// ends with Commit or Rollback. An error of an Append call concerns that sample
// only; the transaction goes on without it.
type Appender interface {
	// Append adds a float sample at t, milliseconds. If ref is not 0 and known,
	// ls is not looked at; otherwise ls names the series, which is made if it
	// is new. The returned reference may be used instead of ls from then on.
	Append(ref SeriesRef, ls labels.Labels, t int64, v float64) (SeriesRef, error)
	// AppendHistogram adds a native histogram; exactly one of h and fh is set.
	AppendHistogram(ref SeriesRef, ls labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (SeriesRef, error)
	// SetStartTime says that the sample of the series ref at t has the start
	// timestamp st, milliseconds. It comes right after the Append of the
	// sample.
	SetStartTime(ref SeriesRef, t, st int64) error
	// AppendExemplar adds an exemplar to the series ref.
	AppendExemplar(ref SeriesRef, e exemplar.Exemplar) error
	// SetMetadata records the type, unit and help of the metric of the series
	// ref.
	SetMetadata(ref SeriesRef, m metadata.Metadata) error
	// Commit makes the samples visible, all at once. Samples that turn out to
	// be refused only now (another writer was faster) are left out and counted
	// by the store; the error then wraps the first reason and the others are
	// appended. The appender cannot be used afterwards.
	Commit() error
	// Rollback forgets the samples. The appender cannot be used afterwards.
	Rollback() error
}
