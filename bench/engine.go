package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// Block ranges of every measurement: two hours of samples are cut into three blocks, which are
// then joined into one.
const (
	cutRange  = 40 * time.Minute
	joinRange = 2 * time.Hour
)

// engine is a storage engine under measure. It is used by one goroutine.
type engine interface {
	// open opens a folder, as the last process left it.
	open(dir string) error
	// target begins a target of the series. What it keeps of the labels is its own.
	target(origin string, columns int, series func(column int) labels.Labels) (target, error)
	// freeStale says, before open, that series that ended shall leave memory as soon as they are
	// this share of all series in memory, when the engine can do that.
	freeStale(share float64)
	// serverBlocks says, before open, that blocks have the ranges that a server's have.
	serverBlocks()
	// maintain writes and joins the blocks that are due.
	maintain() error
	// evaluator returns the query engine that belongs to the store.
	evaluator() (evaluator, error)
	// minute is called after each minute of samples, for what the engine does by the clock.
	minute() error
	// clientBytes is the memory that the engine's user needs to call it, not the engine.
	clientBytes() int
	// usage tells the bytes on disk.
	usage(dir string) (usage, error)
	// first selects the series that match and have samples in the range, and goes to the
	// first one.
	first(mint, maxt int64, ms ...*labels.Matcher) (found bool, err error)
	// cut moves the samples in [mint, maxt) from memory into blocks of cutRange. Nothing is
	// appended afterwards.
	cut(mint, maxt int64) error
	// join makes one block of those that cut made.
	join(mint, maxt int64) error
	// stored is the number of samples in the greatest block; ok is false if the engine does
	// not tell.
	stored() (samples int, ok bool)
	// singles appends a sample to each series, in one transaction. With references of an
	// earlier call the labels are not looked at; references that are 0 are filled in.
	singles(refs []uint64, series []labels.Labels, t int64, v float64) error
	close() error
}

// target takes the rows of one target.
type target interface {
	// append appends a row; slices are the caller's.
	append(row *storage.Row) error
	// replace gives a column to another series: the old one went stale. series may be kept.
	replace(column int, series func() labels.Labels) error
}

// usage is what a folder has on disk, bytes.
type usage struct {
	// log is the write-ahead log; samples the values and timestamps of blocks; index what
	// finds them.
	log, samples, index int64
}

// An engine's name is what the command line and the table call it.
const (
	ours     = "ours"
	upstream = "upstream"
	victoria = "victoria"
	// thanos is a query engine over Prometheus's database. Its measurements are in
	// a program of their own.
	thanos = "thanos"
)

func newEngine(name string) (engine, error) {
	switch name {
	case ours:
		return &gnomonEngine{}, nil
	case upstream:
		return &upstreamEngine{ctx: context.Background()}, nil
	case victoria:
		return &victoriaEngine{}, nil
	default:
		return nil, fmt.Errorf("no engine %q", name)
	}
}
