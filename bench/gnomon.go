package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

// gnomonEngine is our database. Maintenance happens when a measurement asks for it.
type gnomonEngine struct {
	dir string
	db  *tsdb.DB
	// staleShare is 0 if series that ended wait for the next cut.
	staleShare float64
	// server gives blocks the ranges of a server.
	server bool
}

func (e *gnomonEngine) openWith(dir string, opts tsdb.Options) (err error) {
	opts.MaintenanceInterval = -1
	opts.Retention = -1
	opts.NoLockfile = true // the process before was killed on purpose
	e.dir = dir
	e.db, err = tsdb.Open(context.Background(), dir, opts)
	return err
}

func (e *gnomonEngine) open(dir string) error {
	opts := tsdb.Options{MinBlockDuration: cutRange, MaxBlockDuration: cutRange}
	if e.server {
		opts.MinBlockDuration, opts.MaxBlockDuration = 0, 0
	}
	if e.staleShare > 0 {
		opts.MinBlockDuration, opts.MaxBlockDuration = joinRange, joinRange // no cut comes between
		opts.StaleSeriesThreshold = e.staleShare
	}
	return e.openWith(dir, opts)
}

func (e *gnomonEngine) close() error     { return e.db.Close() }
func (e *gnomonEngine) clientBytes() int { return 0 }

func (e *gnomonEngine) serverBlocks()   { e.server = true }
func (e *gnomonEngine) maintain() error { return e.db.Maintain(context.Background()) }

func (e *gnomonEngine) freeStale(share float64) { e.staleShare = share }

// minute does the maintenance that the server does every minute, if it has something to do.
func (e *gnomonEngine) minute() error {
	if e.staleShare == 0 {
		return nil
	}
	return e.db.Maintain(context.Background())
}

type gnomonTarget struct{ group storage.Group }

func (e *gnomonEngine) target(origin string, columns int, series func(int) labels.Labels) (target, error) {
	g, err := e.db.OpenGroup(storage.GroupOptions{Origin: origin})
	if err != nil {
		return nil, err
	}
	for c := range columns {
		got, err := g.AddColumn(series(c))
		if err != nil {
			return nil, err
		}
		if got != storage.Column(c) {
			return nil, fmt.Errorf("column %d became %d: a series is there twice", c, got)
		}
	}
	return gnomonTarget{g}, nil
}

func (t gnomonTarget) append(row *storage.Row) error { return t.group.AppendRow(row) }

func (t gnomonTarget) replace(column int, series func() labels.Labels) error {
	t.group.ReleaseColumn(storage.Column(column))
	got, err := t.group.AddColumn(series())
	if err == nil && got != storage.Column(column) {
		err = fmt.Errorf("column %d became %d", column, got)
	}
	return err
}

func (e *gnomonEngine) usage(dir string) (usage, error) {
	var u usage
	var blocks []string
	err := files(dir, func(path string, size int64) {
		switch base := filepath.Base(path); {
		case strings.HasPrefix(path, "wal/"):
			u.log += size
		case base == "data":
			u.samples += size
		case base == "index":
			u.index += size
			blocks = append(blocks, filepath.Join(dir, filepath.Dir(path)))
		}
	})
	// The heads of the columns, the values of constants among them, are in the index.
	for _, name := range blocks {
		r, openErr := block.Open(vfs.OS{}, name, block.ReaderOptions{})
		if openErr != nil {
			return u, errors.Join(err, openErr)
		}
		columns := r.Sizes().Columns
		u.samples, u.index = u.samples+columns, u.index-columns
		r.Close()
		<-r.Done()
	}
	return u, err
}

func (e *gnomonEngine) first(mint, maxt int64, ms ...*labels.Matcher) (bool, error) {
	q, err := e.db.Querier(mint, maxt)
	if err != nil {
		return false, err
	}
	set := q.Select(context.Background(), nil, ms...)
	found := set.Next()
	if found {
		_ = set.At().Labels()
	}
	return found, errors.Join(set.Err(), q.Close())
}

// cut lets samples that are far ahead make the whole range due. The first of them becomes a block
// too: joining leaves the newest block alone.
func (e *gnomonEngine) cut(_, maxt int64) error {
	for i := range int64(2) {
		t := maxt + (i+1)*2*joinRange.Milliseconds()
		if err := e.singles([]uint64{0}, []labels.Labels{labels.FromStrings(model.MetricNameLabel, "later")}, t, 1); err != nil {
			return err
		}
		if err := e.db.Maintain(context.Background()); err != nil {
			return err
		}
	}
	return nil
}

// join opens the folder anew, as a database that joins blocks.
func (e *gnomonEngine) join(int64, int64) error {
	if err := e.db.Close(); err != nil {
		return err
	}
	if err := e.openWith(e.dir, tsdb.Options{MinBlockDuration: cutRange, MaxBlockDuration: joinRange}); err != nil {
		return err
	}
	return e.db.Maintain(context.Background())
}

func (e *gnomonEngine) stored() (int, bool) {
	greatest := 0
	for _, b := range e.db.Blocks() {
		greatest = max(greatest, int(b.Samples))
	}
	return greatest, true
}

func (e *gnomonEngine) singles(refs []uint64, series []labels.Labels, t int64, v float64) error {
	app := e.db.Appender(context.Background())
	for i, ls := range series {
		ref, err := app.Append(storage.SeriesRef(refs[i]), ls, t, v)
		if err != nil {
			return errors.Join(err, app.Rollback())
		}
		refs[i] = uint64(ref)
	}
	return app.Commit()
}
