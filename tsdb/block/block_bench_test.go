package block

import (
	"context"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	idx "github.com/gnomonhq/gnomon/tsdb/index"
)

func BenchmarkWrite(b *testing.B) {
	b.ReportAllocs()
	f := newFixture(1, 20, 200, 240)
	var meta Meta
	for b.Loop() {
		var err error
		if meta, err = f.write(vfs.NewMem(), WriterOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(meta.size(IndexFile))/float64(meta.Stats.NumSeries), "index-B/series")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(meta.Stats.NumSeries), "ns/series")
}

func BenchmarkRead(b *testing.B) {
	fsys := vfs.NewMem()
	f := newFixture(1, 20, 200, 240)
	r := mustOpen(b, fsys, f.mustWrite(b, fsys, WriterOptions{}))
	b.Run("series", func(b *testing.B) {
		b.ReportAllocs()
		var e SeriesEntry
		var builder labels.ScratchBuilder
		id := uint32(0)
		for b.Loop() {
			if err := r.Series(id%r.NumSeries(), &builder, &e); err != nil {
				b.Fatal(err)
			}
			id += 97
		}
	})
	b.Run("chunk", func(b *testing.B) {
		b.ReportAllocs()
		var e SeriesEntry
		require.NoError(b, r.Series(7, &labels.ScratchBuilder{}, &e))
		for b.Loop() {
			for i := range e.Chunks {
				if _, err := r.Chunk(&e.Chunks[i]); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("select", func(b *testing.B) {
		b.ReportAllocs()
		ms := []*labels.Matcher{
			labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "metric_100"),
			labels.MustNewMatcher(labels.MatchRegexp, "instance", "host-1.*"),
		}
		for b.Loop() {
			if _, err := idx.Select(context.Background(), r, ms...); err != nil {
				b.Fatal(err)
			}
		}
	})
}
