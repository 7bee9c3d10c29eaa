package main

import (
	"fmt"
	"runtime"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/bench/recording"
	"github.com/gnomonhq/gnomon/storage"
)

// interval is the time between two rows of a target, milliseconds; rowsPerMinute follows.
const (
	interval      = 15_000
	rowsPerMinute = 60_000 / interval
)

// ingest appends the rows of all targets, in the order in which scrapes would come, and leaves
// the folder as a crash would. The first row of each target is not measured: it makes the
// series.
//
//	ingest_ns      processor time per sample: log, memory, sealing, garbage collection
//	ingest_allocs  heap objects per sample
//	log_bytes      growth of the log per sample
//	memory_heap    live heap per series at the end
//	memory         resident memory that is not a file, per series at the end
func ingest(j job, e engine) (values, bool, error) {
	recs, err := j.recordings()
	if err != nil {
		return nil, false, err
	}
	targets := recording.Targets(recs, instances[j.Set]*j.Scale, labelCount)
	before, err := liveMemory()
	if err != nil {
		return nil, false, err
	}
	if err := e.open(j.Dir); err != nil {
		return nil, false, err
	}
	f := feed{start: j.Start, targets: targets}
	if err := f.begin(e); err != nil {
		return nil, false, err
	}
	base, err := e.usage(j.Dir)
	if err != nil {
		return nil, false, err
	}
	first := f.samples
	c, err := measureProfiled(j.Profile, func() error { return f.rows(e, 1, j.Rows) })
	if err != nil {
		return nil, false, err
	}
	after, err := liveMemory()
	if err != nil {
		return nil, false, err
	}
	used, err := e.usage(j.Dir)
	if err != nil {
		return nil, false, err
	}
	n, series := float64(f.samples-first), float64(f.series)
	v := values{
		"series": series, "samples": float64(f.samples),
		"ingest_ns":     float64(c.cpu) / n,
		"ingest_allocs": float64(c.allocs) / n,
		"memory_heap":   float64(after.heap-before.heap-int64(e.clientBytes())) / series,
		"memory":        float64(after.anon-before.anon-int64(e.clientBytes())) / series,
	}
	if used.log > 0 {
		v["log_bytes"] = float64(used.log-base.log) / n
	}
	if err := writeHeapProfile(j.Profile); err != nil {
		return nil, false, err
	}
	runtime.KeepAlive(f)
	if j.Engine == victoria { // it has no log: what is not flushed would be lost
		return v, false, e.close()
	}
	return v, true, nil
}

// feed appends the rows of targets to an engine.
type feed struct {
	start           int64
	targets         []*recording.Target
	sinks           []target
	series, samples int
}

// begin makes the targets and appends their first row.
func (f *feed) begin(e engine) error {
	for _, t := range f.targets {
		sink, err := e.target(t.Instance, t.Columns(), func(c int) labels.Labels { return t.Labels(c) })
		if err != nil {
			return fmt.Errorf("target %s: %w", t.Instance, err)
		}
		f.sinks = append(f.sinks, sink)
		f.series += t.Columns()
	}
	return f.rows(e, 0, 1)
}

// rows appends rows [from, to) of every target.
func (f *feed) rows(e engine, from, to int) error {
	var row storage.Row
	for i := from; i < to; i++ {
		for n, t := range f.targets {
			t.Row(i, &row)
			row.T = f.start + int64(i)*interval + int64(n*7919%interval) // a slot of its own
			if err := f.sinks[n].append(&row); err != nil {
				return fmt.Errorf("target %s, row %d: %w", t.Instance, i, err)
			}
			f.samples += countSamples(&row)
		}
		if i%rowsPerMinute == 0 {
			if err := e.minute(); err != nil {
				return err
			}
		}
	}
	return nil
}

func countSamples(row *storage.Row) int {
	if row.Present == nil {
		return len(row.Values)
	}
	return row.Present.Count()
}
