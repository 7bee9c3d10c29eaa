package tsdb

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

// BenchmarkAppendBesideCompaction appends rows of a thousand columns while a block
// of two million samples is written anew all the time, and without.
func BenchmarkAppendBesideCompaction(b *testing.B) {
	for _, kind := range []string{"alone", "beside"} {
		b.Run(kind, func(b *testing.B) {
			ctx := context.Background()
			opts := testOptions(vfs.OS{})
			opts.MaxBlockDuration = 6 * time.Hour
			db, err := Open(ctx, b.TempDir(), opts)
			require.NoError(b, err)
			g, err := db.OpenGroup(storage.GroupOptions{Origin: "bench"})
			require.NoError(b, err)
			row := storage.Row{Values: make([]float64, 1000)}
			for i := range row.Values {
				_, err := g.AddColumn(lateLabels("a", i))
				require.NoError(b, err)
			}
			appendRow := func(n int) {
				row.T += 15_000
				for i := n % 4; i < len(row.Values); i += 4 { // a quarter changes
					row.Values[i]++
				}
				require.NoError(b, g.AppendRow(&row))
			}
			row.T = aligned
			for n := 0; row.T < aligned+12*hour; n++ {
				appendRow(n)
			}
			require.NoError(b, db.Maintain(ctx))
			done, joins := make(chan struct{}), 0
			var work sync.WaitGroup
			if kind == "beside" {
				work.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
						}
						db.working.Lock()
						if err := db.join(ctx, []ulid.ULID{db.blocks.readers()[0].Meta().ULID}); err != nil {
							b.Error(err)
						}
						db.working.Unlock()
						joins++
					}
				})
			}
			took := make([]time.Duration, 0, b.N)
			b.ResetTimer()
			for n := range b.N {
				start := time.Now()
				appendRow(n)
				took = append(took, time.Since(start))
			}
			b.StopTimer()
			close(done)
			work.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "µs-median")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "µs-p99")
			b.ReportMetric(float64(joins), "joins")
			require.NoError(b, db.Close())
		})
	}
}
