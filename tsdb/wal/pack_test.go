package wal

import (
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

// packedSegment is a segment with one record, which is compressed.
func packedSegment(t testing.TB) []byte {
	fsys := vfs.NewMem()
	w, err := Open(fsys, testDir, Options{})
	require.NoError(t, err)
	b := w.Begin()
	b.Columns(3, testColumns(100))
	_, err = b.Commit()
	require.NoError(t, err)
	require.NoError(t, w.Close())
	data, err := vfs.ReadFile(fsys, filepath.Join(testDir, segmentName(1)))
	require.NoError(t, err)
	require.Equal(t, TypeColumns|packed, Type(data[segmentHeader+1]))
	return data
}

// TestGoldenPacked reads what was compressed once; another encoder may compress otherwise.
func TestGoldenPacked(t *testing.T) {
	if *updateGolden {
		require.NoError(t, os.WriteFile(goldenPackedFile, []byte(hex.EncodeToString(packedSegment(t))+"\n"), 0o666))
	}
	text, err := os.ReadFile(goldenPackedFile)
	require.NoError(t, err)
	data, err := hex.DecodeString(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	fsys := vfs.NewMem()
	require.NoError(t, fsys.MkdirAll(testDir))
	require.NoError(t, vfs.WriteFileAtomic(fsys, filepath.Join(testDir, segmentName(1)), data))
	r, err := OpenReader(fsys, testDir, ReaderOptions{})
	require.NoError(t, err)
	require.True(t, r.Next())
	require.Equal(t, TypeColumns, r.Record().Type)
	columns, err := DecodeColumns(r.Record().Payload)
	require.NoError(t, err)
	require.Equal(t, testColumns(100), withLabels(columns))
	require.False(t, r.Next())
	require.Zero(t, r.Damages())
}

// TestPackedRows writes rows of a histogram-like target, which get smaller but for the first,
// which is short, and of a random one, which do not, and reads them back.
func TestPackedRows(t *testing.T) {
	fsys := vfs.NewMem()
	w := openTest(t, fsys, Options{})
	rng := rand.New(rand.NewPCG(1, 1))
	encs := []*RowEncoder{NewRowEncoder(1), NewRowEncoder(2)}
	rows := [][]*storage.Row{{}, {}}
	for i := range 100 {
		for g := range encs {
			row := &storage.Row{T: int64(i) * 1000, Values: make([]float64, 2000)}
			for c := range row.Values {
				if row.Values[c] = float64(i * (c / 20 % 2)); g == 1 {
					row.Values[c] = rng.Float64()
				}
			}
			rows[g] = append(rows[g], row)
			b := w.Begin()
			b.Row(encs[g], row)
			_, err := b.Commit()
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	r, err := OpenReader(fsys, testDir, ReaderOptions{})
	require.NoError(t, err)
	dec, times := NewRowDecoder(), NewRowTimes()
	seen, small := [3]int{}, [3]int{}
	for r.Next() {
		at, err := times.Next(r.Record())
		require.NoError(t, err)
		group, row, err := dec.Decode(r.Record().Payload)
		require.NoError(t, err)
		want := rows[group-1][seen[group]]
		require.Equal(t, want.T, at)
		require.Equal(t, samplesOf(want), samplesOf(row))
		seen[group]++
		if r.Record().stored < len(r.Record().Payload) {
			small[group]++
		}
	}
	require.Zero(t, r.Damages())
	require.Equal(t, [3]int{0, 100, 100}, seen)
	require.Equal(t, [3]int{0, 99, 0}, small)
}

// TestPackedDamage changes every bit of a compressed record, and bits of its compressed bytes
// under a checksum that is right: a damage, no panic, and never other contents.
func TestPackedDamage(t *testing.T) {
	good := packedSegment(t)
	read := func(data []byte) (n, damages int) {
		fsys := vfs.NewMem()
		require.NoError(t, fsys.MkdirAll(testDir))
		require.NoError(t, vfs.WriteFileAtomic(fsys, filepath.Join(testDir, segmentName(1)), data))
		r, err := OpenReader(fsys, testDir, ReaderOptions{})
		require.NoError(t, err)
		for r.Next() {
			n++
		}
		return n, r.Damages()
	}
	for i := segmentHeader; i < len(good); i++ {
		for bit := range 8 {
			n, damages := read(flipped(good, i, 1<<bit))
			require.Equal(t, [2]int{0, 1}, [2]int{n, damages}, "byte %d bit %d", i, bit)
		}
	}
	for i := segmentHeader + frameHeader; i < len(good); i++ {
		data := flipped(good, i, 0xff)
		payload := data[segmentHeader+frameHeader:]
		putFrame(data[segmentHeader:], TypeColumns|packed, len(payload), 0, crcOf(payload))
		n, damages := read(data)
		require.Equal(t, 1, n+damages, "byte %d", i)
	}
}
