package index

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
)

// benchIndex is the series of targets of 1000 series each, in the order in which targets are
// scraped for the first time. A series has ten labels: name, two of its own, seven of the target.
func benchIndex(targets int) (*LabelSets, *MemPostings, []LabelSet) {
	symbols := NewSymbols()
	sets := NewLabelSets(symbols)
	p := NewMemPostings(symbols)
	var pairs []Pair
	var all []LabelSet
	for t := range targets {
		for i := range 1000 {
			set := sets.Intern(labels.FromStrings(
				"__name__", fmt.Sprintf("metric_%d_total", i/10), "code", fmt.Sprint(200+i%10), "handler", fmt.Sprintf("/api/%d", i/100),
				"cluster", "production-eu-1", "container", "shop", "instance", fmt.Sprintf("10.0.%d.%d:9100", t/250, t%250), "job", fmt.Sprintf("job-%d", t/100),
				"namespace", fmt.Sprintf("team-%d", t%12), "node", fmt.Sprintf("node-%d.example.com", t%50), "pod", fmt.Sprintf("shop-%d-7d9f8b6c5d-x%04d", t%40, t)))
			pairs = sets.Pairs(pairs[:0], set)
			p.Add(uint32(len(all)), pairs)
			all = append(all, set)
		}
	}
	return sets, p, all
}

func BenchmarkMemory(b *testing.B) {
	const targets = 100
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var sets *LabelSets
	var p *MemPostings
	var all []LabelSet
	for b.Loop() {
		sets, p, all = benchIndex(targets)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(all)), "B/series")
	runtime.KeepAlive(sets)
	runtime.KeepAlive(p)
}

// BenchmarkIs compares the sets of a target with those of a writer, one after the other.
func BenchmarkIs(b *testing.B) {
	sets, _, all := benchIndex(10)
	var builder labels.ScratchBuilder
	lists := make([]labels.Labels, len(all))
	for i, set := range all {
		lists[i] = sets.Labels(set, &builder)
	}
	for i := 0; b.Loop(); i++ {
		if n := i % len(all); !sets.Is(all[n], lists[n]) {
			b.Fatal("another set")
		}
	}
}

// BenchmarkSelect selects among a million series.
func BenchmarkSelect(b *testing.B) {
	_, p, _ := benchIndex(1000)
	ctx := context.Background()
	is := func(typ labels.MatchType, name, value string) *labels.Matcher {
		return labels.MustNewMatcher(typ, name, value)
	}
	const eq, ne, re, nre = labels.MatchEqual, labels.MatchNotEqual, labels.MatchRegexp, labels.MatchNotRegexp
	name := is(eq, "__name__", "metric_7_total")
	for _, c := range []struct {
		name string
		ms   []*labels.Matcher
	}{
		{"name", []*labels.Matcher{name}},
		{"name-job", []*labels.Matcher{name, is(eq, "job", "job-3")}},
		{"name-pod", []*labels.Matcher{name, is(eq, "pod", "shop-7-7d9f8b6c5d-x0007")}},
		{"cluster", []*labels.Matcher{is(eq, "cluster", "production-eu-1")}},
		{"name-notequal", []*labels.Matcher{name, is(ne, "code", "200")}},
		{"name-prefix", []*labels.Matcher{name, is(re, "pod", "shop-7-.*")}},
		{"name-regexp", []*labels.Matcher{name, is(re, "pod", ".*x0.*7")}},
		{"name-notregexp", []*labels.Matcher{name, is(nre, "pod", ".*x0.*7")}},
		{"name-set", []*labels.Matcher{name, is(re, "pod", "shop-7-7d9f8b6c5d-x0007|shop-8-7d9f8b6c5d-x0008|shop-9-7d9f8b6c5d-x0009")}},
		{"name-any", []*labels.Matcher{name, is(re, "pod", ".*")}},
		{"name-some", []*labels.Matcher{name, is(re, "pod", ".+")}},
		{"regexp", []*labels.Matcher{is(re, "__name__", "metric_.*7_total")}},
		{"regexp-all", []*labels.Matcher{is(re, "__name__", "metric_[0-9]+_total")}},
		{"regexp-pods", []*labels.Matcher{is(re, "pod", ".*x0.*7")}},
		{"notregexp", []*labels.Matcher{is(nre, "pod", ".*x0.*7")}},
		{"notequal", []*labels.Matcher{is(ne, "pod", "shop-7-7d9f8b6c5d-x0007")}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set, err := Select(ctx, p, c.ms...)
				if err != nil || set.IsEmpty() {
					b.Fatal(set, err)
				}
			}
		})
	}
}
