package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// queryData is a store that queries are measured over: targets whose rows fill a
// time range.
type queryData struct {
	name string
	// targets is the number of targets at scale 1, of 24 series each.
	targets  int
	span     time.Duration
	interval time.Duration
}

// queryStores are the stores, from many series of an hour to few of a month. At
// scale 16 the first has 96,000 series.
var queryStores = []queryData{
	{"hour", 250, time.Hour + 10*time.Minute, 15 * time.Second},
	{"day", 5, 24*time.Hour + 10*time.Minute, 15 * time.Second},
	{"month", 1, 30*24*time.Hour + 10*time.Minute, time.Minute},
}

// evaluator is a query engine over an engine's store.
type evaluator interface {
	// evaluate runs a query from start to end, or at end if step is 0, and
	// returns the number of series of the result and the sum of its values.
	evaluate(expr string, start, end time.Time, step time.Duration) (series int, sum float64, err error)
}

// query fills each store and measures the queries over it, one after the other.
//
//	query_N_ms      least time of the runs
//	query_N_bytes   allocated by a run
//	query_N_allocs  allocations of a run
//	query_N_peak    greatest live heap during a run, above that before it, bytes
//	query_N_series, query_N_sum  what the result is, to compare
func query(j job, e engine) (values, bool, error) {
	v := values{}
	for _, data := range queryStores {
		if j.Tiny {
			data.span = min(data.span, time.Hour)
			data.targets = 2
		}
		data.targets *= j.Scale
		if err := queryStore(j, e, data, v); err != nil {
			return nil, false, fmt.Errorf("%s: %w", data.name, err)
		}
		var err error
		if e, err = newEngine(j.Engine); err != nil {
			return nil, false, err
		}
	}
	return v, false, nil
}

func queryStore(j job, e engine, data queryData, v values) error {
	e.serverBlocks()
	if err := e.open(filepath.Join(j.Dir, data.name)); err != nil {
		return err
	}
	end, err := data.fill(e, j.Start)
	if err != nil {
		return err
	}
	ev, err := e.evaluator()
	if err != nil {
		return err
	}
	for i, q := range queryList {
		if q.data != data.name {
			continue
		}
		if j.Tiny {
			q.span = min(q.span, 10*time.Minute)
		}
		if err := q.measure(ev, fmt.Sprintf("query_%02d", i), end, j, v); err != nil {
			return fmt.Errorf("query %d, %s: %w", i, q.expr, err)
		}
	}
	return e.close()
}

// fill appends the rows of all targets, in order of time, lets the engine do its
// maintenance after each day, and returns the time of the last row.
func (d *queryData) fill(e engine, start int64) (end time.Time, err error) {
	targets := make([]*queryTarget, d.targets)
	for i := range targets {
		t := &queryTarget{r: rand.New(rand.NewPCG(uint64(i), 7))}
		t.values, t.growth = make([]float64, len(queryColumns)), make([]float64, len(queryColumns))
		for c := range t.growth {
			t.growth[c] = float64(1 + t.r.IntN(50))
		}
		if t.target, err = e.target(fmt.Sprint(i), len(queryColumns), func(c int) labels.Labels { return queryLabels(i, c) }); err != nil {
			return end, err
		}
		targets[i] = t
	}
	step, rows := d.interval.Milliseconds(), int(d.span/d.interval)
	day := int((24 * time.Hour) / d.interval)
	for row := range rows {
		t := start + int64(row)*step
		for _, target := range targets {
			if err := target.next(t); err != nil {
				return end, err
			}
		}
		end = time.UnixMilli(t)
		if row%day == day-1 {
			if err := e.maintain(); err != nil {
				return end, err
			}
		}
	}
	return end, e.maintain()
}

// queryTarget makes the rows of a target.
type queryTarget struct {
	target target
	r      *rand.Rand
	values []float64
	growth []float64
}

