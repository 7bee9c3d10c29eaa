package takeover

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

// ourContent is what our database has in a folder.
func ourContent(t testing.TB, fsys vfs.FS, dir string) content {
	t.Helper()
	db := openOurs(t, fsys, dir)
	defer func() { require.NoError(t, db.Close()) }()
	return contentOf(t, db)
}

func openOurs(t testing.TB, fsys vfs.FS, dir string) *tsdb.DB {
	t.Helper()
	db, err := tsdb.Open(context.Background(), dir, tsdb.Options{FS: fsys, MaintenanceInterval: -1})
	require.NoError(t, err)
	return db
}

func contentOf(t testing.TB, db *tsdb.DB) content {
	t.Helper()
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer q.Close()
	out := content{}
	set := q.Select(context.Background(), nil)
	var it storage.BatchIterator
	var b storage.Batch
	for set.Next() {
		name := set.At().Labels().String()
		for it = set.At().Batches(it); it.Next(&b); {
			out[name] = append(out[name], textOfBatch(&b)...)
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	return out
}

func requireContent(t testing.TB, want, got content) {
	t.Helper()
	for name, list := range want {
		for i, x := range list {
			require.Less(t, i, len(got[name]), "%s has not %s", name, x)
			require.Equal(t, x, got[name][i], "sample %d of %s", i, name)
		}
		require.Len(t, got[name], len(list), "%s", name)
	}
	require.Len(t, got, len(want))
}

// imported imports a folder, which must work.
func imported(t testing.TB, fsys vfs.FS, source, target string, opts ImportOptions) Summary {
	t.Helper()
	var out bytes.Buffer
	opts.FS, opts.Out = fsys, &out
	s, err := Import(context.Background(), source, target, opts)
	require.NoError(t, err, "%s", out.String())
	t.Log(out.String())
	return s
}

func TestImportHasEverySample(t *testing.T) {
	source, want := lived(t)
	require.Greater(t, want.samples(), 9000)
	before := snapshotFiles(t, source)
	target := t.TempDir()
	s := imported(t, vfs.OS{}, source, target, ImportOptions{})
	requireContent(t, want, ourContent(t, vfs.OS{}, target))
	require.Equal(t, before, snapshotFiles(t, source), "the source was changed")
	require.Greater(t, s.Imported, 4)
	require.Zero(t, s.Present)

	again := imported(t, vfs.OS{}, source, target, ImportOptions{})
	require.Zero(t, again.Imported)
	require.Equal(t, s.Imported, again.Present)
	ids, err := block.List(vfs.OS{}, target)
	require.NoError(t, err)
	require.Len(t, ids, s.Imported)
	require.NoFileExists(t, filepath.Join(target, stagingDir))
}

// TestImportIsKnownAfterCompaction lets our database join what was imported: it
// is still known where the samples are from.
func TestImportIsKnownAfterCompaction(t *testing.T) {
	source, want := lived(t)
	target := t.TempDir()
	s := imported(t, vfs.OS{}, source, target, ImportOptions{})
	db := openOurs(t, vfs.OS{}, target)
	require.NoError(t, db.Maintain(context.Background()))
	require.Less(t, len(db.Blocks()), s.Imported)
	requireContent(t, want, contentOf(t, db))
	require.NoError(t, db.Close())
	again := imported(t, vfs.OS{}, source, target, ImportOptions{})
	require.Zero(t, again.Imported)
}

// TestImportAfterCrash imports the files of a Prometheus as they are on disk
// while it is running, and without the chunks of its head: the logs have
// everything.
func TestImportAfterCrash(t *testing.T) {
	whole, want := killed(t)
	logsOnly := copyFolder(t, whole)
	require.NoError(t, os.RemoveAll(filepath.Join(logsOnly, promHead)))
	for _, source := range []string{whole, logsOnly} {
		mem := vfs.NewMem()
		imported(t, mem, source, "data", ImportOptions{})
		requireContent(t, want, ourContent(t, mem, "data"))
	}
}

// TestImportInLittleMemory reads the logs many times over.
func TestImportInLittleMemory(t *testing.T) {
	source, want := lived(t)
	for _, limit := range []uint64{1, 300, 5000} {
		target := t.TempDir()
		imported(t, vfs.OS{}, source, target, ImportOptions{MaxLogSamples: limit})
		requireContent(t, want, ourContent(t, vfs.OS{}, target))
	}
}

func TestImportRefusesFolderInUse(t *testing.T) {
	p := openPrometheus(t, t.TempDir(), promOptions())
	p.scrape(0)
	for n := range 300 {
		p.scrape(n + 1)
	}
	p.compact()
	target := t.TempDir()
	_, err := Import(context.Background(), p.dir, target, ImportOptions{})
	require.ErrorIs(t, err, ErrInUse)

	s := imported(t, vfs.OS{}, p.dir, target, ImportOptions{BlocksOnly: true})
	require.Equal(t, len(p.db.Blocks()), s.Imported)
	want := p.content()
	p.close()
	rest := imported(t, vfs.OS{}, p.dir, target, ImportOptions{})
	require.Equal(t, s.Imported, rest.Present, "blocks are not imported twice")
	requireContent(t, want, ourContent(t, vfs.OS{}, target))
}

func TestImportOfMistakes(t *testing.T) {
	ctx := context.Background()
	empty := t.TempDir()
	_, err := Import(ctx, filepath.Join(empty, "missing"), t.TempDir(), ImportOptions{})
	require.ErrorContains(t, err, "no such file")
	_, err = Import(ctx, empty, t.TempDir(), ImportOptions{})
	require.ErrorContains(t, err, "not a data folder of Prometheus")
	source, _ := lived(t)
	_, err = Import(ctx, source, source, ImportOptions{})
	require.ErrorContains(t, err, "is the data folder of a Prometheus: import into a folder of its own")
	snapshot := copyFolder(t, source)
	require.NoError(t, os.RemoveAll(filepath.Join(snapshot, promHead)))
	_, err = Import(ctx, snapshot, snapshot, ImportOptions{})
	require.ErrorContains(t, err, "is what is to be imported: import into a folder of its own")
}
