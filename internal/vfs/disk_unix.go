//go:build linux || darwin

package vfs

import (
	"os"
	"syscall"
)

// DiskSize implements FS.
func (OS) DiskSize(name string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(name, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: name, Err: err}
	}
	return int64(st.Blocks) * int64(st.Bsize), nil
}
