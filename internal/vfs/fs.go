package vfs

import (
	"errors"
	"io"
	"time"
)

// ErrLocked is returned (wrapped, with the name) by FS.Lock when another holder, in this or
// another process, has the lock.
var ErrLocked = errors.New("locked by another process")

// FS is a file system. Names are paths in the manner of the machine (path/filepath). Errors
// satisfy errors.Is with the errors of io/fs (fs.ErrNotExist, fs.ErrExist) and carry the
// operation and the name.
type FS interface {
	// Create makes an empty file for writing and reading, truncating one that exists.
	Create(name string) (File, error)
	// Open opens an existing file for reading. Write, Sync and Truncate of the result fail.
	Open(name string) (File, error)
	// OpenAppend opens a file for writing at its end and for reading, creating it if it is missing.
	OpenAppend(name string) (File, error)
	// Map gives the whole content of a file as one slice: mapped where the system can, read
	// into memory otherwise. The file must not be truncated or rewritten while it is mapped.
	Map(name string) (Mapping, error)
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]Entry, error)
	// MkdirAll makes a directory and its missing parents. It syncs nothing: see MkdirAllSync.
	MkdirAll(name string) error
	// Rename moves a file or directory. A file that is there is replaced; a directory is not.
	Rename(oldname, newname string) error
	// Link gives a file a second name. It fails with fs.ErrExist if newname is taken.
	Link(oldname, newname string) error
	// Remove deletes a file or an empty directory.
	Remove(name string) error
	// RemoveAll deletes a file, or a directory and everything in it; a missing one is no error.
	RemoveAll(name string) error
	// Stat describes a file or directory.
	Stat(name string) (Info, error)
	// DiskSize returns the size of the disk that a file or directory is on, bytes. The error
	// wraps errors.ErrUnsupported where the system does not tell.
	DiskSize(name string) (int64, error)
	// DiskFree returns how much of it this process can still write, bytes; errors are
	// those of DiskSize.
	DiskFree(name string) (int64, error)
	// SyncDir makes the entries of a directory durable.
	SyncDir(name string) error
	// Lock takes an exclusive advisory lock on the named file, creating it if it is missing,
	// and holds it until Close or the end of the process. ErrLocked says that it is taken.
	Lock(name string) (io.Closer, error)
}

// File is an open file. Writes go to its end.
type File interface {
	io.Writer
	io.ReaderAt
	io.Closer
	// Name is the name that the file was opened with.
	Name() string
	// Size is the current length in bytes.
	Size() (int64, error)
	// Sync makes the content written so far durable (not the file's name: see FS.SyncDir).
	Sync() error
	// Truncate cuts the file to size bytes; the next Write goes there. It is durable after Sync.
	Truncate(size int64) error
}

// Mapping is the content of a file as a slice.
type Mapping interface {
	// Bytes is the content. It must not be written to, and not be touched after Close.
	Bytes() []byte
	// Close releases the mapping.
	Close() error
}

// Entry is one name in a directory.
type Entry struct {
	Name  string
	IsDir bool
}

// Info describes a file or directory.
type Info struct {
	// Size is the length in bytes; 0 for a directory.
	Size int64
	// IsDir says that it is a directory.
	IsDir bool
	// ModTime is when the content last changed.
	ModTime time.Time
}
