package tsdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

// Snapshot makes a database of all blocks in the folder dir, which must not exist.
// On the same file system the files are linked, not copied. With withHead the
// samples of the head are written to a block there as well. The folder appears
// when all is in it.
func (db *DB) Snapshot(ctx context.Context, dir string, withHead bool) error {
	if err := db.running(); err != nil {
		return err
	}
	if err := db.WaitReplayed(ctx); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	db.working.Lock()
	defer db.working.Unlock()
	fsys := db.opts.FS
	if _, err := fsys.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("snapshot: the folder %s exists already", dir), err)
	}
	tmp := filepath.Clean(dir) + vfs.TemporarySuffix
	err := fsys.RemoveAll(tmp)
	if err == nil {
		err = vfs.MkdirAllSync(fsys, tmp)
	}
	if err == nil {
		err = db.fillSnapshot(ctx, tmp, withHead)
	}
	if err == nil {
		err = vfs.RenameSync(fsys, tmp, dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("snapshot: %w", err), fsys.RemoveAll(tmp))
	}
	return nil
}

func (db *DB) fillSnapshot(ctx context.Context, dir string, withHead bool) error {
	for _, r := range db.blocks.list.Load().all() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := db.linkBlock(r, dir); err != nil {
			return fmt.Errorf("block %s: %w", r.Meta().ULID, err)
		}
	}
	mint, maxt := db.head.NextTime(noTime), db.head.MaxTime()
	if withHead && mint != math.MaxInt64 {
		db.blocks.mu.RLock()
		from := db.blocks.cutTo
		db.blocks.mu.RUnlock()
		if _, err := db.writeHead(ctx, dir, mint, max(maxt, mint)+1, from, allOrdered(ctx)); err != nil {
			return fmt.Errorf("head: %w", err)
		}
	}
	return db.opts.FS.SyncDir(dir)
}

// linkBlock makes a second name for each file of a block.
func (db *DB) linkBlock(r *block.Reader, dir string) error {
	fsys, to := db.opts.FS, filepath.Join(dir, r.Meta().ULID.String())
	if err := fsys.MkdirAll(to); err != nil {
		return err
	}
	for _, file := range []string{block.MetaFile, block.IndexFile, block.DataFile, block.TombstonesFile} {
		err := vfs.LinkOrCopy(fsys, filepath.Join(r.Dir(), file), filepath.Join(to, file))
		if err != nil && !(file == block.TombstonesFile && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return fsys.SyncDir(to)
}
