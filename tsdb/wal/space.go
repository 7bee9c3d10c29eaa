package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// ErrDiskFull is wrapped by the errors of Commit while the disk is full, or has less free
// than Options.ReservedBytes.
var ErrDiskFull = errors.New("disk is full")

// IsDiskFull says whether an error is one of a disk, or of a user's share of it, that is full.
func IsDiskFull(err error) bool {
	return errors.Is(err, ErrDiskFull) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// spaceInterval is how often the free space is looked at while there is enough.
const spaceInterval = time.Second

// diskSpace refuses writes while the disk has too little free, so that something is left for
// what makes room: checkpoints, and blocks that are cut and joined. It belongs to the leader
// of a group commit.
type diskSpace struct {
	fs       vfs.FS
	dir      string
	reserved int64
	logger   *slog.Logger
	metrics  *Metrics

	next time.Time // When to look again.
	full bool
}

// check fails if the disk has too little free. A system that does not tell has enough.
func (d *diskSpace) check(now time.Time) error {
	if d.reserved <= 0 || (!d.full && now.Before(d.next)) {
		return nil
	}
	d.next = now.Add(spaceInterval)
	free, err := d.fs.DiskFree(d.dir)
	if err != nil || free >= d.reserved {
		return nil
	}
	return fmt.Errorf("%w: %s has %d bytes free, %d are reserved for what makes room", ErrDiskFull, d.dir, free, d.reserved)
}

// note takes notice of what became of a write: nil, or why it was not done. It returns the
// error to be given on.
func (d *diskSpace) note(err error) error {
	full := IsDiskFull(err)
	if full && !errors.Is(err, ErrDiskFull) {
		err = fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	switch {
	case full && !d.full:
		d.metrics.diskFull.Set(1)
		d.logger.Error("samples are refused until there is room on the disk", "err", err)
	case err == nil && d.full:
		d.metrics.diskFull.Set(0)
		d.logger.Info("there is room on the disk again: samples are taken", "dir", d.dir)
	default:
		return err
	}
	d.full = full
	return err
}
