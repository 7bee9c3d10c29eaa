package head

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// BenchmarkAppender appends transactions of 1000 samples, one of each of 1000
// series, as remote write does: with -cpu 2 two writers of different series at
// once.
func BenchmarkAppender(b *testing.B) {
	const series = 1000
	for _, by := range []string{"reference", "labels"} {
		b.Run(by, func(b *testing.B) {
			h := benchHead(b)
			var writers atomic.Int64
			b.ReportAllocs()
			cpu := -cpuTime()
			b.RunParallel(func(pb *testing.PB) {
				w := writers.Add(1)
				refs := make([]storage.SeriesRef, series)
				sets := make([]labels.Labels, series)
				for i := range sets {
					sets[i] = labels.FromStrings("__name__", fmt.Sprintf("metric_%d_total", i/10), "code", fmt.Sprint(i%10), "job", "shop",
						"instance", fmt.Sprintf("10.0.0.%d:9100", w), "pod", fmt.Sprintf("shop-7d9f8b6c5d-x%04d", w), "cluster", "production-eu-1")
				}
				value := 0.0
				for t := int64(15_000); pb.Next(); t += 15_000 {
					app := h.Appender(context.Background())
					for i := range refs {
						if i%7 == int(t/15_000)%7 {
							value++
						}
						ref, ls := refs[i], labels.EmptyLabels()
						if ref == 0 || by == "labels" {
							ref, ls = 0, sets[i]
						}
						var err error
						if refs[i], err = app.Append(ref, ls, t, value); err != nil {
							b.Error(err)
						}
					}
					if err := app.Commit(); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*series), "ns/sample")
			b.ReportMetric(float64(cpu+cpuTime())/float64(b.N*series), "cpu-ns/sample")
		})
	}
}

// BenchmarkGroups appends rows of 1000 columns to groups of their own: with
// -cpu 2 two writers at once.
func BenchmarkGroups(b *testing.B) {
	const columns = 1000
	h := benchHead(b)
	var writers atomic.Int64
	cpu := -cpuTime()
	b.RunParallel(func(pb *testing.PB) {
		t := newBenchTarget(b, h, int(writers.Add(1)), columns)
		rows := t.rows(256)
		var r storage.Row
		for i := 0; pb.Next(); i++ {
			r = rows[i%len(rows)]
			r.T = int64(i+1) * 15_000
			if err := t.group.AppendRow(&r); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*columns), "ns/sample")
	b.ReportMetric(float64(cpu+cpuTime())/float64(b.N*columns), "cpu-ns/sample")
}
