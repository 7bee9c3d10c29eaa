package head

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

func testLabels(group, i int) labels.Labels {
	return labels.FromStrings(model.MetricNameLabel, "m", "g", fmt.Sprint(group), "i", fmt.Sprint(i))
}

// openColumns opens a group with columns.
func openColumns(t testing.TB, h *Head, n, columns int) storage.Group {
	t.Helper()
	g, err := h.OpenGroup(storage.GroupOptions{Origin: fmt.Sprint("group ", n)})
	require.NoError(t, err)
	for i := range columns {
		_, err := g.AddColumn(testLabels(n, i))
		require.NoError(t, err)
	}
	return g
}

func appendRows(t testing.TB, g storage.Group, columns, from, to int) {
	t.Helper()
	row := storage.Row{Values: make([]float64, columns)}
	for i := from; i < to; i++ {
		row.T = storagetest.Base + int64(i)*1000
		for c := range row.Values {
			row.Values[c] = float64(i * (c + 1))
		}
		require.NoError(t, g.AppendRow(&row))
	}
}

func readHead(t testing.TB, h *Head) storagetest.Contents {
	t.Helper()
	q := h.Querier(math.MinInt64, math.MaxInt64, minTime)
	defer q.Close()
	return storagetest.ReadQuerier(t, q, math.MinInt64, math.MaxInt64, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".*"))
}

// damaged returns a head opened from a copy of a log with one byte of a file
// changed, and what it said.
func openDamaged(t *testing.T, mem *vfs.Mem, file string, at int) (*Head, string) {
	t.Helper()
	data, err := vfs.ReadFile(mem, file)
	require.NoError(t, err)
	data[at] ^= 0x55
	require.NoError(t, vfs.WriteFileAtomic(mem, file, data))
	var said bytes.Buffer
	h, err := Open(Options{FS: mem, Dir: "wal", Logger: slog.New(slog.NewTextHandler(&said, nil)), Settings: Settings{MaxExemplars: 10}})
	require.NoError(t, err)
	return h, said.String()
}

func segments(t *testing.T, fsys vfs.FS) []string {
	t.Helper()
	entries, err := fsys.ReadDir("wal")
	require.NoError(t, err)
	var out []string
	for _, e := range entries {
		if !e.IsDir && filepath.Ext(e.Name) == ".wal" {
			out = append(out, filepath.Join("wal", e.Name))
		}
	}
	return out
}

// TestDamagedRecordCostsItself changes a byte here and there. Whatever it hits,
// the head opens, says where, and what it has is right; the other group loses at
// most what one record holds.
func TestDamagedRecordCostsItself(t *testing.T) {
	const columns, rows = 5, 300
	mem := vfs.NewMem()
	h := openHead(t, mem, 0)
	a, b := openColumns(t, h, 0, columns), openColumns(t, h, 1, columns)
	for i := range rows {
		appendRows(t, a, columns, i, i+1)
		appendRows(t, b, columns, i, i+1)
	}
	want := readHead(t, h)
	require.NoError(t, h.Close())
	file := segments(t, mem)[0]
	data, err := vfs.ReadFile(mem, file)
	require.NoError(t, err)
	for at := 100; at < len(data); at += len(data)/40 + 1 {
		h, said := openDamaged(t, mem.CrashClone(), file, at)
		require.Contains(t, said, filepath.Base(file), "byte %d", at)
		require.Positive(t, testutil.ToFloat64(h.metrics.damagedRecords))
		got := readHead(t, h)
		whole := 0
		for name, samples := range got {
			right := map[int64]float64{}
			for _, x := range want[name] {
				right[x.T] = x.V
			}
			for _, x := range samples {
				require.Equal(t, right[x.T], x.V, "byte %d: %s at %d", at, name, x.T)
			}
			if len(samples) == rows {
				whole++
			}
		}
		require.GreaterOrEqual(t, whole, columns, "byte %d: one group is untouched", at)
		// What is left takes more.
		g := openColumns(t, h, 0, columns)
		appendRows(t, g, columns, rows, rows+1)
		require.NoError(t, h.Close())
	}
}

// TestTornTail cuts the log anywhere: a crash in the middle of a write. What is
// before the cut is there, row by row.
func TestTornTail(t *testing.T) {
	const columns, rows = 5, 100
	mem := vfs.NewMem()
	h := openHead(t, mem, 0)
	g := openColumns(t, h, 0, columns)
	appendRows(t, g, columns, 0, rows)
	require.NoError(t, h.Close())
	file := segments(t, mem)[0]
	data, err := vfs.ReadFile(mem, file)
	require.NoError(t, err)
	last := rows
	for size := len(data); size > 200; size -= 97 {
		disk := mem.CrashClone()
		require.NoError(t, vfs.WriteFileAtomic(disk, file, data[:size]))
		h := openHead(t, disk, 0)
		got := readHead(t, h)
		n := len(got[testLabels(0, 0).String()])
		require.LessOrEqual(t, n, last)
		last = n
		for i := range columns {
			samples := got[testLabels(0, i).String()]
			require.Len(t, samples, n, "rows are whole")
			for k, x := range samples {
				require.Equal(t, float64(k*(i+1)), x.V)
			}
		}
		require.NoError(t, h.Close())
	}
	require.Less(t, last, rows/4)
}

