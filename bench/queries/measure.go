package queries

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Engine is a database and the query engine that belongs to it. It is used by one
// goroutine.
type Engine interface {
	// AddTarget begins a target. Each of its series is given by its labels, names
	// and values in turn, in the order of names.
	AddTarget(name string, series [][]string) (Target, error)
	// Maintain writes and joins the blocks that are due.
	Maintain() error
	// Evaluate runs a query from start to end, or at end if step is 0, and returns
	// the number of series of the result and the sum of its values. A query that
	// the engine does not know costs no other if the error is
	// errors.ErrUnsupported.
	Evaluate(expr string, start, end time.Time, step time.Duration) (series int, sum float64, err error)
	Close() error
}

// Target takes the rows of a target.
type Target interface {
	// Append appends a row at t milliseconds, a value for each series. values is
	// the caller's.
	Append(t int64, values []float64) error
}

// Job says what to measure.
type Job struct {
	// Dir is the folder for the databases.
	Dir string
	// Start is the time of the first row, milliseconds.
	Start int64
	// Scale multiplies the targets of each store.
	Scale int
	// Tiny makes everything small: for tests.
	Tiny bool
}

// Measure fills each store and measures the queries over it, one after the other.
// open opens the engine on an empty folder. profiled runs what it is given, and
// may profile it under a name; nil just runs it. The values are
//
//	query_N_ms      least time of the runs
//	query_N_bytes   allocated by a run
//	query_N_allocs  allocations of a run
//	query_N_peak    greatest live heap during a run, above that before it, bytes
//	query_N_series, query_N_sum  what the result is, to compare
//
// There are none for queries that the engine does not know.
func Measure(j Job, open func(dir string) (Engine, error), profiled func(name string, work func() error) error) (map[string]float64, error) {
	if profiled == nil {
		profiled = func(_ string, work func() error) error { return work() }
	}
	m := measurement{job: j, profiled: profiled, values: map[string]float64{}}
	for _, d := range stores {
		if j.Tiny {
			d.span = min(d.span, time.Hour)
			d.targets = 2
		}
		d.targets *= j.Scale
		if err := m.store(&d, open); err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return m.values, nil
}

type measurement struct {
	job      Job
	profiled func(name string, work func() error) error
	values   map[string]float64
}

func (m *measurement) store(d *store, open func(dir string) (Engine, error)) error {
	e, err := open(filepath.Join(m.job.Dir, d.name))
	if err != nil {
		return err
	}
	end, err := d.fill(e, m.job.Start)
	if err != nil {
		return err
	}
	for i, q := range List {
		if q.Data != d.name {
			continue
		}
		if m.job.Tiny {
			q.Span = min(q.Span, 10*time.Minute)
		}
		if err := m.query(e, q, fmt.Sprintf("query_%02d", i), end); err != nil {
			return fmt.Errorf("query %d, %s: %w", i, q.Expr, err)
		}
	}
	return e.Close()
}

// A query runs at least queryRuns times, and is repeated for queryTime.
const (
	queryRuns = 2
	queryTime = 80 * time.Millisecond
)

// query measures a query, after a run that does not count.
func (m *measurement) query(e Engine, q Query, name string, end time.Time) error {
	start, step := end, time.Duration(0)
	if q.Span > 0 {
		start, step = end.Add(-q.Span), q.Step
	}
	v := m.values
	series, sum, err := e.Evaluate(q.Expr, start, end, step)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	v[name+"_series"], v[name+"_sum"] = float64(series), sum
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		v[name+"_sum"] = 0
	}
	least, runs := time.Duration(math.MaxInt64), 0
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	err = m.profiled(name, func() error {
		for begin := time.Now(); runs < queryRuns || time.Since(begin) < queryTime && !m.job.Tiny; runs++ {
			from := time.Now()
			if _, _, err := e.Evaluate(q.Expr, start, end, step); err != nil {
				return err
			}
			least = min(least, time.Since(from))
		}
		return nil
	})
	runtime.ReadMemStats(&after)
	v[name+"_ms"] = float64(least) / 1e6
	v[name+"_bytes"] = float64(after.TotalAlloc-before.TotalAlloc) / float64(runs)
	v[name+"_allocs"] = float64(after.Mallocs-before.Mallocs) / float64(runs)
	peak, peakErr := peakHeap(func() error {
		_, _, err := e.Evaluate(q.Expr, start, end, step)
		return err
	})
	v[name+"_peak"] = peak
	return errors.Join(err, peakErr)
}

// peakHeap returns the greatest heap during some work, above that before it. It
// collects garbage as soon as a tenth is garbage, so that little of the peak is.
func peakHeap(work func() error) (float64, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	heap := func() float64 {
		metrics.Read(sample)
		return float64(sample[0].Value.Uint64())
	}
	before := heap()
	done, peak := make(chan struct{}), make(chan float64)
	go func() {
		tick := time.NewTicker(200 * time.Microsecond)
		defer tick.Stop()
		most := before
		for {
			select {
			case <-tick.C:
				most = max(most, heap())
			case <-done:
				peak <- max(most, heap())
				return
			}
		}
	}()
	err := work()
	close(done)
	return <-peak - before, err
}
