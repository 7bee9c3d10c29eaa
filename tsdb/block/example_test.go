package block_test

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

// A block with one series is written, opened and read.
func Example() {
	fsys, id := vfs.NewMem(), ulid.MustParse("01JAAAAAAAAAAAAAAAAAAAAAAA")
	w, err := block.NewWriter(fsys, "data", id, block.WriterOptions{})
	if err != nil {
		panic(err)
	}
	timeline, err := w.AddTimeline([]int64{1000, 2000, 3000})
	if err != nil {
		panic(err)
	}
	_, err = w.AddSeries(&block.Series{
		Labels: labels.FromStrings("__name__", "up", "job", "node"),
		Chunks: []block.Chunk{{Timeline: timeline, Rows: 3, Floats: []float64{1, 0, 1}}},
	})
	if err != nil {
		panic(err)
	}
	meta, err := w.Finish(block.Meta{MinTime: 1000, MaxTime: 3001, Compaction: block.Compaction{Level: 1}})
	if err != nil {
		panic(err)
	}
	fmt.Println(meta.Stats.NumSamples, "samples")

	r, err := block.Open(fsys, filepath.Join("data", id.String()), block.ReaderOptions{})
	if err != nil {
		panic(err)
	}
	defer r.Close()
	set, err := index.Select(context.Background(), r, labels.MustNewMatcher(labels.MatchEqual, "job", "node"))
	if err != nil {
		panic(err)
	}
	var e block.SeriesEntry
	var b labels.ScratchBuilder
	var dec encoding.Decoder
	for _, series := range set.ToArray() {
		if err := r.Series(series, &b, &e); err != nil {
			panic(err)
		}
		for i := range e.Chunks {
			c := &e.Chunks[i]
			data, err := r.Chunk(c)
			if err != nil {
				panic(err)
			}
			times, err := r.Timeline(c.Timeline)
			if err != nil {
				panic(err)
			}
			values, err := c.Floats(&dec, nil, data)
			fmt.Println(e.Labels, times[c.FirstRow:][:c.Rows], values, err)
		}
	}
	// Output:
	// 3 samples
	// {__name__="up", job="node"} [1000 2000 3000] [1 0 1] <nil>
}
