package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// CheckpointWriter writes a checkpoint: what the segments below a number have to say that is
// still needed, so that they can go. It becomes the log's checkpoint with Finish, in one
// step. Records are written as to a log, with row encoders of their own.
//
// To take one: Writer.Rotate gives the number; everything that was committed before then is
// written here, unless it is in a block; it does no harm if some of what came later is
// written as well, because replaying a sample twice changes nothing.
type CheckpointWriter struct {
	fs     vfs.FS
	dir    string
	number uint64
	w      *Writer
	done   bool
}

// NewCheckpoint begins the checkpoint below segment number of the log in dir. The rest of an
// unfinished one is removed. The number must be greater than that of the checkpoint there
// is. Of opts, SegmentBytes, Origin and Logger count.
func NewCheckpoint(fsys vfs.FS, dir string, number uint64, opts Options) (*CheckpointWriter, error) {
	l, err := list(fsys, dir)
	if err != nil {
		return nil, err
	}
	if newest, ok := l.latestCheckpoint(); ok && newest >= number {
		return nil, fmt.Errorf("begin checkpoint %d: checkpoint %d is there already", number, newest)
	}
	tmp := filepath.Join(dir, checkpointName(number)+vfs.TemporarySuffix)
	if err := fsys.RemoveAll(tmp); err != nil {
		return nil, fmt.Errorf("begin checkpoint %d: %w", number, err)
	}
	opts.Sync, opts.Metrics, opts.ReservedBytes = SyncInterval, nil, 0
	w, err := open(fsys, tmp, kindCheckpoint, firstSegment, opts)
	if err != nil {
		return nil, fmt.Errorf("begin checkpoint %d: %w", number, err)
	}
	c := &CheckpointWriter{fs: fsys, dir: dir, number: number, w: w}
	if err := c.boundary(TypeCheckpointBegin); err != nil {
		return nil, errors.Join(err, c.Abort())
	}
	return c, nil
}

// Begin starts a batch of the checkpoint.
func (c *CheckpointWriter) Begin() *Batch { return c.w.Begin() }

func (c *CheckpointWriter) boundary(t Type) error {
	b := c.w.Begin()
	start := b.begin()
	b.buf = binary.AppendUvarint(b.buf, c.number)
	b.end(start, t)
	if _, err := b.Commit(); err != nil {
		return fmt.Errorf("checkpoint %d: %w", c.number, err)
	}
	return nil
}

// Finish makes the checkpoint durable and the log's newest, and removes older checkpoints
// and the segments below its number. An error before it became visible leaves the log as it
// was; an error of removing leaves files that the next Finish removes.
func (c *CheckpointWriter) Finish() error {
	if c.done {
		return ErrClosed
	}
	if err := c.boundary(TypeCheckpointEnd); err != nil {
		return errors.Join(err, c.Abort())
	}
	if err := c.w.Close(); err != nil {
		return errors.Join(fmt.Errorf("finish checkpoint %d: %w", c.number, err), c.Abort())
	}
	c.done = true
	name := filepath.Join(c.dir, checkpointName(c.number))
	if err := vfs.RenameSync(c.fs, name+vfs.TemporarySuffix, name); err != nil {
		return fmt.Errorf("finish checkpoint %d: %w", c.number, err)
	}
	if err := removeBelow(c.fs, c.dir, c.number); err != nil {
		return fmt.Errorf("remove what checkpoint %d replaces: %w", c.number, err)
	}
	return nil
}

// Abort removes the unfinished checkpoint. After Finish or Abort it does nothing.
func (c *CheckpointWriter) Abort() error {
	if c.done {
		return nil
	}
	c.done = true
	err := c.w.Close()
	tmp := filepath.Join(c.dir, checkpointName(c.number)+vfs.TemporarySuffix)
	if err = errors.Join(err, c.fs.RemoveAll(tmp)); err != nil {
		return fmt.Errorf("abort checkpoint %d: %w", c.number, err)
	}
	return nil
}

// removeBelow removes checkpoints below a number, unfinished ones, and the segments that the
// checkpoint with that number stands for.
func removeBelow(fsys vfs.FS, dir string, number uint64) error {
	l, err := list(fsys, dir)
	if err != nil {
		return err
	}
	for _, n := range l.checkpoints {
		if n < number {
			l.temporary = append(l.temporary, checkpointName(n))
		}
	}
	for _, name := range l.temporary {
		if err := fsys.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return removeSegments(fsys, dir, number)
}

// DecodeCheckpoint decodes the payload of a TypeCheckpointBegin or TypeCheckpointEnd record:
// the number of the segment from which on the log is replayed.
func DecodeCheckpoint(payload []byte) (number uint64, err error) {
	number, src, err := readUvarint(payload, "checkpoint")
	if err != nil {
		return 0, err
	}
	return number, checkEnd(src, "checkpoint")
}
