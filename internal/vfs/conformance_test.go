package vfs

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// eachFS runs a test on every file system, in a directory that exists.
func eachFS(t *testing.T, test func(t *testing.T, fsys FS, dir string)) {
	t.Run("os", func(t *testing.T) { test(t, OS{}, t.TempDir()) })
	t.Run("mem", func(t *testing.T) {
		m := NewMem()
		require.NoError(t, m.MkdirAll("/some/dir"))
		test(t, m, "/some/dir")
	})
	t.Run("fail", func(t *testing.T) { test(t, NewFail(OS{}), t.TempDir()) })
}

func TestFiles(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "f")
		_, err := fsys.Open(name)
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, err = fsys.Stat(name)
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, err = fsys.Map(name)
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, err = fsys.Create(filepath.Join(dir, "missing", "f"))
		require.ErrorIs(t, err, fs.ErrNotExist)

		f, err := fsys.Create(name)
		require.NoError(t, err)
		require.Equal(t, name, f.Name())
		n, err := f.Write([]byte("hello world"))
		require.NoError(t, err)
		require.Equal(t, 11, n)
		require.NoError(t, f.Sync())
		require.NoError(t, f.Truncate(5))
		_, err = f.Write([]byte("!"))
		require.NoError(t, err)
		size, err := f.Size()
		require.NoError(t, err)
		require.Equal(t, int64(6), size)
		require.NoError(t, f.Truncate(8))
		require.NoError(t, f.Close())
		require.ErrorIs(t, f.Close(), fs.ErrClosed)
		_, err = f.Write([]byte("x"))
		require.ErrorIs(t, err, fs.ErrClosed)
		requireContent(t, fsys, name, "hello!\x00\x00")

		f, err = fsys.OpenAppend(name)
		require.NoError(t, err)
		_, err = f.Write([]byte("more"))
		require.NoError(t, err)
		var b [4]byte
		_, err = f.ReadAt(b[:], 8)
		require.NoError(t, err)
		require.Equal(t, "more", string(b[:]))
		n, err = f.ReadAt(b[:], 10)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 2, n)
		_, err = f.ReadAt(b[:], 100)
		require.ErrorIs(t, err, io.EOF)
		_, err = f.ReadAt(b[:], -1)
		require.Error(t, err)
		require.NoError(t, f.Close())

		f, err = fsys.Open(name)
		require.NoError(t, err)
		_, err = f.Write([]byte("x"))
		require.Error(t, err)
		require.Error(t, f.Truncate(0))
		require.NoError(t, f.Close())

		info, err := fsys.Stat(name)
		require.NoError(t, err)
		require.Equal(t, int64(12), info.Size)
		require.False(t, info.IsDir)
		require.False(t, info.ModTime.IsZero())

		_, err = fsys.DiskSize(name + "not there")
		require.ErrorIs(t, err, fs.ErrNotExist)
		if size, err := fsys.DiskSize(name); err != nil {
			require.ErrorIs(t, err, errors.ErrUnsupported)
		} else {
			require.Positive(t, size)
		}

		_, err = fsys.DiskFree(name + "not there")
		require.ErrorIs(t, err, fs.ErrNotExist)
		if free, err := fsys.DiskFree(name); err != nil {
			require.ErrorIs(t, err, errors.ErrUnsupported)
		} else {
			size, err := fsys.DiskSize(name)
			require.NoError(t, err)
			require.LessOrEqual(t, free, size)
		}

		f, err = fsys.Create(name)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		requireContent(t, fsys, name, "")
	})
}

func requireContent(t *testing.T, fsys FS, name, want string) {
	t.Helper()
	data, err := ReadFile(fsys, name)
	require.NoError(t, err)
	require.Equal(t, want, string(data))
	m, err := fsys.Map(name)
	require.NoError(t, err)
	require.Equal(t, want, string(m.Bytes()))
	require.NoError(t, m.Close())
}

