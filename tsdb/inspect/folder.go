package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/oklog/ulid/v2"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

// logDir is the folder of the log in a data folder.
const logDir = "wal"

// Open opens a data folder, its head included, without letting the database do
// anything by itself. It fails if a server has it open.
func Open(ctx context.Context, fsys vfs.FS, dir string) (*tsdb.DB, error) {
	if _, err := blocksOf(fsys, dir); err != nil {
		return nil, err
	}
	db, err := tsdb.Open(ctx, dir, tsdb.Options{FS: fsys, MaintenanceInterval: -1, Reloadable: tsdb.Reloadable{Retention: -1}})
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("%w; or let the server make a snapshot (POST /api/v1/admin/tsdb/snapshot) and use that", err)
	}
	return db, err
}

// blocksOf lists the blocks of a data folder. It fails if the folder is none.
func blocksOf(fsys vfs.FS, dir string) ([]ulid.ULID, error) {
	info, err := fsys.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no folder %s", dir)
	case err != nil:
		return nil, fmt.Errorf("data folder: %w", err)
	case !info.IsDir:
		return nil, fmt.Errorf("%s is not a folder", dir)
	}
	ids, err := block.List(fsys, dir)
	if err != nil {
		return nil, err
	}
	_, err = fsys.Stat(filepath.Join(dir, logDir))
	switch {
	case OfPrometheus(fsys, dir):
		return nil, fmt.Errorf("%s is the data folder of a Prometheus: take it over with gnomon tsdb import prometheus", dir)
	case len(ids) == 0 && err != nil:
		return nil, fmt.Errorf("%s is not a data folder: it has neither blocks nor a log", dir)
	}
	return ids, nil
}

// OfPrometheus reports whether a folder is the data folder of a Prometheus, which
// has chunks of its head there.
func OfPrometheus(fsys vfs.FS, dir string) bool {
	info, err := fsys.Stat(filepath.Join(dir, "chunks_head"))
	return err == nil && info.IsDir
}

// openBlock opens a block by its name, or the newest one if it has none.
func openBlock(fsys vfs.FS, dir, name string) (*block.Reader, error) {
	ids, err := blocksOf(fsys, dir)
	if err != nil {
		return nil, err
	}
	var metas []block.Meta
	for _, id := range ids {
		if name != "" && name != id.String() {
			continue
		}
		m, err := block.ReadMeta(fsys, filepath.Join(dir, id.String()))
		if err != nil && name != "" {
			return nil, err
		}
		if err == nil {
			metas = append(metas, m)
		}
	}
	if len(metas) == 0 && name != "" {
		return nil, fmt.Errorf("there is no block %s in %s", name, dir)
	}
	if len(metas) == 0 {
		return nil, fmt.Errorf("there is no block in %s that can be read", dir)
	}
	newest := metas[0]
	for _, m := range metas {
		if m.MaxTime > newest.MaxTime {
			newest = m
		}
	}
	return block.Open(fsys, filepath.Join(dir, newest.ULID.String()), block.ReaderOptions{})
}
