package vfs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/edsrzf/mmap-go"
)

// OS is the machine's file system. Its zero value is ready to use.
type OS struct{}

var _ FS = OS{}

type osFile struct{ f *os.File }

// Create implements FS.
func (OS) Create(name string) (File, error) {
	return openOS(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND)
}

// Open implements FS.
func (OS) Open(name string) (File, error) { return openOS(name, os.O_RDONLY) }

// OpenAppend implements FS.
func (OS) OpenAppend(name string) (File, error) {
	return openOS(name, os.O_RDWR|os.O_CREATE|os.O_APPEND)
}

func openOS(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o666)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Map implements FS. An empty file yields an empty slice, since the system cannot map it.
func (OS) Map(name string) (Mapping, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // The mapping outlives the descriptor.
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if fi.Size() == 0 {
		return memMapping(nil), nil
	}
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "map", Path: name, Err: err}
	}
	return &osMapping{m}, nil
}

// ReadDir implements FS.
func (OS) ReadDir(name string) ([]Entry, error) {
	des, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, len(des))
	for i, de := range des {
		out[i] = Entry{Name: de.Name(), IsDir: de.IsDir()}
	}
	return out, nil
}

// MkdirAll implements FS.
func (OS) MkdirAll(name string) error { return os.MkdirAll(name, 0o777) }

// Rename implements FS.
func (OS) Rename(oldname, newname string) error { return os.Rename(oldname, newname) }

// Link implements FS.
func (OS) Link(oldname, newname string) error { return os.Link(oldname, newname) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// RemoveAll implements FS.
func (OS) RemoveAll(name string) error { return os.RemoveAll(name) }

// Stat implements FS.
func (OS) Stat(name string) (Info, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return Info{}, err
	}
	info := Info{IsDir: fi.IsDir(), ModTime: fi.ModTime()}
	if !info.IsDir {
		info.Size = fi.Size()
	}
	return info, nil
}

// SyncDir implements FS. On Windows, where a directory cannot be synced, it only checks that
// the directory exists; NTFS journals its names.
func (OS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" {
		err = d.Sync()
	}
	return errors.Join(err, d.Close())
}

// Lock implements FS.
func (OS) Lock(name string) (io.Closer, error) { return lockFile(filepath.Clean(name)) }

func (f osFile) Write(p []byte) (int, error)             { return f.f.Write(p) }
func (f osFile) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }
func (f osFile) Close() error                            { return f.f.Close() }
func (f osFile) Name() string                            { return f.f.Name() }
func (f osFile) Sync() error                             { return f.f.Sync() }
func (f osFile) Truncate(size int64) error               { return f.f.Truncate(size) }

func (f osFile) Size() (int64, error) {
	fi, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

type osMapping struct{ m mmap.MMap }

func (m *osMapping) Bytes() []byte { return m.m }

func (m *osMapping) Close() error {
	if m.m == nil {
		return nil
	}
	return m.m.Unmap() // Sets m.m to nil.
}

// memMapping is a mapping whose content lies in memory.
type memMapping []byte

func (m memMapping) Bytes() []byte { return m }
func (m memMapping) Close() error  { return nil }
