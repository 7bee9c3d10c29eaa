package head

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// benchHead is a head whose log lies in a folder of the machine.
func benchHead(b testing.TB) *Head {
	h, err := Open(Options{FS: vfs.OS{}, Dir: b.TempDir(), WAL: wal.Options{Sync: wal.SyncNever}})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, h.Close()) })
	return h
}

// BenchmarkAppendRow appends rows to one group, log and sealing included.
func BenchmarkAppendRow(b *testing.B) {
	for _, columns := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprintf("columns=%d", columns), func(b *testing.B) {
			h := benchHead(b)
			t := newBenchTarget(b, h, 0, columns)
			rows := t.rows(256)
			b.ReportAllocs()
			b.ResetTimer()
			cpu := -cpuTime()
			var r storage.Row
			for i := range b.N {
				r = rows[i%len(rows)]
				r.T = int64(i+1) * 15_000
				if err := t.group.AppendRow(&r); err != nil {
					b.Fatal(err)
				}
				if i%480 == 479 { // as after a cut: memory stays level
					b.StopTimer()
					cpu += cpuTime()
					require.NoError(b, h.Truncate(r.T, 0))
					cpu -= cpuTime()
					b.StartTimer()
				}
			}
			cpu += cpuTime()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*columns), "ns/sample")
			b.ReportMetric(float64(cpu)/float64(b.N*columns), "cpu-ns/sample")
		})
	}
}

// cpuTime returns the processor time of the process so far, which other
// processes disturb less than the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMemory reports the heap per series of targets with two hours of rows,
// everything counted: what writers hold of a series, too.
func BenchmarkMemory(b *testing.B) {
	for _, columns := range []int{50, 200, 1000} {
		b.Run(fmt.Sprintf("columns=%d", columns), func(b *testing.B) { benchMemory(b, 100_000/columns, columns) })
	}
}

func benchMemory(b *testing.B, targets, columns int) {
	const rows = 480
	for range b.N {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&before)
		h := benchHead(b)
		list := make([]*benchTarget, targets)
		for n := range list {
			list[n] = newBenchTarget(b, h, n, columns)
		}
		for range rows {
			for _, t := range list {
				if err := t.group.AppendRow(t.next()); err != nil {
					b.Fatal(err)
				}
			}
		}
		for _, t := range list {
			t.steps, t.rng = nil, nil // a scraper has neither
		}
		runtime.GC()
		runtime.GC() // what pools keep goes with the second
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(targets*columns), "B/series")
		runtime.KeepAlive(list)
		runtime.KeepAlive(h)
	}
}

// BenchmarkCheckpoint writes checkpoints of 20 targets of 1000 series with 240 rows.
func BenchmarkCheckpoint(b *testing.B) {
	const targets, columns, rows = 20, 1000, 240
	h := benchHead(b)
	for n := range targets {
		t := newBenchTarget(b, h, n, columns)
		for range rows {
			require.NoError(b, t.group.AppendRow(t.next()))
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	cpu := -cpuTime()
	for range b.N {
		require.NoError(b, h.Checkpoint(context.Background(), minTime))
	}
	cpu += cpuTime()
	size, _, err := h.LogSizes()
	require.NoError(b, err)
	b.ReportMetric(float64(cpu)/float64(b.N*targets*columns*rows), "cpu-ns/sample")
	b.ReportMetric(float64(size)/(targets*columns*rows), "B/sample")
}

// BenchmarkReplay opens a head from the log of targets of 1000 series, a scrape of all
// after the other: once with many rows a series, as after two hours, and once with few, so
// that the definitions weigh. It reports the processor time per sample and when the head
// took samples.
func BenchmarkReplay(b *testing.B) {
	for _, size := range []struct{ targets, rows int }{{60, 400}, {240, 70}} {
		b.Run(fmt.Sprintf("series=%d/rows=%d", size.targets*1000, size.rows), func(b *testing.B) {
			const columns = 1000
			dir := b.TempDir()
			h, err := Open(Options{FS: vfs.OS{}, Dir: dir, WAL: wal.Options{Sync: wal.SyncNever}})
			require.NoError(b, err)
			list := make([]*benchTarget, size.targets)
			for n := range list {
				list[n] = newBenchTarget(b, h, n, columns)
			}
			for range size.rows {
				for _, t := range list {
					require.NoError(b, t.group.AppendRow(t.next()))
				}
			}
			require.NoError(b, h.Close())
			h, list = nil, nil
			runtime.GC()
			b.ResetTimer()
			var opened time.Duration
			var cpu time.Duration
			for range b.N {
				start, used := time.Now(), cpuTime()
				h, err := Open(Options{FS: vfs.OS{}, Dir: dir, WAL: wal.Options{Sync: wal.SyncNever}, Background: true})
				require.NoError(b, err)
				opened += time.Since(start)
				require.NoError(b, h.WaitReplayed(context.Background()))
				cpu += cpuTime() - used
				require.NoError(b, h.Close())
			}
			samples := float64(b.N * size.targets * columns * size.rows)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/samples, "ns/sample")
			b.ReportMetric(float64(cpu.Nanoseconds())/samples, "cpu-ns/sample")
			b.ReportMetric(opened.Seconds()*1000/float64(b.N), "ms-to-open")
		})
	}
}
