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

// Snapshot makes a database of all blocks in the folder dir, which must be on
// the same file system: the files are linked, not copied. With withHead the
// samples of the head are written to a block there as well.
func (db *DB) Snapshot(ctx context.Context, dir string, withHead bool) error {
	if err := db.running(); err != nil {
		return err
	}
	if err := db.WaitReplayed(ctx); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	db.working.Lock()
	defer db.working.Unlock()
	if filepath.Clean(dir) == filepath.Clean(db.dir) {
		return errors.New("snapshot: the folder is the database itself")
	}
	if err := vfs.MkdirAllSync(db.opts.FS, dir); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	for _, r := range db.blocks.list.Load().all() {
		if err := db.linkBlock(r, dir); err != nil {
			return fmt.Errorf("snapshot of block %s: %w", r.Meta().ULID, err)
		}
	}
	mint, maxt := db.head.NextTime(noTime), db.head.MaxTime()
	if withHead && mint != math.MaxInt64 {
		db.blocks.mu.RLock()
		from := db.blocks.cutTo
		db.blocks.mu.RUnlock()
		if _, err := db.writeHead(ctx, dir, mint, max(maxt, mint)+1, from, allOrdered(ctx)); err != nil {
			return fmt.Errorf("snapshot of the head: %w", err)
		}
	}
	return db.opts.FS.SyncDir(dir)
}

// linkBlock makes a second name for each file of a block.
func (db *DB) linkBlock(r *block.Reader, dir string) error {
	fsys := db.opts.FS
	name := filepath.Join(dir, r.Meta().ULID.String())
	tmp := name + vfs.TemporarySuffix
	if err := fsys.RemoveAll(tmp); err != nil {
		return err
	}
	if err := fsys.MkdirAll(tmp); err != nil {
		return err
	}
	for _, file := range []string{block.MetaFile, block.IndexFile, block.DataFile, block.TombstonesFile} {
		err := fsys.Link(filepath.Join(r.Dir(), file), filepath.Join(tmp, file))
		if err != nil && !(file == block.TombstonesFile && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	if err := fsys.SyncDir(tmp); err != nil {
		return err
	}
	return vfs.RenameSync(fsys, tmp, name)
}
