package index

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
)

func benchIndex(series int) (*Symbols, *MemPostings) {
	symbols := NewSymbols()
	p := NewMemPostings(symbols)
	var pairs []Pair
	for id := range series {
		pairs = symbols.Intern(pairs[:0], labels.FromStrings(
			"__name__", fmt.Sprintf("metric_%d", id%1000), "instance", fmt.Sprintf("host-%d:9100", id/1000), "job", "node", "unique", fmt.Sprint(id)))
		p.Add(uint32(id), pairs)
	}
	return symbols, p
}

func BenchmarkMemory(b *testing.B) {
	const series = 100_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var symbols *Symbols
	var p *MemPostings
	for b.Loop() {
		symbols, p = benchIndex(series)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/series, "B/series")
	runtime.KeepAlive(symbols)
	runtime.KeepAlive(p)
}

func BenchmarkSelect(b *testing.B) {
	_, p := benchIndex(100_000)
	ctx := context.Background()
	for name, ms := range map[string][]*labels.Matcher{
		"name":            {labels.MustNewMatcher(labels.MatchEqual, "__name__", "metric_7")},
		"name and job":    {labels.MustNewMatcher(labels.MatchEqual, "__name__", "metric_7"), labels.MustNewMatcher(labels.MatchEqual, "job", "node")},
		"regexp":          {labels.MustNewMatcher(labels.MatchRegexp, "instance", "host-1.*")},
		"regexp over all": {labels.MustNewMatcher(labels.MatchRegexp, "unique", ".*77")},
		"not":             {labels.MustNewMatcher(labels.MatchEqual, "__name__", "metric_7"), labels.MustNewMatcher(labels.MatchNotEqual, "instance", "host-3:9100")},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Select(ctx, p, ms...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
