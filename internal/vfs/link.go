package vfs

import (
	"errors"
	"io"
	"slices"
	"syscall"
)

// noLink are the errors of a system that cannot give the file a second name there.
var noLink = []error{syscall.EXDEV, syscall.EPERM, syscall.ENOSYS, syscall.EMLINK, errors.ErrUnsupported}

// LinkOrCopy gives a file a second name. Where that cannot be, on another disk or a file system
// without hard links, it copies the file; the copy's content is durable then, as far as its name
// is (FS.SyncDir).
func LinkOrCopy(fsys FS, oldname, newname string) error {
	err := fsys.Link(oldname, newname)
	if err == nil || !slices.ContainsFunc(noLink, func(no error) bool { return errors.Is(err, no) }) {
		return err
	}
	content, err := fsys.Map(oldname)
	if err != nil {
		return err
	}
	err = WriteAtomic(fsys, newname, func(w io.Writer) error {
		_, err := w.Write(content.Bytes())
		return err
	})
	return errors.Join(err, content.Close())
}
