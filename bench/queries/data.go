package queries

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// store is what queries are measured over: targets whose rows fill a time range.
type store struct {
	name string
	// targets is the number of targets at scale 1, of len(columns) series each.
	targets  int
	span     time.Duration
	interval time.Duration
}

// stores are the stores, from many series of an hour to few of a month. At scale
// 16 the first has 96,000 series.
var stores = []store{
	{"hour", 250, time.Hour + 10*time.Minute, 15 * time.Second},
	{"day", 5, 24*time.Hour + 10*time.Minute, 15 * time.Second},
	{"month", 1, 30*24*time.Hour + 10*time.Minute, time.Minute},
}

// fill appends the rows of all targets, in order of time, lets the engine do its
// maintenance after each day, and returns the time of the last row.
func (d *store) fill(e Engine, start int64) (end time.Time, err error) {
	made := make([]*madeTarget, d.targets)
	for i := range made {
		if made[i], err = makeTarget(e, i); err != nil {
			return end, err
		}
	}
	step, rows := d.interval.Milliseconds(), int(d.span/d.interval)
	daily := int(day / d.interval)
	for row := range rows {
		t := start + int64(row)*step
		for _, m := range made {
			if err := m.next(t); err != nil {
				return end, err
			}
		}
		end = time.UnixMilli(t)
		if row%daily == daily-1 {
			if err := e.Maintain(); err != nil {
				return end, err
			}
		}
	}
	return end, e.Maintain()
}

// madeTarget makes the rows of a target.
type madeTarget struct {
	target Target
	r      *rand.Rand
	values []float64
	growth []float64
}

func makeTarget(e Engine, i int) (*madeTarget, error) {
	m := &madeTarget{r: rand.New(rand.NewPCG(uint64(i), 7))}
	m.values, m.growth = make([]float64, len(columns)), make([]float64, len(columns))
	series := make([][]string, len(columns))
	for c := range columns {
		m.growth[c] = float64(1 + m.r.IntN(50))
		series[c] = columns[c].labels(i)
	}
	var err error
	m.target, err = e.AddTarget(fmt.Sprint(i), series)
	return m, err
}

// next appends a row: counters grow at their own rate, a part of them not at all
// for a while, gauges wander.
func (m *madeTarget) next(t int64) error {
	observed := 0.0
	for c, column := range columns {
		switch column.kind {
		case 'c':
			if m.r.IntN(4) > 0 {
				m.values[c] += float64(m.r.IntN(int(m.growth[c])))
			}
		case 'g':
			m.values[c] = math.Round((m.values[c]*0.95+m.r.NormFloat64()*m.growth[c])*1000) / 1000
		case 'b': // a bucket holds what the lower ones hold
			observed += m.r.Float64() * 3
			m.values[c] += math.Floor(observed)
		default:
			m.values[c] = 1
		}
	}
	return m.target.Append(t, m.values)
}

// column is a series of each target.
type column struct {
	name, le, method, code string
	kind                   byte // 'c' is a counter, 'g' a gauge, 'b' a bucket, '1' a constant
}

// columns are the series of a target.
var columns = []column{
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

// labels returns the labels of the column of a target, names and values in turn,
// in the order of names.
func (c *column) labels(target int) []string {
	pairs := [][2]string{
		{"__name__", c.name}, {"code", c.code}, {"instance", fmt.Sprintf("host-%d:9100", target)},
		{"job", []string{"api", "web", "db"}[target%3]}, {"le", c.le}, {"method", c.method},
	}
	if c.name == "build_info" {
		pairs = append(pairs, [2]string{"version", fmt.Sprintf("1.%d", target%5)})
	}
	pairs = append(pairs, [2]string{"zone", fmt.Sprintf("zone-%d", target%7)})
	pairs = slices.DeleteFunc(pairs, func(p [2]string) bool { return p[1] == "" })
	var list []string
	for _, p := range pairs {
		list = append(list, p[0], p[1])
	}
	return list
}
