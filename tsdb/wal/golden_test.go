package wal

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

var updateGolden = flag.Bool("update", false, "write golden files instead of comparing with them")

const (
	goldenFile       = "testdata/golden_v1.txt"
	goldenPackedFile = "testdata/golden_packed_v1.txt"
)

// goldenLog writes a log that has every type of record.
func goldenLog(t *testing.T) []byte {
	fsys := vfs.NewMem()
	w := openTest(t, fsys, Options{Origin: Origin{1, 2, 3, 15: 16}, Uncompressed: true})
	b := w.Begin()
	b.Group(Group{ID: 3, Origin: "job/instance"})
	b.Columns(3, testColumns(4))
	b.Columns(0, testColumns(1))
	src, enc := newRowSource(11, 6), NewRowEncoder(3)
	for range 12 {
		b.Row(enc, src.next())
	}
	b.ReleaseColumns(3, []storage.Column{1, 3})
	b.ReleaseColumns(3, nil)
	b.Samples(testSamples(9))
	b.Exemplars(testExemplars())
	b.Metadata(testMetadata())
	b.Tombstone(testTombstone())
	b.Floors(testFloors())
	b.Floors(nil)
	b.CloseGroup(3)
	_, err := b.Commit()
	require.NoError(t, err)
	require.NoError(t, w.Close())
	data, err := vfs.ReadFile(fsys, filepath.Join(testDir, segmentName(1)))
	require.NoError(t, err)
	return data
}

// TestGolden holds the format to the bytes of version 1, a record a line.
func TestGolden(t *testing.T) {
	data := goldenLog(t)
	var lines strings.Builder
	fmt.Fprintf(&lines, "segment header: %x\n", data[:segmentHeader])
	for off := segmentHeader; off < len(data); {
		n := frameHeader + getUint24(data[off+2:])
		fmt.Fprintf(&lines, "%s: %x\n", Type(data[off+1]), data[off:off+n])
		off += n
	}
	if *updateGolden {
		require.NoError(t, os.WriteFile(goldenFile, []byte(lines.String()), 0o666))
	}
	want, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	require.Equal(t, string(want), lines.String())

	// And it is what the decoders read.
	fsys := vfs.NewMem()
	require.NoError(t, fsys.MkdirAll(testDir))
	require.NoError(t, vfs.WriteFileAtomic(fsys, filepath.Join(testDir, segmentName(1)), data))
	r, err := OpenReader(fsys, testDir, ReaderOptions{})
	require.NoError(t, err)
	dec := NewRowDecoder()
	seen := map[Type]int{}
	src := newRowSource(11, 6)
	for r.Next() {
		rec := r.Record()
		got, err := decodeAny(rec.Type, rec.Payload, dec)
		require.NoError(t, err)
		require.Equal(t, Origin{1, 2, 3, 15: 16}, rec.Origin)
		seen[rec.Type]++
		if rec.Type == TypeRow {
			require.Equal(t, samplesOf(src.next()), samplesOf(got.(*storage.Row)))
		}
	}
	require.Zero(t, r.Damages())
	require.Equal(t, map[Type]int{
		TypeGroup: 1, TypeColumns: 2, TypeRow: 12, TypeColumnRelease: 1, TypeSamples: 1,
		TypeExemplars: 1, TypeMetadata: 1, TypeTombstone: 1, TypeFloors: 1, TypeGroupClose: 1,
	}, seen)
	dec.Forget(3)
	require.Empty(t, dec.groups)
}
