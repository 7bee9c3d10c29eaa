package wal

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// buildLog writes a log of one segment with named batches.
func buildLog(t testing.TB, names ...string) (*vfs.Mem, string) {
	fsys := vfs.NewMem()
	w := openTest(t, fsys, Options{})
	mustCommit(t, w, names...)
	require.NoError(t, w.Close())
	return fsys, filepath.Join(testDir, segmentName(1))
}

func rewrite(t testing.TB, fsys vfs.FS, name string, data []byte) {
	t.Helper()
	require.NoError(t, vfs.WriteFileAtomic(fsys, name, data))
}

// TestBitFlips flips every bit of a log: it is noticed, with file and offset, and costs the
// record that it is in.
func TestBitFlips(t *testing.T) {
	names := []string{"alpha", "beta", "gamma", "delta"}
	fsys, name := buildLog(t, names...)
	good, err := vfs.ReadFile(fsys, name)
	require.NoError(t, err)
	starts := []int{segmentHeader}
	for _, n := range names {
		starts = append(starts, starts[len(starts)-1]+frameHeader+2+len(n))
	}
	require.Equal(t, len(good), starts[len(starts)-1])
	for i := range good {
		for bit := range 8 {
			rewrite(t, fsys, name, flipped(good, i, 1<<bit))
			got, damages := readAll(t, fsys, ReaderOptions{})
			require.Len(t, damages, 1, "byte %d bit %d", i, bit)
			d := damages[0]
			require.Equal(t, name, d.File)
			require.NotEmpty(t, d.Reason)
			if i < segmentHeader {
				require.Zero(t, d.Offset)
				require.False(t, d.TornTail)
				if i != 4 { // Another version: nothing can be said about what follows.
					require.Equal(t, names, got)
				}
				continue
			}
			hit := 0
			for i >= starts[hit+1] {
				hit++
			}
			require.Equal(t, int64(starts[hit]), d.Offset)
			require.Equal(t, int64(starts[hit+1]-starts[hit]), d.Length)
			require.Equal(t, hit == len(names)-1, d.TornTail)
			require.Equal(t, slices.Delete(slices.Clone(names), hit, hit+1), got)
		}
	}
}

func TestTruncatedAnywhere(t *testing.T) {
	names := []string{"alpha", "beta", "gamma"}
	fsys, name := buildLog(t, names...)
	good, err := vfs.ReadFile(fsys, name)
	require.NoError(t, err)
	for n := range good {
		rewrite(t, fsys, name, good[:n])
		got, damages := readAll(t, fsys, ReaderOptions{CutTail: true})
		require.Equal(t, names[:len(got)], append([]string{}, got...))
		again, damagesAgain := readAll(t, fsys, ReaderOptions{})
		require.Equal(t, got, again)
		require.Empty(t, damagesAgain)
		if len(damages) > 0 {
			require.Len(t, damages, 1)
			require.True(t, damages[0].TornTail)
		}
	}
	// The same in a segment that is not the last one is damage, and is left alone.
	rewrite(t, fsys, name, good[:len(good)-3])
	w := openTest(t, fsys, Options{})
	mustCommit(t, w, "later")
	require.NoError(t, w.Close())
	for range 2 {
		got, damages := readAll(t, fsys, ReaderOptions{CutTail: true})
		require.Equal(t, []string{"alpha", "beta", "later"}, got)
		require.Len(t, damages, 1)
		require.False(t, damages[0].TornTail)
	}
}

// TestLargeDamage passes over garbage that is longer than a read, and full of what looks like
// the beginning of a record.
func TestLargeDamage(t *testing.T) {
	fsys, name := buildLog(t, "before", "after")
	good, err := vfs.ReadFile(fsys, name)
	require.NoError(t, err)
	cut := segmentHeader + frameHeader + 2 + len("before")
	garbage := make([]byte, 3*readChunk)
	for i := range garbage {
		garbage[i] = byte(i * i >> 3)
		if i%97 == 0 {
			garbage[i] = frameSync
		}
	}
	rewrite(t, fsys, name, slices.Concat(good[:cut], garbage, good[cut:]))
	names, damages := readAll(t, fsys, ReaderOptions{})
	require.Equal(t, []string{"before", "after"}, names)
	require.Len(t, damages, 1)
	require.Equal(t, int64(cut), damages[0].Offset)
	require.Equal(t, int64(len(garbage)), damages[0].Length)
}

