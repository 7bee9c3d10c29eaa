package wal

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

// scrapeRows makes rows like those of a scrape in which one column of changing changes.
func scrapeRows(columns, rows, changing int) []*storage.Row {
	rng := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, columns)
	for c := range values {
		values[c] = float64(rng.IntN(1000))
	}
	out := make([]*storage.Row, rows)
	for i := range out {
		for c := range values {
			if rng.IntN(changing) == 0 {
				values[c] += float64(rng.IntN(100))
			}
		}
		out[i] = &storage.Row{T: int64(i) * 15000, Values: append([]float64(nil), values...)}
	}
	return out
}

func BenchmarkRows(b *testing.B) {
	for _, changing := range []int{4, 7, 100} {
		const columns, rows = 1000, 256
		all := scrapeRows(columns, rows, changing)
		var payloads [][]byte
		total := 0
		enc := NewRowEncoder(1)
		for _, row := range all {
			p, err := enc.append(nil, row, 1)
			require.NoError(b, err)
			enc.base = crcOf(p)
			payloads = append(payloads, p)
			total += len(p) + frameHeader
		}
		b.Run(fmt.Sprintf("encode/changed=1 in %d", changing), func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			var err error
			cpu := cpuTime()
			for b.Loop() {
				for _, row := range all {
					if buf, err = enc.append(buf[:0], row, 1); err != nil {
						b.Fatal(err)
					}
				}
			}
			reportSample(b, rows*columns)
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N*rows*columns), "cpu-ns/sample")
			b.ReportMetric(float64(total)/(rows*columns), "B/sample")
		})
		b.Run(fmt.Sprintf("decode/changed=1 in %d", changing), func(b *testing.B) {
			b.ReportAllocs()
			dec := NewRowDecoder()
			for b.Loop() {
				for _, p := range payloads {
					if _, _, err := dec.Decode(p); err != nil {
						b.Fatal(err)
					}
				}
			}
			reportSample(b, rows*columns)
		})
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, policy := range []SyncPolicy{SyncInterval, SyncAlways} {
		b.Run(fmt.Sprintf("sync=%d", policy), func(b *testing.B) {
			b.ReportAllocs()
			w, err := Open(vfs.OS{}, b.TempDir(), Options{Sync: policy})
			require.NoError(b, err)
			all := scrapeRows(1000, 256, 7)
			b.RunParallel(func(pb *testing.PB) {
				enc := NewRowEncoder(1)
				for i := 0; pb.Next(); i++ {
					batch := w.Begin()
					batch.Row(enc, all[i%len(all)])
					if _, err := batch.Commit(); err != nil {
						b.Error(err)
					}
				}
			})
			reportSample(b, 1000)
			require.NoError(b, w.Close())
		})
	}
}

func BenchmarkReplay(b *testing.B) {
	fsys := vfs.OS{}
	dir := b.TempDir()
	w, err := Open(fsys, dir, Options{Sync: SyncNever})
	require.NoError(b, err)
	const groups, columns, rows = 20, 1000, 128
	for g := range uint64(groups) {
		enc := NewRowEncoder(g)
		for _, row := range scrapeRows(columns, rows, 7) {
			batch := w.Begin()
			batch.Row(enc, row)
			_, err := batch.Commit()
			require.NoError(b, err)
		}
	}
	require.NoError(b, w.Close())
	b.ResetTimer()
	for b.Loop() {
		r, err := OpenReader(fsys, dir, ReaderOptions{})
		require.NoError(b, err)
		dec := NewRowDecoder()
		for r.Next() {
			if _, _, err := dec.Decode(r.Record().Payload); err != nil {
				b.Fatal(err)
			}
		}
		require.NoError(b, r.Close())
	}
	reportSample(b, groups*columns*rows)
}

func reportSample(b *testing.B, samples int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(samples), "ns/sample")
}

// cpuTime is the processor time that this process has used, which others disturb less than
// the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
