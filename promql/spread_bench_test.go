package promql

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkSpread computes the series of a query by one goroutine and by several.
func BenchmarkSpread(b *testing.B) {
	db := benchStore(b, 250, 7)
	end := time.UnixMilli(benchBase + 7*3_600_000 - 60_000)
	for _, expr := range []string{`sum(rate(http_requests_total[5m]))`, `deriv(memory_bytes[10m])`, `max(memory_bytes)`} {
		for _, workers := range []int{1, 2, 4} {
			e := New(Options{MaxSamples: 1 << 40, Workers: workers}, db)
			b.Run(fmt.Sprintf("%s/workers=%d", expr, workers), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r, err := e.Range(context.Background(), expr, end.Add(-6*time.Hour), end, time.Minute, QueryOptions{})
					require.NoError(b, err)
					r.Close()
				}
			})
		}
	}
}