// TestKillLosesNothing leaves a head without closing it: the log has everything
// that was acknowledged.
func TestKillLosesNothing(t *testing.T) {
	mem := vfs.NewMem()
	h := openHead(t, mem, 3_600_000)
	g := openColumns(t, h, 0, 6)
	appendRows(t, g, 6, 0, 50)
	row := storage.Row{T: storagetest.Base + 60_000, Values: make([]float64, 6), StartTimes: []int64{0, 1, 2, 3, 4, 5}}
	row.Histograms = []storage.HistogramSample{{Column: 4, Histogram: tsdbutil.GenerateTestHistogram(3)}, {Column: 5, FloatHistogram: tsdbutil.GenerateTestFloatHistogram(3)}}
	e := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "x"), Value: 0.5, Ts: storagetest.Base, HasTs: true}
	row.Exemplars = []storage.ExemplarSample{{Column: 2, Exemplar: e}}
	md := metadata.Metadata{Type: model.MetricTypeCounter, Unit: "u", Help: "h"}
	require.NoError(t, g.SetMetadata(1, md))
	require.NoError(t, g.AppendRow(&row))
	app := h.Appender(context.Background())
	ref, err := app.Append(0, testLabels(9, 9), storagetest.Base+10_500, 7)
	require.NoError(t, err)
	require.NoError(t, app.SetStartTime(ref, storagetest.Base+10_500, 9))
	_, err = app.Append(0, testLabels(0, 3), storagetest.Base+10_500, 8)
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	require.NoError(t, h.Delete(context.Background(), storagetest.Base, storagetest.Base+5000, labels.MustNewMatcher(labels.MatchEqual, "i", "0")))
	g.ReleaseColumn(0)
	_, err = g.AddColumn(testLabels(0, 70))
	require.NoError(t, err)
	appendRows(t, g, 6, 61, 63)

	check := func(again *Head) {
		t.Helper()
		storagetest.RequireEqual(t, readHead(t, h), readHead(t, again))
		q := again.Querier(math.MinInt64, math.MaxInt64, minTime)
		defer q.Close()
		found, err := q.Exemplars(context.Background(), []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "i", "2")})
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, []exemplar.Exemplar{e}, found[0].Exemplars)
		known, err := q.Metadata(context.Background(), "m")
		require.NoError(t, err)
		require.Equal(t, map[string][]metadata.Metadata{"m": {md}}, known)
		require.Equal(t, storagetest.Base+62_000, again.MaxTime())
	}
	again := openHead(t, mem, 3_600_000)
	check(again)
	require.NoError(t, again.Checkpoint(context.Background(), minTime))
	check(again)
	require.NoError(t, again.Close())
	again = openHead(t, mem, 3_600_000)
	check(again)
	require.NoError(t, again.Close())
	require.NoError(t, h.Close())
}

// TestCheckpointWhileWriting takes checkpoints beside a writer and opens the log
// in between.
func TestCheckpointWhileWriting(t *testing.T) {
	mem := vfs.NewMem()
	h := openHead(t, mem, 0)
	const columns, rows = 4, 600
	g := openColumns(t, h, 0, columns)
	done := make(chan error, 1)
	go func() {
		var err error
		for range 8 {
			if err = h.Checkpoint(context.Background(), minTime); err != nil {
				break
			}
		}
		done <- err
	}()
	appendRows(t, g, columns, 0, rows)
	require.NoError(t, <-done)
	require.LessOrEqual(t, len(segments(t, mem)), 2, "what a checkpoint replaces is removed")
	again := openHead(t, mem, 0)
	require.Len(t, readHead(t, again)[testLabels(0, 1).String()], rows)
	require.NoError(t, again.Close())
	require.NoError(t, h.Close())
}

func TestUnknownRecordIsCounted(t *testing.T) {
	mem := vfs.NewMem()
	w, err := wal.Open(mem, "wal", wal.Options{})
	require.NoError(t, err)
	b := w.Begin()
	b.Samples([]wal.Sample{{Series: 77, T: 1, Value: 1}})
	b.CloseGroup(5)
	_, err = b.Commit()
	require.NoError(t, err)
	require.NoError(t, w.Close())
	h := openHead(t, mem, 0)
	require.Equal(t, 1.0, testutil.ToFloat64(h.metrics.damagedRecords), "the sample of a series without a definition")
	require.Empty(t, readHead(t, h))
	require.NoError(t, h.Close())
}
