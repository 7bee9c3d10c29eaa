package vfs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// TemporarySuffix ends the names of files and directories that are not finished. Whoever
// finds one at start may remove it.
const TemporarySuffix = ".tmp"

// WriteFileAtomic makes name hold data: after a crash at any moment it holds either what it
// held before or all of data.
func WriteFileAtomic(fsys FS, name string, data []byte) error {
	return WriteAtomic(fsys, name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteAtomic is WriteFileAtomic for content that write produces piece by piece (buffered,
// so the pieces may be small). An error leaves the old content and no temporary file, as far
// as the disk still obeys.
func WriteAtomic(fsys FS, name string, write func(io.Writer) error) error {
	tmp := name + TemporarySuffix
	if err := writeSynced(fsys, tmp, write); err != nil {
		return errors.Join(err, removeIfExists(fsys, tmp))
	}
	return RenameSync(fsys, tmp, name)
}

// RenameSync renames and makes the new name durable. The two names must lie in one directory.
func RenameSync(fsys FS, oldname, newname string) error {
	if err := fsys.Rename(oldname, newname); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(newname))
}

func writeSynced(fsys FS, name string, write func(io.Writer) error) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func removeIfExists(fsys FS, name string) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// MkdirAllSync makes a directory and its missing parents, and makes their names durable.
func MkdirAllSync(fsys FS, name string) error {
	name = filepath.Clean(name)
	info, err := fsys.Stat(name)
	switch {
	case err == nil && info.IsDir:
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: name, Err: errors.New("exists and is not a directory")}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(name)
	if parent != name {
		if err := MkdirAllSync(fsys, parent); err != nil {
			return err
		}
	}
	if err := fsys.MkdirAll(name); err != nil {
		return err
	}
	return fsys.SyncDir(parent)
}

// ReadFile reads a whole file into memory that the caller owns.
func ReadFile(fsys FS, name string) (data []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	data = make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, size), data); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}
