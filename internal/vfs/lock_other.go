//go:build !unix || solaris || aix

package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// lockFile makes the file itself the lock: it must not exist, and Close removes it. After a
// crash the operator has to delete it.
func lockFile(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, &os.PathError{Op: "lock", Path: name, Err: ErrLocked}
	}
	if err != nil {
		return nil, err
	}
	return &exclusiveFile{f}, nil
}

type exclusiveFile struct{ f *os.File }

func (l *exclusiveFile) Close() error {
	return errors.Join(l.f.Close(), os.Remove(l.f.Name()))
}
