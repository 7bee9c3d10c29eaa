package promql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb"
)

// benchStore has targets with a counter for each of ten handlers, a classic
// histogram of ten buckets and two gauges, scraped every 15 seconds for hours.
// Most of it is in blocks.
func benchStore(b *testing.B, targets, hours int) *tsdb.DB {
	db, err := tsdb.Open(context.Background(), "data", tsdb.Options{
		FS: vfs.NewMem(), MaintenanceInterval: -1, WALSync: tsdb.WALSync{Never: true},
		Reloadable: tsdb.Reloadable{Retention: -1},
	})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	rng := rand.New(rand.NewPCG(1, 2))
	var groups []storage.Group
	for i := range targets {
		g, err := db.OpenGroup(storage.GroupOptions{})
		require.NoError(b, err)
		add := func(name string, pairs ...string) {
			pairs = append(pairs, model.MetricNameLabel, name, "instance", fmt.Sprintf("host-%d:9100", i), "job", "bench", "zone", fmt.Sprint(i%3))
			_, err := g.AddColumn(labels.FromStrings(pairs...))
			require.NoError(b, err)
		}
		for h := range 10 {
			add("http_requests_total", "handler", fmt.Sprintf("/api/%d", h))
		}
		for h := range 10 {
			add("latency_seconds_bucket", "le", fmt.Sprint(float64(h+1)/10))
		}
		add("memory_bytes")
		add("up")
		groups = append(groups, g)
	}
	values := make([][]float64, targets)
	for i := range values {
		values[i] = make([]float64, 22)
	}
	for row := range hours * 240 {
		for i, g := range groups {
			v := values[i]
			for c := range 20 {
				v[c] += float64(rng.IntN(20) * (1 + c%10))
			}
			v[20], v[21] = float64(rng.IntN(1<<30)), 1
			require.NoError(b, g.AppendRow(&storage.Row{T: benchBase + int64(row)*15_000 + int64(i*37%15_000), Values: v}))
		}
		if row%960 == 959 {
			require.NoError(b, db.Maintain(context.Background()))
		}
	}
	return db
}

const benchBase = int64(1_700_000_000_000) / 7_200_000 * 7_200_000

// benchQueries are kinds of queries of dashboards, rules and people.
var benchQueries = []string{
	`up`,
	`http_requests_total`,
	`rate(http_requests_total[5m])`,
	`sum(rate(http_requests_total[5m]))`,
	`sum by (instance) (rate(http_requests_total[5m]))`,
	`sum without (handler) (rate(http_requests_total[1m]))`,
	`avg by (zone) (memory_bytes)`,
	`count(up == 1)`,
	`max by (job) (memory_bytes) / 1024 / 1024`,
	`topk(5, sum by (instance) (rate(http_requests_total[5m])))`,
	`histogram_quantile(0.9, sum by (le, zone) (rate(latency_seconds_bucket[5m])))`,
	`sum by (instance) (rate(http_requests_total[5m])) / on (instance) memory_bytes`,
	`http_requests_total offset 1h`,
	`memory_bytes > 5e8 and on (instance) up == 1`,
	`avg_over_time(memory_bytes[30m])`,
	`max_over_time(rate(http_requests_total{handler="/api/1"}[5m])[30m:1m])`,
	`quantile(0.5, memory_bytes)`,
	`label_replace(up, "host", "$1", "instance", "(.*):.*")`,
	`deriv(memory_bytes[10m])`,
	`absent(nothing)`,
}

// processorTime returns the time that the process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure runs what is measured, and reports processor time beside the rest: a
// busy machine does not change that much.
func measure(b *testing.B, run func()) (used time.Duration) {
	b.ReportAllocs()
	began := processorTime()
	for b.Loop() {
		run()
	}
	used = processorTime() - began
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
	return used
}

// BenchmarkQueries runs the queries on our engine and on upstream's over the
// same database: as an instant, and over six hours in steps of a minute.
func BenchmarkQueries(b *testing.B) {
	db := benchStore(b, 100, 7)
	opts := Options{MaxSamples: 1 << 30}
	end := time.UnixMilli(benchBase + 7*3_600_000 - 60_000)
	engines := []struct {
		name string
		asked
	}{{"ours", New(opts, db)}, {"upstream", newOracle(opts, db)}}
	for _, expr := range benchQueries {
		for _, kind := range []string{"instant", "range"} {
			for _, e := range engines {
				b.Run(expr+"/"+kind+"/"+e.name, func(b *testing.B) {
					measure(b, func() {
						var r *Result
						var err error
						if kind == "instant" {
							r, err = e.Instant(context.Background(), expr, end, QueryOptions{})
						} else {
							r, err = e.Range(context.Background(), expr, end.Add(-6*time.Hour), end, time.Minute, QueryOptions{})
						}
						require.NoError(b, err)
						r.Close()
					})
				})
			}
		}
	}
}

// BenchmarkScan measures how many samples a second a function over all samples
// reads, with the decoding.
func BenchmarkScan(b *testing.B) {
	db := benchStore(b, 100, 7)
	e := New(Options{MaxSamples: 1 << 30}, db)
	end := time.UnixMilli(benchBase + 7*3_600_000 - 60_000)
	for _, expr := range []string{`sum(rate(http_requests_total[5m]))`, `sum(http_requests_total)`} {
		for _, step := range []time.Duration{time.Minute, 5 * time.Minute} {
			b.Run(fmt.Sprintf("%s/step=%s", expr, step), func(b *testing.B) {
				used := measure(b, func() {
					r, err := e.Range(context.Background(), expr, end.Add(-6*time.Hour), end, step, QueryOptions{})
					require.NoError(b, err)
					r.Close()
				})
				samples := 1000 * 6 * 240
				b.ReportMetric(float64(samples)*float64(b.N)/used.Seconds()/1e6, "Msamples/cpu-s")
			})
		}
	}
}

// BenchmarkOneSeries measures an instant query of one series.
func BenchmarkOneSeries(b *testing.B) {
	db := benchStore(b, 100, 3)
	opts := Options{}
	at := time.UnixMilli(benchBase + 3*3_600_000 - 60_000)
	for _, expr := range []string{`up{instance="host-7:9100"}`, `rate(http_requests_total{instance="host-7:9100",handler="/api/3"}[5m])`} {
		for _, e := range []struct {
			name string
			asked
		}{{"ours", New(opts, db)}, {"upstream", newOracle(opts, db)}} {
			b.Run(expr+"/"+e.name, func(b *testing.B) {
				measure(b, func() {
					r, err := e.Instant(context.Background(), expr, at, QueryOptions{})
					require.NoError(b, err)
					require.Len(b, r.Vector, 1)
					r.Close()
				})
			})
		}
	}
}
