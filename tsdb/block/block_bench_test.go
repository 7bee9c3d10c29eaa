package block

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
	idx "github.com/gnomonhq/gnomon/tsdb/index"
)

// fleet is pods times 100 metrics series with ten labels: a counter each that moves from time
// to time.
type fleet struct{ pods, rows int }

func (f fleet) labels(b *labels.ScratchBuilder, metric, pod int) labels.Labels {
	b.Reset()
	b.Add(model.MetricNameLabel, fmt.Sprintf("metric_%03d_total", metric))
	b.Add("cluster", "prod")
	b.Add("code", fmt.Sprint(200+100*(metric%4)))
	b.Add("container", "server")
	b.Add("instance", fmt.Sprintf("10.%d.%d.%d:9100", pod>>16, pod>>8&255, pod&255))
	b.Add("job", fmt.Sprintf("job-%d", pod%17))
	b.Add("namespace", fmt.Sprintf("team-%d", pod%29))
	b.Add("node", fmt.Sprintf("node-%d", pod%200))
	b.Add("pod", fmt.Sprintf("server-%08x", uint32(pod)*2654435761))
	b.Add("zone", fmt.Sprint("z", pod%3))
	return b.Labels()
}

func (f fleet) write(tb testing.TB, fsys vfs.FS) Meta {
	tb.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	w, err := NewWriter(fsys, parent, testID, WriterOptions{})
	require.NoError(tb, err)
	values, times := make([]float64, f.rows), make([]int64, f.rows)
	for pod := range f.pods {
		for i := range times {
			times[i] = int64(i*15000 + pod)
		}
		_, err := w.AddTimeline(times)
		require.NoError(tb, err)
	}
	b := labels.NewScratchBuilder(10)
	// The order of the instances is that of their strings.
	pods := make([]int, f.pods)
	for pod := range pods {
		pods[pod] = pod
	}
	slices.SortFunc(pods, func(i, j int) int { return Compare(f.labels(&b, 0, i), f.labels(&b, 0, j)) })
	for metric := range 100 {
		for _, pod := range pods {
			v := float64(rng.IntN(1000))
			for i := range values {
				if rng.IntN(8) == 0 {
					v += float64(rng.IntN(metric + 1))
				}
				values[i] = v
			}
			chunks := []Chunk{{Timeline: uint32(pod), Rows: uint32(f.rows), Floats: values}}
			if _, err := w.AddSeries(&Series{Labels: f.labels(&b, metric, pod), Chunks: chunks}); err != nil {
				tb.Fatal(err)
			}
		}
	}
	meta, err := w.Finish(Meta{MaxTime: 1})
	require.NoError(tb, err)
	return meta
}

// million is a block of a million series of four rows.
var million = sync.OnceValue(func() vfs.FS {
	fsys := vfs.NewMem()
	fleet{10_000, 4}.write(&testing.B{}, fsys)
	return fsys
})

func BenchmarkWrite(b *testing.B) {
	for _, f := range []fleet{{20, 480}, {320, 480}} {
		b.Run(fmt.Sprintf("series=%d/rows=%d", 100*f.pods, f.rows), func(b *testing.B) {
			b.ReportAllocs()
			var meta Meta
			for b.Loop() {
				meta = f.write(b, vfs.NewMem())
			}
			samples := float64(meta.Stats.NumSamples)
			b.ReportMetric(float64(meta.size(IndexFile))/float64(meta.Stats.NumSeries), "index-B/series")
			b.ReportMetric(float64(meta.size(DataFile))/samples, "data-B/sample")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/samples, "ns/sample")
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	fsys, dir := million(), filepath.Join(parent, testID.String())
	b.ReportAllocs()
	for b.Loop() {
		mustOpen(b, fsys, dir).Close()
	}
}

// BenchmarkSelect selects from a million series.
func BenchmarkSelect(b *testing.B) {
	r := mustOpen(b, million(), filepath.Join(parent, testID.String()))
	equal, regex := labels.MatchEqual, labels.MatchRegexp
	for name, ms := range map[string][]*labels.Matcher{
		"equal=10k":           {labels.MustNewMatcher(equal, model.MetricNameLabel, "metric_050_total")},
		"equal=100":           {labels.MustNewMatcher(equal, "pod", "server-3c6ef362")},
		"equal=59k":           {labels.MustNewMatcher(equal, "job", "job-3")},
		"equal=588":           {labels.MustNewMatcher(equal, model.MetricNameLabel, "metric_050_total"), labels.MustNewMatcher(equal, "job", "job-3")},
		"regex=prefix/588":    {labels.MustNewMatcher(equal, model.MetricNameLabel, "metric_050_total"), labels.MustNewMatcher(regex, "instance", `10\.0\.3\d\..*`)},
		"regex=suffix/62k":    {labels.MustNewMatcher(regex, "pod", ".*f")},
		"regex=all but/1M":    {labels.MustNewMatcher(labels.MatchNotRegexp, "pod", ".*ff")},
		"regex=everything/1M": {labels.MustNewMatcher(regex, "instance", ".+:9100")},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n := uint64(0)
			for b.Loop() {
				set, err := idx.Select(context.Background(), r, ms...)
				if err != nil {
					b.Fatal(err)
				}
				n = set.GetCardinality()
			}
			b.ReportMetric(float64(n), "series")
		})
	}
}

// BenchmarkRead reads series of a block.
func BenchmarkRead(b *testing.B) {
	fsys := vfs.NewMem()
	f := fleet{100, 480}
	f.write(b, fsys)
	dir := filepath.Join(parent, testID.String())
	var e SeriesEntry
	var builder labels.ScratchBuilder
	var dec encoding.Decoder
	var values []float64
	run := func(name string, opts ReaderOptions, step uint32, chunks bool) {
		b.Run(name, func(b *testing.B) {
			r, err := Open(fsys, dir, opts)
			require.NoError(b, err)
			b.ReportAllocs()
			samples, id := 0, uint32(0)
			for b.Loop() {
				if err := r.Series(id%r.NumSeries(), &builder, &e); err != nil {
					b.Fatal(err)
				}
				id += step
				for i := range e.Chunks {
					if !chunks {
						break
					}
					d, err := r.Chunk(&e.Chunks[i])
					if err == nil {
						values, err = e.Chunks[i].Floats(&dec, values[:0], d)
					}
					if err != nil {
						b.Fatal(err)
					}
					samples += len(values)
				}
			}
			if samples > 0 {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(samples), "ns/sample")
			}
		})
	}
	run("series=next", ReaderOptions{}, 1, false)
	run("series=any", ReaderOptions{}, 977, false)
	run("series=any/cold", ReaderOptions{DirectoryCacheBytes: 1}, 977, false)
	run("values=next", ReaderOptions{}, 1, true)
	run("values=any", ReaderOptions{}, 977, true)
	run("values=any/cold", ReaderOptions{DirectoryCacheBytes: 1}, 977, true)
}

// BenchmarkMillion writes a million series and tells how much that allocates, files included.
func BenchmarkMillion(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		fsys := vfs.NewMem()
		meta := fleet{10_000, 4}.write(b, fsys)
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/1e6, "alloc-MB")
		b.ReportMetric(float64(meta.size(IndexFile))/float64(meta.Stats.NumSeries), "index-B/series")
	}
}
