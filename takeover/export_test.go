package takeover

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

// promFolderContent is what upstream's database has in a folder.
func promFolderContent(t testing.TB, dir string) content {
	t.Helper()
	db, err := promtsdb.OpenDBReadOnly(dir, t.TempDir(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	return promContent(t, q)
}

func exported(t testing.TB, dir string, opts ExportOptions) (string, Exported) {
	t.Helper()
	var log bytes.Buffer
	opts.Out = &log
	out := filepath.Join(t.TempDir(), "out")
	e, err := Export(context.Background(), dir, out, opts)
	require.NoError(t, err, log.String())
	return out, e
}

// TestExportIsTheWayBack imports a Prometheus, exports it, and lets upstream read
// it again.
func TestExportIsTheWayBack(t *testing.T) {
	source, want := lived(t)
	target := t.TempDir()
	imported(t, vfs.OS{}, source, target, ImportOptions{})
	out, e := exported(t, target, ExportOptions{})
	requireContent(t, want, promFolderContent(t, out))
	require.EqualValues(t, want.samples(), e.Samples)
	require.GreaterOrEqual(t, e.Blocks, 5)

	again := t.TempDir()
	imported(t, vfs.OS{}, out, again, ImportOptions{})
	requireContent(t, want, ourContent(t, vfs.OS{}, again))
}

// fillHead appends rows that stay in the head.
func fillHead(t testing.TB, dir string, rows int) {
	t.Helper()
	db := openOurs(t, vfs.OS{}, dir)
	g, err := db.OpenGroup(storage.GroupOptions{Origin: "test"})
	require.NoError(t, err)
	for _, name := range []string{"b", "a", "c"} {
		_, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, name, "i", "1"))
		require.NoError(t, err)
	}
	for i := range rows {
		v := float64(i)
		require.NoError(t, g.AppendRow(&storage.Row{T: start + int64(i)*minute, Values: []float64{v, -v, v / 3}, StartTimes: []int64{0, start, int64(i / 2)}}))
	}
	require.NoError(t, g.Close())
	require.NoError(t, db.Close())
}

func TestExportOfHead(t *testing.T) {
	dir := t.TempDir()
	fillHead(t, dir, 130)
	want := ourContent(t, vfs.OS{}, dir)
	out, e := exported(t, dir, ExportOptions{})
	require.Equal(t, 2, e.Blocks)
	requireContent(t, want, promFolderContent(t, out))
	requireContent(t, want, ourContent(t, vfs.OS{}, dir))

	// A Prometheus that starts on it takes new samples at once.
	p := openPrometheus(t, out, promOptions())
	p.begin()
	p.float(labels.FromStrings(model.MetricNameLabel, "a", "i", "1"), start+130*minute, 1)
	p.commit()
	require.Len(t, p.content()[`{__name__="a", i="1"}`], 131)
	p.close()
}

func TestExportOfAPart(t *testing.T) {
	dir := t.TempDir()
	fillHead(t, dir, 300)
	equal := func(name string) []*labels.Matcher {
		return []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, name)}
	}
	out, e := exported(t, dir, ExportOptions{
		Mint: start + 100*minute, Maxt: start + 150*minute,
		Selectors: [][]*labels.Matcher{equal("a"), equal("b"), equal("a")},
	})
	require.EqualValues(t, 2*51, e.Samples)
	got := promFolderContent(t, out)
	require.Len(t, got, 2)
	all := ourContent(t, vfs.OS{}, dir)
	for name, list := range got {
		require.Equal(t, all[name][100:151], list)
	}
}

func TestExportOfMistakes(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	fillHead(t, dir, 1)
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "x"), nil, 0o600))
	_, err := Export(ctx, dir, full, ExportOptions{})
	require.ErrorContains(t, err, "is not empty: it has x")
	_, err = Export(ctx, filepath.Join(dir, "missing"), t.TempDir(), ExportOptions{})
	require.ErrorContains(t, err, "there is no folder")
	_, err = Export(ctx, t.TempDir(), t.TempDir(), ExportOptions{})
	require.ErrorContains(t, err, "neither blocks nor a log")
	source, _ := lived(t)
	_, err = Export(ctx, source, t.TempDir(), ExportOptions{})
	require.ErrorContains(t, err, "the data folder of a Prometheus")

	db := openOurs(t, vfs.OS{}, dir)
	_, err = Export(ctx, dir, t.TempDir(), ExportOptions{})
	require.ErrorIs(t, err, vfs.ErrLocked)
	require.ErrorContains(t, err, "snapshot")
	require.NoError(t, db.Close())

	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	out := t.TempDir()
	_, err = Export(cancelled, dir, out, ExportOptions{})
	require.ErrorIs(t, err, context.Canceled)
	entries, err := os.ReadDir(out)
	require.NoError(t, err)
	require.Empty(t, entries)
}