func TestDirectories(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		sub := filepath.Join(dir, "a", "b")
		require.NoError(t, MkdirAllSync(fsys, sub))
		require.NoError(t, MkdirAllSync(fsys, sub))
		require.NoError(t, fsys.MkdirAll(sub))
		file := filepath.Join(sub, "z")
		require.NoError(t, WriteFileAtomic(fsys, file, []byte("1")))
		require.NoError(t, WriteFileAtomic(fsys, filepath.Join(sub, "y"), nil))
		require.Error(t, fsys.MkdirAll(filepath.Join(file, "x")))
		require.Error(t, MkdirAllSync(fsys, file))

		entries, err := fsys.ReadDir(filepath.Join(dir, "a"))
		require.NoError(t, err)
		require.Equal(t, []Entry{{Name: "b", IsDir: true}}, entries)
		entries, err = fsys.ReadDir(sub)
		require.NoError(t, err)
		require.Equal(t, []Entry{{Name: "y"}, {Name: "z"}}, entries)
		_, err = fsys.ReadDir(filepath.Join(dir, "missing"))
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, err = fsys.ReadDir(file)
		require.Error(t, err)
		info, err := fsys.Stat(sub)
		require.NoError(t, err)
		require.True(t, info.IsDir)
		require.Zero(t, info.Size)

		require.Error(t, fsys.Remove(sub), "not empty")
		require.NoError(t, fsys.Remove(filepath.Join(sub, "y")))
		require.ErrorIs(t, fsys.Remove(filepath.Join(sub, "y")), fs.ErrNotExist)
		require.NoError(t, fsys.SyncDir(sub))
		require.ErrorIs(t, fsys.SyncDir(filepath.Join(dir, "missing")), fs.ErrNotExist)
		require.NoError(t, fsys.RemoveAll(filepath.Join(dir, "a")))
		require.NoError(t, fsys.RemoveAll(filepath.Join(dir, "a")))
		require.NoError(t, fsys.RemoveAll(filepath.Join(dir, "missing", "x")))
		_, err = fsys.Stat(sub)
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}

func TestRenameAndLink(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		a, b, c := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
		require.NoError(t, WriteFileAtomic(fsys, a, []byte("A")))
		require.NoError(t, WriteFileAtomic(fsys, b, []byte("B")))
		require.NoError(t, fsys.Rename(a, b))
		requireContent(t, fsys, b, "A")
		require.ErrorIs(t, fsys.Rename(a, b), fs.ErrNotExist)
		require.ErrorIs(t, fsys.Rename(b, filepath.Join(dir, "missing", "x")), fs.ErrNotExist)

		require.NoError(t, fsys.Link(b, c))
		require.ErrorIs(t, fsys.Link(b, c), fs.ErrExist)
		require.ErrorIs(t, fsys.Link(a, filepath.Join(dir, "d")), fs.ErrNotExist)
		require.NoError(t, fsys.Remove(b))
		requireContent(t, fsys, c, "A")

		full := filepath.Join(dir, "full")
		require.NoError(t, fsys.MkdirAll(filepath.Join(full, "x")))
		empty := filepath.Join(dir, "empty")
		require.NoError(t, fsys.MkdirAll(empty))
		require.Error(t, fsys.Rename(empty, full), "a directory is not replaced")
		require.NoError(t, fsys.Remove(empty))
		require.NoError(t, fsys.Rename(full, empty))
		_, err := fsys.Stat(filepath.Join(empty, "x"))
		require.NoError(t, err)
	})
}

func TestLocks(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "lock")
		l, err := fsys.Lock(name)
		require.NoError(t, err)
		_, err = fsys.Lock(name)
		require.ErrorIs(t, err, ErrLocked)
		require.ErrorContains(t, err, name)
		require.NoError(t, l.Close())
		l, err = fsys.Lock(name)
		require.NoError(t, err)
		require.NoError(t, l.Close())
		_, err = fsys.Lock(filepath.Join(dir, "missing", "lock"))
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}

func TestWriteAtomicReportsTheWriter(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "f")
		require.NoError(t, WriteFileAtomic(fsys, name, []byte("old")))
		broken := errors.New("broken")
		err := WriteAtomic(fsys, name, func(w io.Writer) error {
			_, err := w.Write([]byte("half"))
			return errors.Join(broken, err)
		})
		require.ErrorIs(t, err, broken)
		requireContent(t, fsys, name, "old")
		entries, err := fsys.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1, "no temporary file is left")
	})
}
