package promql

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb"
)

// BenchmarkMonth asks for 30 days at steps of an hour, of 50 counters and 50
// gauges that are scraped every 15 seconds, with rollups and without.
func BenchmarkMonth(b *testing.B) {
	db := rollupStore(b, func(o *tsdb.Options) {
		o.MinBlockDuration = 24 * time.Hour
		o.Rollups = []tsdb.Rollup{{Resolution: 5 * time.Minute}, {Resolution: time.Hour}}
	})
	g, err := db.OpenGroup(storage.GroupOptions{})
	require.NoError(b, err)
	const series = 100
	for i := range series {
		_, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, []string{"requests_total", "level"}[i%2], "i", fmt.Sprint(i)))
		require.NoError(b, err)
	}
	values := make([]float64, series)
	const samples = 30 * 24 * 240
	for n := range int64(samples) {
		for i := range values {
			if i%2 == 0 {
				values[i] += float64((n*int64(i+7))%11) * float64(i%5)
			} else {
				values[i] = float64((n/8*int64(i+3))%1000) / 10
			}
		}
		require.NoError(b, g.AppendRow(&storage.Row{T: testBase + n*15_000, Values: values}))
	}
	maintain(b, db)
	var raw, rolled int64
	for _, x := range db.Blocks() {
		raw += x.Bytes
	}
	rolled = db.RollupBytes()
	b.Logf("%d samples, %d bytes of blocks, %d bytes of rollups", samples*series, raw, rolled)
	with, without, used := engines(b, db)
	for _, expr := range []string{"rate(requests_total[1h])", "sum(increase(requests_total[1d]))", "max_over_time(level[1h])", "avg_over_time(level[6h])"} {
		q := question{expr: expr, start: testBase + testDay, end: testBase + 29*testDay, step: testHour}
		for name, e := range map[string]*Engine{"rollups": with, "samples": without} {
			b.Run(expr+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				used.read = 0
				for b.Loop() {
					r, err := e.Range(context.Background(), q.expr, time.UnixMilli(q.start), time.UnixMilli(q.end), time.Duration(q.step)*time.Millisecond, QueryOptions{})
					require.NoError(b, err)
					require.NotEmpty(b, r.Matrix)
					if name == "samples" {
						used.read += r.Stats.SamplesRead
					}
					r.Close()
				}
				b.ReportMetric(float64(used.read)/float64(b.N), "samples/op")
			})
		}
	}
}
