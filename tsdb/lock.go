package tsdb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// folderLock keeps other processes from a folder. A nil lock is none.
type folderLock struct {
	fs    vfs.FS
	owner string
	held  io.Closer
	// left says that the process which had the folder before did not close it.
	left bool
}

// lockFolder locks a folder. If somebody else has it, the error says who and
// what to do.
func lockFolder(fsys vfs.FS, dir string) (*folderLock, error) {
	owner := filepath.Join(dir, ownerFile)
	held, err := fsys.Lock(filepath.Join(dir, lockFile))
	if errors.Is(err, vfs.ErrLocked) {
		who := "another process"
		if text, rerr := vfs.ReadFile(fsys, owner); rerr == nil && len(text) > 0 {
			who = strings.TrimSpace(string(text))
		}
		return nil, fmt.Errorf("data folder %s is in use by %s: stop it, or give this one a folder of its own: %w", dir, who, err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	_, serr := fsys.Stat(owner)
	text := fmt.Sprintf("process %d (%s), since %s\n", os.Getpid(), filepath.Base(os.Args[0]), time.Now().Format(time.RFC3339))
	// On a full disk nobody learns who has the folder, but they learn that it is in use.
	if err := vfs.WriteFileAtomic(fsys, owner, []byte(text)); err != nil && !wal.IsDiskFull(err) {
		return nil, errors.Join(fmt.Errorf("lock data folder %s: %w", dir, err), held.Close())
	}
	return &folderLock{fs: fsys, owner: owner, held: held, left: serr == nil}, nil
}

func (l *folderLock) release() error {
	if l == nil {
		return nil
	}
	err := l.fs.Remove(l.owner)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // the disk was full
	}
	return errors.Join(err, l.held.Close())
}
