package head

import (
	"context"
	"fmt"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// BenchmarkSelectFirst selects among a million series of a thousand targets, up
// to the first one that it gets, with its labels.
func BenchmarkSelectFirst(b *testing.B) {
	const targets, columns = 1000, 1000
	h := benchHead(b)
	for n := range targets {
		t := newBenchTarget(b, h, n, columns)
		for range 3 {
			require.NoError(b, t.group.AppendRow(t.next()))
		}
	}
	is := labels.MustNewMatcher
	for _, c := range []struct {
		name string
		ms   []*labels.Matcher
	}{
		{"equal", []*labels.Matcher{is(labels.MatchEqual, "__name__", "shop_http_request_7_duration_seconds_count")}},
		{"equal-pod", []*labels.Matcher{is(labels.MatchEqual, "__name__", "shop_http_request_7_duration_seconds_count"), is(labels.MatchEqual, "pod", "shop-7-7d9f8b6c5d-x0007")}},
		{"regexp", []*labels.Matcher{is(labels.MatchRegexp, "__name__", "shop_http_request_.*_duration_seconds_sum")}},
		{"regexp-pod", []*labels.Matcher{is(labels.MatchRegexp, "pod", ".*x.*77")}},
		{"all", []*labels.Matcher{is(labels.MatchEqual, "job", "shop")}},
	} {
		for _, sorted := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/sorted=%t", c.name, sorted), func(b *testing.B) {
				b.ReportAllocs()
				cpu := -cpuTime()
				for b.Loop() {
					q := h.Querier(0, 1<<40, minTime)
					set := q.Select(context.Background(), &storage.SelectHints{Sorted: sorted}, c.ms...)
					if !set.Next() || set.At().Labels().IsEmpty() {
						b.Fatal(set.Err())
					}
					require.NoError(b, q.Close())
				}
				b.ReportMetric(float64(cpu+cpuTime())/float64(b.N)/1e6, "cpu-ms/op")
			})
		}
	}
}
