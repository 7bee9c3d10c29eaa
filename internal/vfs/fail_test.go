package vfs

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// operations does each kind of operation once, in the order of the kinds.
func operations(fsys FS) map[Op]error {
	errs := map[Op]error{}
	f, err := fsys.Create("f")
	errs[OpCreate] = err
	if f == nil {
		f, err = fsys.OpenAppend("f")
	}
	if err != nil {
		return errs
	}
	_, errs[OpWrite] = f.Write([]byte("abc"))
	_, errs[OpRead] = f.ReadAt(make([]byte, 1), 0)
	errs[OpSync] = f.Sync()
	errs[OpTruncate] = f.Truncate(1)
	errs[OpClose] = f.Close()
	_, errs[OpOpen] = fsys.Map("f")
	_, errs[OpReadDir] = fsys.ReadDir(".")
	errs[OpMkdir] = fsys.MkdirAll("d")
	errs[OpLink] = fsys.Link("f", "g")
	errs[OpRename] = fsys.Rename("f", "h")
	errs[OpRemove] = fsys.RemoveAll("h")
	_, errs[OpStat] = fsys.Stat("d")
	errs[OpSyncDir] = fsys.SyncDir(".")
	l, err := fsys.Lock("l")
	if errs[OpLock] = err; l != nil {
		errs[OpLock] = l.Close()
	}
	return errs
}

func TestFailByKind(t *testing.T) {
	for op := Op(1); op <= OpLock; op <<= 1 {
		disk := NewFail(NewMem())
		disk.Arm(Rule{Kinds: op})
		errs := operations(disk)
		require.ErrorIs(t, errs[op], ErrInjected, "kind %#x", op)
		require.True(t, disk.Fired())
		require.Positive(t, disk.Count())
		for other, err := range errs {
			if other != op && op != OpWrite && op != OpMkdir { // What others look at is not there then.
				require.NoError(t, err, "kind %#x while %#x fails", other, op)
			}
		}
	}
	disk := NewFail(NewMem())
	for op, err := range operations(disk) {
		require.NoError(t, err, "%#x", op)
	}
	require.False(t, disk.Fired())
}

func TestFailRules(t *testing.T) {
	full := errors.New("no space")
	mem := NewMem()
	disk := NewFail(mem)
	disk.Arm(Rule{Kinds: OpWrite, N: 2, TearBytes: 2, Err: full, Contains: "victim"})
	f, err := disk.Create("victim")
	require.NoError(t, err)
	other, err := disk.Create("other")
	require.NoError(t, err)
	mustWrite(t, f, "one ")
	mustWrite(t, other, "a")
	mustWrite(t, other, "b")
	n, err := f.Write([]byte("two "))
	require.ErrorIs(t, err, full)
	require.ErrorContains(t, err, "write victim")
	require.Equal(t, 2, n)
	mustWrite(t, f, "three")
	requireContent(t, mem, "victim", "one twthree")
	requireContent(t, mem, "other", "ab")

	disk.Arm(Rule{Kinds: OpSync, Sticky: true})
	require.False(t, disk.Fired())
	require.ErrorIs(t, f.Sync(), ErrInjected)
	require.ErrorIs(t, f.Sync(), ErrInjected)
	disk.Disarm()
	require.True(t, disk.Fired())
	require.NoError(t, f.Sync())

	disk.Arm(Rule{N: 1})
	_, err = disk.Stat("victim")
	require.ErrorIs(t, err, ErrInjected, "no kind is any kind")
}
