package wal

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// logWithHistory writes "0" to "5", two to a segment, and returns the number to checkpoint at:
// "0" to "3" lie below.
func logWithHistory(t *testing.T, fsys vfs.FS) (*Writer, uint64) {
	w := openTest(t, fsys, Options{Sync: SyncAlways})
	number := uint64(0)
	for i := range 6 {
		mustCommit(t, w, fmt.Sprint(i))
		if i%2 == 1 && i < 5 {
			n, err := w.Rotate()
			require.NoError(t, err)
			number = n
		}
	}
	return w, number
}

func TestCheckpoint(t *testing.T) {
	fsys := vfs.NewMem()
	w, number := logWithHistory(t, fsys)
	c, err := NewCheckpoint(fsys, testDir, number, Options{SegmentBytes: 60})
	require.NoError(t, err)
	mustCommit(t, c, "summary of 0", "summary of 1 to 3")
	names, _ := readAll(t, fsys, ReaderOptions{})
	require.Equal(t, []string{"0", "1", "2", "3", "4", "5"}, names, "not there yet")
	require.NoError(t, c.Finish())
	require.NoError(t, c.Abort(), "nothing to abort")
	require.ErrorIs(t, c.Finish(), ErrClosed)

	want := []string{"summary of 0", "summary of 1 to 3", "4", "5"}
	for _, disk := range []*vfs.Mem{fsys, fsys.CrashClone()} {
		names, damages := readAll(t, disk, ReaderOptions{})
		require.Empty(t, damages)
		require.Equal(t, want, names)
	}
	mustCommit(t, w, "6")
	_, err = NewCheckpoint(fsys, testDir, number, Options{})
	require.ErrorContains(t, err, "already")

	// The next one replaces it.
	number, err = w.Rotate()
	require.NoError(t, err)
	c, err = NewCheckpoint(fsys, testDir, number, Options{})
	require.NoError(t, err)
	mustCommit(t, c, "summary of all")
	require.NoError(t, c.Finish())
	names, damages := readAll(t, fsys.CrashClone(), ReaderOptions{})
	require.Empty(t, damages)
	require.Equal(t, []string{"summary of all"}, names)
	require.NoError(t, w.Close())

	// A new Writer does not take up a number below the checkpoint's.
	require.NoError(t, fsys.Remove(filepath.Join(testDir, segmentName(number))))
	w = openTest(t, fsys, Options{})
	require.Equal(t, number, w.First())
	require.NoError(t, w.Close())
}

func TestCheckpointAbort(t *testing.T) {
	fsys := vfs.NewMem()
	w, number := logWithHistory(t, fsys)
	c, err := NewCheckpoint(fsys, testDir, number, Options{})
	require.NoError(t, err)
	mustCommit(t, c, "x")
	require.NoError(t, c.Abort())
	require.NoError(t, c.Abort())
	l, err := list(fsys, testDir)
	require.NoError(t, err)
	require.Empty(t, l.temporary)
	require.Empty(t, l.checkpoints)
	require.NoError(t, w.Close())
}

// TestCheckpointFailures lets each operation fail, and takes the power away at that point: the
// log says either what it said before or what the checkpoint says, never less.
func TestCheckpointFailures(t *testing.T) {
	before := []string{"0", "1", "2", "3", "4", "5"}
	after := []string{"summary", "4", "5"}
	sawBefore, sawAfter := false, false
	fired := true
	for n := 1; fired; n++ {
		mem := vfs.NewMem()
		disk := vfs.NewFail(mem)
		w, number := logWithHistory(t, disk)
		disk.Arm(vfs.Rule{Kinds: vfs.OpMutating, N: n})
		c, err := NewCheckpoint(disk, testDir, number, Options{})
		if err == nil {
			if _, err = commitNamed(c, "summary"); err == nil {
				err = c.Finish()
			} else {
				_ = c.Abort() // The failure may concern this, too.
			}
		}
		fired = disk.Fired()
		disk.Disarm()
		require.Equal(t, fired, err != nil)
		for _, state := range []*vfs.Mem{mem, mem.CrashClone(), mem.CrashCloneSeed(uint64(n))} {
			names, damages := readAll(t, state, ReaderOptions{})
			require.Empty(t, damages, "operation %d", n)
			if len(names) > 0 && names[0] == "summary" {
				require.Equal(t, after, names)
				sawAfter = true
			} else {
				require.Equal(t, before, names)
				sawBefore = true
			}
		}
		// Whatever is left over, the next checkpoint works.
		number, err = w.Rotate()
		require.NoError(t, err)
		c, err = NewCheckpoint(disk, testDir, number, Options{})
		require.NoError(t, err)
		mustCommit(t, c, "new summary")
		require.NoError(t, c.Finish())
		names, damages := readAll(t, mem.CrashClone(), ReaderOptions{})
		require.Empty(t, damages)
		require.Equal(t, []string{"new summary"}, names)
		l, err := list(mem, testDir)
		require.NoError(t, err)
		require.Empty(t, l.temporary)
		require.Len(t, l.checkpoints, 1)
		require.NoError(t, w.Close())
	}
	require.True(t, sawBefore && sawAfter)
}

func TestCheckpointDamaged(t *testing.T) {
	fsys := vfs.NewMem()
	w, number := logWithHistory(t, fsys)
	c, err := NewCheckpoint(fsys, testDir, number, Options{})
	require.NoError(t, err)
	mustCommit(t, c, "a", "b")
	require.NoError(t, c.Finish())
	require.NoError(t, w.Close())
	name := filepath.Join(testDir, checkpointName(number), segmentName(1))
	good, err := vfs.ReadFile(fsys, name)
	require.NoError(t, err)

	rewrite(t, fsys, name, good[:len(good)-1])
	names, damages := readAll(t, fsys, ReaderOptions{CutTail: true})
	require.Equal(t, []string{"a", "b", "4", "5"}, names)
	require.Len(t, damages, 2, "the record, and that it was the last one")
	require.ErrorContains(t, damages[1], "end record")

	for i := range good {
		rewrite(t, fsys, name, flipped(good, i, 4))
		names, damages := readAll(t, fsys, ReaderOptions{})
		require.NotEmpty(t, damages)
		require.Subset(t, names, []string{"4", "5"})
	}
	require.NoError(t, fsys.RemoveAll(filepath.Join(testDir, segmentName(number))))
	rewrite(t, fsys, name, good)
	w = openTest(t, fsys, Options{})
	require.NoError(t, w.Close())
}

func TestDecodeCheckpoint(t *testing.T) {
	n, err := DecodeCheckpoint([]byte{0x80, 2})
	require.NoError(t, err)
	require.Equal(t, uint64(256), n)
	_, err = DecodeCheckpoint([]byte{1, 1})
	require.ErrorIs(t, err, ErrCorrupt)
}
