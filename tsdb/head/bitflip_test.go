package head

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage/storagetest"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// flippedLog makes a log with a checkpoint and a segment after it, of two groups and a loose
// series, and returns its disk and contents.
func flippedLog(t *testing.T, columns, rows int) (*vfs.Mem, storagetest.Contents) {
	t.Helper()
	mem := vfs.NewMem()
	opts := Options{FS: mem, Dir: "wal", WAL: wal.Options{Sync: wal.SyncAlways}, Settings: Settings{Window: 3_600_000}}
	h, err := Open(opts)
	require.NoError(t, err)
	a, b := openColumns(t, h, 0, columns), openColumns(t, h, 1, columns)
	appendRows(t, a, columns, 0, rows)
	appendRows(t, b, columns, 0, rows)
	loose := func(from, to int) {
		app := h.Appender(context.Background())
		for i := from; i < to; i++ {
			_, err := app.Append(0, testLabels(9, 0), seconds(i), float64(i))
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	loose(0, 2)
	require.NoError(t, h.Checkpoint(context.Background(), minTime))
	appendRows(t, a, columns, rows, rows+min(rows, 20))
	appendRows(t, b, columns, rows, rows+min(rows, 20))
	loose(2, 4)
	want := readHead(t, h)
	require.NoError(t, h.Close())
	return mem, want
}

// logFiles returns the files of a log and its checkpoint.
func logFiles(t *testing.T, fsys vfs.FS) []string {
	t.Helper()
	var out []string
	for _, dir := range []string{"wal", "wal/checkpoint.00000002"} {
		entries, err := fsys.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			if !e.IsDir {
				out = append(out, filepath.Join(dir, e.Name))
			}
		}
	}
	require.Len(t, out, 2, "a segment, and the checkpoint's")
	return out
}

// requireContained opens the log with one bit changed: the damage is reported with its file,
// what is there is right, and at least one of the groups, or the loose series, is whole.
func requireContained(t *testing.T, mem *vfs.Mem, want storagetest.Contents, file string, data []byte, bit int) {
	t.Helper()
	disk := mem.CrashClone()
	data[bit/8] ^= 1 << (bit % 8)
	require.NoError(t, vfs.WriteFileAtomic(disk, file, data))
	data[bit/8] ^= 1 << (bit % 8)
	var said bytes.Buffer
	h, err := Open(Options{FS: disk, Dir: "wal", Logger: slog.New(slog.NewTextHandler(&said, nil))})
	require.NoError(t, err, "%s bit %d", file, bit)
	require.Contains(t, said.String(), filepath.Base(file), "bit %d", bit)
	require.Positive(t, testutil.ToFloat64(h.metrics.damagedRecords), "%s bit %d", file, bit)
	whole := 0
	for name, samples := range readHead(t, h) {
		right := map[int64]float64{}
		for _, x := range want[name] {
			right[x.T] = x.V
		}
		for _, x := range samples {
			v, ok := right[x.T]
			require.True(t, ok && v == x.V, "%s bit %d: %s has %v at %d", file, bit, name, x.V, x.T)
		}
		if len(samples) == len(want[name]) {
			whole++
		}
	}
	require.Positive(t, whole, "%s bit %d", file, bit)
	require.NoError(t, h.Close())
}

// TestEveryBitOfASmallLog changes each bit of a log and its checkpoint.
func TestEveryBitOfASmallLog(t *testing.T) {
	mem, want := flippedLog(t, 1, 2)
	for _, file := range logFiles(t, mem) {
		data, err := vfs.ReadFile(mem, file)
		require.NoError(t, err)
		for bit := range len(data) * 8 {
			requireContained(t, mem, want, file, data, bit)
		}
	}
}

// TestSomeBitsOfALog changes bits here and there of a larger log.
func TestSomeBitsOfALog(t *testing.T) {
	mem, want := flippedLog(t, 50, 200)
	for _, file := range logFiles(t, mem) {
		data, err := vfs.ReadFile(mem, file)
		require.NoError(t, err)
		step := len(data)*8/15 + 1
		for bit := step / 2; bit < len(data)*8; bit += step {
			requireContained(t, mem, want, file, data, bit)
		}
	}
}