// TestReadAfter begins behind each record of a log: what follows is what was there without
// those before. Positions that a checkpoint has replaced begin with the checkpoint.
func TestReadAfter(t *testing.T) {
	fsys := vfs.NewMem()
	w := openTest(t, fsys, Options{SegmentBytes: 200})
	var all []Sequence
	for i := range 40 {
		b := w.Begin()
		b.CloseGroup(uint64(i))
		seq, err := b.Commit()
		require.NoError(t, err)
		all = append(all, seq)
	}
	require.NoError(t, w.Close())
	read := func(after Sequence) (out []Sequence) {
		r, err := OpenReader(fsys, testDir, ReaderOptions{After: after})
		require.NoError(t, err)
		for r.Next() {
			out = append(out, r.Record().Sequence)
		}
		require.Zero(t, r.Damages())
		return out
	}
	require.Equal(t, all, read(0))
	for i, seq := range all {
		if i > 0 {
			require.Greater(t, seq, all[i-1])
		}
		require.Equal(t, len(all)-i-1, len(read(seq)))
		require.Equal(t, append([]Sequence(nil), all[i+1:]...), append([]Sequence(nil), read(seq)...))
	}
	cut := all[20].Segment()
	c, err := NewCheckpoint(fsys, testDir, cut, Options{})
	require.NoError(t, err)
	require.NoError(t, c.Finish())
	require.Equal(t, []Sequence{0, 0}, read(all[0])[:2], "begin and end of the checkpoint")
	require.Equal(t, all[31:], read(all[30]))
}

func TestMissingSegments(t *testing.T) {
	fsys := vfs.NewMem()
	w := openTest(t, fsys, Options{})
	for _, name := range []string{"1", "2", "3", "4"} {
		mustCommit(t, w, name)
		_, err := w.Rotate()
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, fsys.Remove(filepath.Join(testDir, segmentName(2))))
	names, damages := readAll(t, fsys, ReaderOptions{})
	require.Equal(t, []string{"1", "3", "4"}, names)
	require.Len(t, damages, 1)
	require.ErrorContains(t, damages[0], "missing")
}

func TestReadErrors(t *testing.T) {
	mem := vfs.NewMem()
	w := openTest(t, mem, Options{})
	mustCommit(t, w, "1")
	_, err := w.Rotate()
	require.NoError(t, err)
	mustCommit(t, w, "2")
	require.NoError(t, w.Close())
	for _, kind := range []vfs.Op{vfs.OpRead, vfs.OpOpen, vfs.OpClose} {
		disk := vfs.NewFail(mem)
		disk.Arm(vfs.Rule{Kinds: kind, N: 1})
		names, damages := readAll(t, disk, ReaderOptions{CutTail: true})
		require.Contains(t, names, "2")
		require.Len(t, damages, 1)
		require.ErrorContains(t, damages[0], "injected")
		require.False(t, damages[0].TornTail, "what cannot be read must not be cut")
	}
	disk := vfs.NewFail(mem)
	disk.Arm(vfs.Rule{Kinds: vfs.OpReadDir})
	_, err = OpenReader(disk, testDir, ReaderOptions{})
	require.ErrorIs(t, err, vfs.ErrInjected)
	_, err = Open(disk, testDir, Options{})
	require.NoError(t, err, "the failure was for once")
	// A read error in the last segment must not cut it either.
	disk.Arm(vfs.Rule{Kinds: vfs.OpRead, N: 2})
	_, damages := readAll(t, disk, ReaderOptions{CutTail: true})
	require.Len(t, damages, 1)
	require.False(t, damages[0].TornTail)
	names, _ := readAll(t, mem, ReaderOptions{})
	require.Equal(t, []string{"1", "2"}, names)
}
