//go:build linux || darwin

package vfs

import (
	"os"
	"syscall"
)

// DiskSize implements FS.
func (OS) DiskSize(name string) (int64, error) {
	st, err := statfs(name)
	return int64(st.Blocks) * int64(st.Bsize), err
}

// DiskFree implements FS.
func (OS) DiskFree(name string) (int64, error) {
	st, err := statfs(name)
	return int64(st.Bavail) * int64(st.Bsize), err
}

func statfs(name string) (st syscall.Statfs_t, err error) {
	if err := syscall.Statfs(name, &st); err != nil {
		return syscall.Statfs_t{}, &os.PathError{Op: "statfs", Path: name, Err: err}
	}
	return st, nil
}
