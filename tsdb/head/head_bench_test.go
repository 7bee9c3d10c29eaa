package head

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
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

// benchTarget is a target like the recorded ones: of its series six in ten are
// constant, two count up by integers now and then, the others always, and one in
// fifty is a float without an exact decimal.
type benchTarget struct {
	group storage.Group
	row   storage.Row
	rng   *rand.Rand
}

func newBenchTarget(b testing.TB, h *Head, n, columns int) *benchTarget {
	g, err := h.OpenGroup(storage.GroupOptions{Origin: fmt.Sprint(n)})
	require.NoError(b, err)
	t := &benchTarget{group: g, rng: rand.New(rand.NewPCG(uint64(n), 1))}
	t.row.Values = make([]float64, columns)
	for c := range columns {
		_, err := g.AddColumn(labels.FromStrings(
			model.MetricNameLabel, fmt.Sprintf("some_subsystem_metric_%d_total", c/10), "code", fmt.Sprint(200+c%10),
			"handler", "/api/v1/query_range", "instance", fmt.Sprintf("host-%d.example.com:9100", n), "job", "node"))
		require.NoError(b, err)
		t.row.Values[c] = float64(t.rng.IntN(1_000_000))
	}
	return t
}

func (t *benchTarget) next() *storage.Row {
	t.row.T += 15_000
	for c := range t.row.Values {
		switch {
		case c%50 == 49:
			t.row.Values[c] += t.rng.Float64()
		case c%10 >= 8:
			t.row.Values[c] += float64(t.rng.IntN(100))
		case c%10 >= 6 && t.rng.IntN(8) == 0:
			t.row.Values[c]++
		}
	}
	return &t.row
}

// BenchmarkAppendRow appends rows to one group, log and sealing included.
func BenchmarkAppendRow(b *testing.B) {
	for _, columns := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprintf("columns=%d", columns), func(b *testing.B) {
			h := benchHead(b)
			t := newBenchTarget(b, h, 0, columns)
			rows := make([]storage.Row, 256)
			for i := range rows {
				r := *t.next()
				r.Values = append([]float64(nil), r.Values...)
				rows[i] = r
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				r := rows[i%len(rows)]
				r.T = int64(i+1) * 15_000
				if err := t.group.AppendRow(&r); err != nil {
					b.Fatal(err)
				}
				if i%480 == 479 { // as after a cut: memory stays level
					b.StopTimer()
					require.NoError(b, h.Truncate(r.T, 0))
					b.StartTimer()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*columns), "ns/sample")
		})
	}
}

// BenchmarkMemory reports the heap per series of targets with two hours of rows.
func BenchmarkMemory(b *testing.B) {
	const targets, columns, rows = 100, 1000, 480
	for range b.N {
		var before, after runtime.MemStats
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
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(targets*columns), "B/series")
		runtime.KeepAlive(list)
		runtime.KeepAlive(h)
	}
}

// BenchmarkReplay opens a head from the log of 100 targets of 1000 series with
// 240 rows each.
func BenchmarkReplay(b *testing.B) {
	const targets, columns, rows = 100, 1000, 240
	dir := b.TempDir()
	h, err := Open(Options{FS: vfs.OS{}, Dir: dir, WAL: wal.Options{Sync: wal.SyncNever}})
	require.NoError(b, err)
	for n := range targets {
		t := newBenchTarget(b, h, n, columns)
		for range rows {
			if err := t.group.AppendRow(t.next()); err != nil {
				b.Fatal(err)
			}
		}
	}
	require.NoError(b, h.Close())
	b.ResetTimer()
	for range b.N {
		h, err := Open(Options{FS: vfs.OS{}, Dir: dir, WAL: wal.Options{Sync: wal.SyncNever}})
		require.NoError(b, err)
		require.NoError(b, h.Close())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*targets*columns*rows), "ns/sample")
}
