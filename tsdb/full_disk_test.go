package tsdb

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// TestStartOnAFullDisk opens a database while nothing can be written: what is there can be
// read, samples are refused, and both the log and the lock are as usual once there is room.
func TestStartOnAFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	db := openDB(t, testOptions(mem))
	write := func(at int64) error {
		g, err := db.OpenGroup(storage.GroupOptions{Origin: "a target"})
		require.NoError(t, err)
		_, err = g.AddColumn(name(0))
		require.NoError(t, err)
		return g.AppendRow(&storage.Row{T: at, Values: []float64{1}})
	}
	require.NoError(t, write(aligned))
	require.NoError(t, db.Close())

	for start := range int64(2) {
		fail := vfs.NewFail(mem)
		fail.Arm(vfs.Rule{Kinds: vfs.OpWrite | vfs.OpCreate | vfs.OpMkdir, Sticky: true, Err: syscall.ENOSPC})
		opts := testOptions(fail)
		opts.NoLockfile = false
		db = openDB(t, opts)
		want := storagetest.Contents{name(0).String(): {{T: aligned, V: 1}}}
		storagetest.RequireEqual(t, want, storagetest.ReadAll(t, db))
		require.ErrorIs(t, write(aligned+1000), storage.ErrNoSpace)
		storagetest.RequireEqual(t, want, storagetest.ReadAll(t, db))
		if start == 1 {
			fail.Disarm()
			require.NoError(t, write(aligned+2000))
		}
		require.NoError(t, db.Close())
	}
	db = openDB(t, testOptions(mem))
	storagetest.RequireEqual(t, storagetest.Contents{name(0).String(): {{T: aligned, V: 1}, {T: aligned + 2000, V: 1}}}, storagetest.ReadAll(t, db))
	require.NoError(t, db.Close())
}
