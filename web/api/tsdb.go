package api

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
)

// TSDB knows the state of the local database. It is used by any number of
// goroutines.
type TSDB interface {
	// Stats returns what is in memory. The lists have the limit greatest
	// entries, in descending order.
	Stats(ctx context.Context, limit int) (TSDBStats, error)
	// Blocks returns the blocks in ascending order of their time.
	Blocks(ctx context.Context) ([]Block, error)
	// WALReplay returns how far the replay of the write-ahead log is. It is
	// called while the server is not ready.
	WALReplay() WALReplay
}

// TSDBAdmin changes the local database. It is used by any number of goroutines.
type TSDBAdmin interface {
	// Delete deletes the samples with mint <= t <= maxt, milliseconds, of the
	// series that match all of the matchers.
	Delete(ctx context.Context, mint, maxt int64, matchers ...*labels.Matcher) error
	// CleanTombstones reclaims the space of what was deleted.
	CleanTombstones(ctx context.Context) error
	// Snapshot writes a copy of the database into the folder snapshots/name of
	// the data folder; what is in memory only if withHead is true.
	Snapshot(ctx context.Context, name string, withHead bool) error
}

// TSDBStats is the content of the head.
type TSDBStats struct {
	// NumSeries and NumLabelPairs count the series in memory and the different
	// pairs of label name and value among them.
	NumSeries     uint64
	NumLabelPairs int
	// ChunkCount counts the column chunks in memory.
	ChunkCount int64
	// MinTime and MaxTime are those of the samples in memory, milliseconds.
	MinTime, MaxTime int64

	SeriesByMetricName     []Cardinality
	ValuesByLabelName      []Cardinality
	BytesByLabelName       []Cardinality
	SeriesByLabelValuePair []Cardinality // named name=value
}

// Cardinality is the count of something that has a name.
type Cardinality struct {
	Name  string
	Value uint64
}

// Block describes a block as Prometheus's meta.json does.
type Block struct {
	ULID             string
	MinTime, MaxTime int64 // milliseconds
	Stats            BlockStats
	Compaction       BlockCompaction
	// Version is that of the block's format.
	Version int
}

// BlockStats counts what is in a block. Counts that are 0 are left out of the
// response.
type BlockStats struct {
	Samples, FloatSamples, HistogramSamples, Series, Chunks, Tombstones uint64
}

// BlockCompaction says how a block came to be.
type BlockCompaction struct {
	Level     int
	Sources   []string // ULIDs
	Deletable bool
	Parents   []BlockParent
	Failed    bool
	Hints     []string
}

// BlockParent is a block that another one was made of.
type BlockParent struct {
	ULID             string
	MinTime, MaxTime int64 // milliseconds
}

// WALReplay says how far the replay of the write-ahead log is: segments Min to
// Max are replayed, Current is at work.
type WALReplay struct {
	Min, Max, Current int
}