// next appends a row: counters grow at their own rate, a part of them not at all
// for a while, gauges wander.
func (q *queryTarget) next(t int64) error {
	observed := 0.0
	for c, column := range queryColumns {
		switch column.kind {
		case 'c':
			if q.r.IntN(4) > 0 {
				q.values[c] += float64(q.r.IntN(int(q.growth[c])))
			}
		case 'g':
			q.values[c] = math.Round((q.values[c]*0.95+q.r.NormFloat64()*q.growth[c])*1000) / 1000
		case 'b': // a bucket holds what the lower ones hold
			observed += q.r.Float64() * 3
			q.values[c] += math.Floor(observed)
		default:
			q.values[c] = 1
		}
	}
	return q.target.append(&storage.Row{T: t, Values: q.values})
}

// queryColumn is a series of each target.
type queryColumn struct {
	name, le, method, code string
	kind                   byte // 'c' is a counter, 'g' a gauge, 'b' a bucket, '1' a constant
}

// queryColumns are the series of a target.
var queryColumns = []queryColumn{
	{name: "http_requests_total", method: "GET", code: "200", kind: 'c'}, {name: "http_requests_total", method: "GET", code: "404", kind: 'c'},
	{name: "http_requests_total", method: "GET", code: "500", kind: 'c'}, {name: "http_requests_total", method: "POST", code: "200", kind: 'c'},
	{name: "http_requests_total", method: "POST", code: "404", kind: 'c'}, {name: "http_requests_total", method: "POST", code: "500", kind: 'c'},
	{name: "http_request_duration_seconds_bucket", le: "0.01", kind: 'b'}, {name: "http_request_duration_seconds_bucket", le: "0.05", kind: 'b'},
	{name: "http_request_duration_seconds_bucket", le: "0.1", kind: 'b'}, {name: "http_request_duration_seconds_bucket", le: "0.5", kind: 'b'},
	{name: "http_request_duration_seconds_bucket", le: "1", kind: 'b'}, {name: "http_request_duration_seconds_bucket", le: "5", kind: 'b'},
	{name: "http_request_duration_seconds_bucket", le: "+Inf", kind: 'b'}, {name: "http_request_duration_seconds_sum", kind: 'c'},
	{name: "http_request_duration_seconds_count", kind: 'c'}, {name: "process_cpu_seconds_total", kind: 'c'},
	{name: "process_resident_memory_bytes", kind: 'g'}, {name: "go_goroutines", kind: 'g'}, {name: "node_load1", kind: 'g'},
	{name: "queue_length", kind: 'g'}, {name: "temperature_celsius", kind: 'g'}, {name: "network_bytes_total", kind: 'c'},
	{name: "up", kind: '1'}, {name: "build_info", kind: '1'},
}

// queryLabels returns the labels of a column of a target.
func queryLabels(target, column int) labels.Labels {
	c := queryColumns[column]
	b := labels.NewBuilder(labels.FromStrings(
		model.MetricNameLabel, c.name, model.InstanceLabel, fmt.Sprintf("host-%d:9100", target),
		model.JobLabel, []string{"api", "web", "db"}[target%3], "zone", fmt.Sprintf("zone-%d", target%7)))
	for name, value := range map[string]string{"le": c.le, "method": c.method, "code": c.code} {
		if value != "" {
			b.Set(name, value)
		}
	}
	if c.name == "build_info" {
		b.Set("version", fmt.Sprintf("1.%d", target%5))
	}
	return b.Labels()
}

// queryRuns are at least how often a query runs, and queryTime is how long it is
// repeated.
const (
	queryRuns = 2
	queryTime = 80 * time.Millisecond
)

// measure runs a query, after once that does not count.
func (q *querySpec) measure(ev evaluator, name string, end time.Time, j job, v values) error {
	start, step := end, time.Duration(0)
	if q.span > 0 {
		start, step = end.Add(-q.span), q.step
	}
	series, sum, err := ev.evaluate(q.expr, start, end, step)
	if err != nil {
		return err
	}
	v[name+"_series"], v[name+"_sum"] = float64(series), sum
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		v[name+"_sum"] = 0
	}
	file := ""
	if j.Profile != "" {
		file = j.Profile + "." + name
	}
	least, runs := time.Duration(math.MaxInt64), 0
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	_, err = measureProfiled(file, func() error {
		for begin := time.Now(); runs < queryRuns || time.Since(begin) < queryTime && !j.Tiny; runs++ {
			from := time.Now()
			if _, _, err := ev.evaluate(q.expr, start, end, step); err != nil {
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
		_, _, err := ev.evaluate(q.expr, start, end, step)
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
