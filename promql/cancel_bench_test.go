package promql

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cancelQueries are queries each of which is busy with something else for most of its
// time.
var cancelQueries = []string{
	`http_requests_total`,
	`sum(rate(http_requests_total[5m]))`,
	`sum without (handler) (rate(http_requests_total[1h]))`,
	`http_requests_total + http_requests_total`,
	`http_requests_total * on (instance) group_left () up`,
	`http_requests_total and latency_seconds_bucket`,
	`http_requests_total or latency_seconds_bucket`,
	`topk(100, rate(http_requests_total[5m]))`,
	`quantile(0.9, rate(http_requests_total[5m]))`,
	`quantile_over_time(0.9, http_requests_total[1h])`,
	`count_values("value", http_requests_total)`,
	`histogram_quantile(0.9, rate(latency_seconds_bucket[5m]))`,
	`label_replace(http_requests_total, "host", "$1", "instance", "(.*):.*")`,
	`label_join(http_requests_total, "all", ",", "instance", "handler")`,
	`max_over_time(rate(http_requests_total[5m])[30m:1m])`,
	`deriv(http_requests_total[30m])`,
	`sort_by_label(http_requests_total, "instance")`,
	`{__name__=~".+"}`,
}

// BenchmarkCancel measures how long queries over 20,000 series go on once their context
// is canceled, 5, 10 and so on milliseconds after they began. The worst counts.
func BenchmarkCancel(b *testing.B) {
	db := benchStore(b, 2000, 2)
	e := New(Options{MaxSamples: 1 << 30, Timeout: time.Hour, Parser: scriptOptions().Parser}, db)
	end := time.UnixMilli(benchBase + 2*3_600_000 - 60_000)
	for _, expr := range cancelQueries {
		b.Run(expr, func(b *testing.B) {
			worst, canceled := time.Duration(0), 0
			for b.Loop() {
				for after := 5 * time.Millisecond; ; after += 5 * time.Millisecond {
					ctx, cancel := context.WithCancel(context.Background())
					var at time.Time
					timer := time.AfterFunc(after, func() {
						at = time.Now()
						cancel()
					})
					r, err := e.Range(ctx, expr, end.Add(-time.Hour), end, time.Minute, QueryOptions{})
					ended := time.Now()
					if timer.Stop() {
						cancel()
						r.Close()
						break // it is never so late
					}
					<-ctx.Done()
					if err == nil {
						r.Close()
						break
					}
					require.True(b, errors.Is(err, ErrCanceled), "%v", err)
					worst, canceled = max(worst, ended.Sub(at)), canceled+1
				}
			}
			b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
			b.ReportMetric(float64(canceled)/float64(b.N), "cancels/op")
		})
	}
}
