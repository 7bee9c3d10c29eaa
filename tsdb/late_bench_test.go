package tsdb

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

func lateLabels(job string, i int) labels.Labels {
	return labels.FromStrings(model.MetricNameLabel, fmt.Sprintf("metric_%d", i%50), "job", job, "instance", fmt.Sprint(i%7), "i", fmt.Sprint(i),
		"namespace", "default", "pod", fmt.Sprintf("pod-%d", i%20), "container", "main")
}

// BenchmarkLate appends rows that are older than what was cut from the head: of
// series that only blocks have, of series that have newer samples, and what the
// blocks have already.
func BenchmarkLate(b *testing.B) {
	const series, step = 1000, 15_000
	for _, kind := range []string{"unknown", "behind", "same"} {
		b.Run(kind, func(b *testing.B) {
			opts := testOptions(vfs.NewMem())
			opts.OutOfOrderWindow, opts.MaxBlockDuration = 12*time.Hour, 2*time.Hour
			opts.WALSync.Never, opts.NoLockfile = true, true
			db := openDB(b, opts)
			open := func(job string) (storage.Group, *storage.Row) {
				g, err := db.OpenGroup(storage.GroupOptions{Origin: job})
				require.NoError(b, err)
				for i := range series {
					_, err := g.AddColumn(lateLabels(job, i))
					require.NoError(b, err)
				}
				return g, &storage.Row{Values: make([]float64, series)}
			}
			g, row := open("a")
			for row.T = aligned; row.T < aligned+8*hour; row.T += step {
				require.NoError(b, g.AppendRow(row))
			}
			require.NoError(b, db.Maintain(context.Background()))
			require.Len(b, db.Blocks(), 3)
			from := aligned + 2*hour
			switch kind {
			case "unknown":
				g, row = open("b")
			case "behind":
				from++
			}
			row.T = from
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if row.T += step; row.T >= aligned+4*hour {
					row.T = from + 1
				}
				require.NoError(b, g.AppendRow(row))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*series), "ns/sample")
			b.StopTimer()
			require.NoError(b, db.Close())
		})
	}
}
