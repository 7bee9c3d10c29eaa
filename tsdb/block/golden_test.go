package block

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

var updateGolden = flag.Bool("update", false, "write golden files instead of comparing with them")

const goldenDir = "testdata/golden_v1"

// TestGolden holds the reader to a block of version 1. The writer is not held to the same
// bytes, since another version of the compression library may compress differently; files
// that it does not compress are.
func TestGolden(t *testing.T) {
	mem := vfs.NewMem()
	f := newFixture(100, 3, 9, 40)
	dir := f.mustWrite(t, mem, WriterOptions{PageBytes: 1000, FrameSeries: 10})
	deleted := roaring.BitmapOf(1, 2, 5)
	require.NoError(t, mustOpen(t, mem, dir).Delete(Interval{100, 200}, deleted))
	files := []string{MetaFile, IndexFile, DataFile, TombstonesFile}
	if *updateGolden {
		require.NoError(t, os.MkdirAll(goldenDir, 0o777))
		for _, name := range files {
			data, err := vfs.ReadFile(mem, filepath.Join(dir, name))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(goldenDir, name), data, 0o666))
		}
	}
	for _, name := range []string{DataFile, TombstonesFile} {
		got, err := vfs.ReadFile(mem, filepath.Join(dir, name))
		require.NoError(t, err)
		want, err := os.ReadFile(filepath.Join(goldenDir, name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "%s: %d bytes, want %d", name, len(got), len(want))
	}
	r := mustOpen(t, vfs.OS{}, goldenDir)
	for i := range f.series {
		require.NoError(t, f.check(t, r, i))
	}
	require.NoError(t, r.Verify())
	require.Equal(t, []Interval{{100, 200}}, r.Tombstones().Intervals(nil, 5))
	r.Close()
}
