package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	upstreamstorage "github.com/prometheus/prometheus/storage"
	upstreamtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/gnomonhq/gnomon/storage"
)

// upstreamEngine is Prometheus's database with the settings that its server has by default: a
// log compressed with snappy, chunks of 120 samples.
type upstreamEngine struct {
	ctx context.Context
	dir string
	db  *upstreamtsdb.DB
	// staleShare is 0 if series that ended wait for the next compaction of the head.
	staleShare float64
	// server gives blocks the ranges of a server.
	server bool
}

func (e *upstreamEngine) open(dir string) (err error) {
	opts := upstreamtsdb.DefaultOptions()
	opts.MinBlockDuration = cutRange.Milliseconds()
	opts.MaxBlockDuration = cutRange.Milliseconds()
	if e.staleShare > 0 {
		opts.MinBlockDuration, opts.MaxBlockDuration = joinRange.Milliseconds(), joinRange.Milliseconds()
	}
	if e.server {
		opts.MinBlockDuration, opts.MaxBlockDuration = (2 * time.Hour).Milliseconds(), (3 * 24 * time.Hour).Milliseconds()
	}
	opts.RetentionDuration = 0
	opts.WALCompression = compression.Snappy
	opts.NoLockfile = true
	e.dir = dir
	if e.db, err = upstreamtsdb.Open(dir, slog.New(slog.DiscardHandler), nil, opts, nil); err != nil {
		return err
	}
	e.db.DisableCompactions()
	return nil
}

func (e *upstreamEngine) close() error { return e.db.Close() }

// minute writes full chunks to the memory-mapped files of the head, as the server does.
func (e *upstreamEngine) minute() error {
	e.db.ForceHeadMMap()
	head := e.db.Head()
	if e.staleShare > 0 && float64(head.NumStaleSeries()) >= e.staleShare*float64(head.NumSeries()) {
		return e.db.CompactStaleHead()
	}
	return nil
}

func (e *upstreamEngine) serverBlocks()   { e.server = true }
func (e *upstreamEngine) maintain() error { return e.db.Compact(e.ctx) }

func (e *upstreamEngine) freeStale(share float64) { e.staleShare = share }

func (e *upstreamEngine) clientBytes() int { return 0 }

type upstreamTarget struct {
	engine *upstreamEngine
	refs   []upstreamstorage.SeriesRef
	// series makes the labels of a column; replaced does for those that were given to other
	// series.
	series   func(int) labels.Labels
	replaced map[int]func() labels.Labels
}

func (e *upstreamEngine) target(_ string, columns int, series func(int) labels.Labels) (target, error) {
	return &upstreamTarget{engine: e, refs: make([]upstreamstorage.SeriesRef, columns), series: series, replaced: map[int]func() labels.Labels{}}, nil
}

func (t *upstreamTarget) append(row *storage.Row) error {
	app := t.engine.db.Appender(t.engine.ctx)
	for c, v := range row.Values {
		if !row.Has(storage.Column(c)) {
			continue
		}
		ref, err := upstreamstorage.SeriesRef(0), error(nil)
		if t.refs[c] != 0 {
			ref, err = app.Append(t.refs[c], labels.EmptyLabels(), row.T, v)
		}
		if t.refs[c] == 0 || err != nil { // also if the series left memory meanwhile
			ref, err = app.Append(0, t.labels(c), row.T, v)
		}
		if err != nil {
			return errors.Join(err, app.Rollback())
		}
		t.refs[c] = ref
	}
	return app.Commit()
}

func (t *upstreamTarget) labels(column int) labels.Labels {
	if series := t.replaced[column]; series != nil {
		return series()
	}
	return t.series(column)
}

func (t *upstreamTarget) replace(column int, series func() labels.Labels) error {
	t.refs[column], t.replaced[column] = 0, series
	return nil
}

func (e *upstreamEngine) usage(dir string) (usage, error) {
	var u usage
	err := files(dir, func(path string, size int64) {
		switch parts := strings.Split(path, "/"); {
		case parts[0] == "wal":
			u.log += size
		case len(parts) == 3 && parts[1] == "chunks":
			u.samples += size
		case len(parts) == 2 && parts[1] == "index":
			u.index += size
		}
	})
	return u, err
}

func (e *upstreamEngine) first(mint, maxt int64, ms ...*labels.Matcher) (bool, error) {
	q, err := e.db.Querier(mint, maxt)
	if err != nil {
		return false, err
	}
	set := q.Select(e.ctx, false, nil, ms...)
	found := set.Next()
	if found {
		_ = set.At().Labels()
	}
	return found, errors.Join(set.Err(), q.Close())
}

func (e *upstreamEngine) cut(mint, maxt int64) error {
	for t := mint; t < maxt; t += cutRange.Milliseconds() {
		if err := e.db.CompactHead(upstreamtsdb.NewRangeHead(e.db.Head(), t, t+cutRange.Milliseconds()-1)); err != nil {
			return err
		}
	}
	return nil
}

func (e *upstreamEngine) join(int64, int64) error {
	var parts []string
	for _, b := range e.db.Blocks() {
		parts = append(parts, b.Dir())
	}
	c, err := upstreamtsdb.NewLeveledCompactor(e.ctx, nil, slog.New(slog.DiscardHandler),
		[]int64{cutRange.Milliseconds(), joinRange.Milliseconds()}, chunkenc.NewPool(), nil)
	if err != nil {
		return err
	}
	if _, err := c.Compact(e.dir, parts, e.db.Blocks()); err != nil {
		return err
	}
	if err := e.db.Close(); err != nil {
		return err
	}
	for _, dir := range parts {
		if err := os.RemoveAll(filepath.Clean(dir)); err != nil {
			return err
		}
	}
	return e.open(e.dir)
}

func (e *upstreamEngine) stored() (int, bool) {
	greatest := 0
	for _, b := range e.db.Blocks() {
		greatest = max(greatest, int(b.Meta().Stats.NumSamples))
	}
	return greatest, true
}

func (e *upstreamEngine) singles(refs []uint64, series []labels.Labels, t int64, v float64) error {
	app := e.db.Appender(e.ctx)
	for i, ls := range series {
		ref, err := app.Append(upstreamstorage.SeriesRef(refs[i]), ls, t, v)
		if err != nil {
			return errors.Join(err, app.Rollback())
		}
		refs[i] = uint64(ref)
	}
	return app.Commit()
}
