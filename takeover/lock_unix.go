//go:build unix && !solaris && !aix

package takeover

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// lockShared takes the lock of a folder of Prometheus together with other
// readers, without writing: Prometheus takes it for itself, with the same call.
// A folder without a lock file is not in use, and stays without one.
func lockShared(name string) (io.Closer, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errLocked
		}
		return nil, errors.Join(&os.PathError{Op: "lock", Path: name, Err: err}, f.Close())
	}
	return f, nil
}
