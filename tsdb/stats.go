package tsdb

import (
	"time"

	"github.com/oklog/ulid/v2"
)

// Stats describe the head, for people who look for what costs them memory.
type Stats struct {
	Head HeadStats
	// SeriesByMetric, ValuesByLabel, BytesByLabel and SeriesByPair have the
	// greatest entries, descending: the series of each metric name, the values
	// of each label name, the bytes of the values of each label name, the
	// series of each label pair ("name=value").
	SeriesByMetric []Stat
	ValuesByLabel  []Stat
	BytesByLabel   []Stat
	SeriesByPair   []Stat
}

// HeadStats are the totals of the head.
type HeadStats struct {
	Series int
	// LabelPairs is the number of different label pairs.
	LabelPairs int
	Chunks     int
	// MinTime and MaxTime bound the samples, milliseconds; MinTime is
	// math.MaxInt64 and MaxTime math.MinInt64 if there are none.
	MinTime, MaxTime int64
}

// Stat is a name with a count.
type Stat struct {
	Name  string
	Value uint64
}

// BlockInfo describes a loaded block.
type BlockInfo struct {
	ULID ulid.ULID
	// MinTime is inclusive and MaxTime exclusive, milliseconds.
	MinTime, MaxTime int64
	Samples          uint64
	Series           uint64
	Chunks           uint64
	// Level is how often the block's samples went through compaction; a block
	// cut from the head has 1.
	Level int
	// Sources are the blocks of level 1 that the block was made of.
	Sources []ulid.ULID
	// Bytes is the size on disk.
	Bytes int64
}

// ReplayStatus says how far reading the log at start is: see Options.OnReplay.
type ReplayStatus struct {
	// Min and Max are the first and last segment to read, Current the one
	// being read. All are 0 before it is known.
	Min, Current, Max int
	// Bytes of TotalBytes of the log have been read.
	Bytes, TotalBytes int64
	// Open says that the database takes samples.
	Open bool
	// Done says that the replay has ended.
	Done bool
	// Duration is how long it took, or has taken.
	Duration time.Duration
}
