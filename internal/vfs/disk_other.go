//go:build !linux && !darwin

package vfs

import (
	"errors"
	"os"
)

// DiskSize implements FS.
func (OS) DiskSize(name string) (int64, error) {
	return 0, &os.PathError{Op: "statfs", Path: name, Err: errors.ErrUnsupported}
}

// DiskFree implements FS.
func (o OS) DiskFree(name string) (int64, error) { return o.DiskSize(name) }
