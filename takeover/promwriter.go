package takeover

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/oklog/ulid/v2"
	promstorage "github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	promindex "github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/tombstones"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

// promWriter writes one block of Prometheus, a series at a time.
type promWriter struct {
	out  string
	id   ulid.ULID
	dir  string // while it is being written
	meta promtsdb.BlockMeta

	index  *promindex.Writer
	chunks *chunks.Writer
	done   bool
}

func newPromWriter(ctx context.Context, out string, mint, maxt int64, now time.Time) (*promWriter, error) {
	id, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("name block: %w", err)
	}
	w := &promWriter{out: out, id: id, dir: promDir(out, id.String(), true)}
	w.meta = promtsdb.BlockMeta{
		ULID: id, MinTime: mint, MaxTime: maxt, Version: 1,
		Compaction: promtsdb.BlockMetaCompaction{Level: 1, Sources: []ulid.ULID{id}},
	}
	if err := os.MkdirAll(w.dir, 0o777); err != nil {
		return nil, err
	}
	if w.chunks, err = chunks.NewWriter(filepath.Join(w.dir, "chunks")); err != nil {
		return nil, errors.Join(err, w.abort())
	}
	if w.index, err = promindex.NewWriter(ctx, filepath.Join(w.dir, "index")); err != nil {
		return nil, errors.Join(err, w.abort())
	}
	return w, nil
}

// write writes the series of a set, which ascend, and returns what they were.
// symbols are all their label names and values.
func (w *promWriter) write(ctx context.Context, symbols []string, set storage.SeriesSet) (*Digest, error) {
	for _, s := range symbols {
		if err := w.index.AddSymbol(s); err != nil {
			return nil, err
		}
	}
	d := &Digest{}
	reader := batchReader{ctx: ctx}
	var it storage.BatchIterator
	var s samples
	for set.Next() {
		series := set.At()
		s.reset()
		it = series.Batches(it)
		if err := reader.each(it, s.addBatch); err != nil {
			return nil, fmt.Errorf("series %s: %w", series.Labels(), err)
		}
		if s.len() == 0 {
			continue
		}
		d.Begin(series.Labels())
		s.digest(d)
		if err := w.series(&exportedSeries{labels: series.Labels(), samples: &s}); err != nil {
			return nil, fmt.Errorf("series %s: %w", series.Labels(), err)
		}
	}
	return d, set.Err()
}

// series encodes and writes a series.
func (w *promWriter) series(s *exportedSeries) error {
	var list []chunks.Meta
	it := promstorage.NewSeriesToChunkEncoder(s).Iterator(nil)
	for it.Next() {
		list = append(list, it.At())
	}
	if err := it.Err(); err != nil {
		return err
	}
	if err := w.chunks.WriteChunks(list...); err != nil {
		return err
	}
	if err := w.index.AddSeries(promstorage.SeriesRef(w.meta.Stats.NumSeries), s.labels, list...); err != nil {
		return err
	}
	w.meta.Stats.NumSeries++
	w.meta.Stats.NumChunks += uint64(len(list))
	for i := range s.samples.runs {
		n := uint64(s.samples.runs[i].Len())
		w.meta.Stats.NumSamples += n
		if s.samples.runs[i].Kind == storage.KindFloat {
			w.meta.Stats.NumFloatSamples += n
		} else {
			w.meta.Stats.NumHistogramSamples += n
		}
	}
	return nil
}

// finish completes the files, compares them with what was to be written, and
// gives the block its name.
func (w *promWriter) finish(ctx context.Context, want *Digest) error {
	if err := w.close(); err != nil {
		return err
	}
	if _, err := tombstones.WriteFile(slog.New(slog.DiscardHandler), w.dir, tombstones.NewMemTombstones()); err != nil {
		return err
	}
	data, err := json.MarshalIndent(&w.meta, "", "\t")
	if err != nil {
		return err
	}
	if err := vfs.WriteFileAtomic(vfs.OS{}, filepath.Join(w.dir, promMetaFile), data); err != nil {
		return err
	}
	if err := w.prove(ctx, want); err != nil {
		return err
	}
	if err := (vfs.OS{}).SyncDir(filepath.Join(w.dir, "chunks")); err != nil {
		return err
	}
	if err := vfs.RenameSync(vfs.OS{}, w.dir, promDir(w.out, w.id.String(), false)); err != nil {
		return err
	}
	w.done = true
	return nil
}

// prove reads the block with upstream's reader.
func (w *promWriter) prove(ctx context.Context, want *Digest) error {
	src, err := openPromSource(ctx, w.dir, func(uint64) {})
	if err != nil {
		return fmt.Errorf("read back what was written: %w", err)
	}
	got, err := digestSource(ctx, src)
	if err = errors.Join(err, src.close()); err != nil {
		return fmt.Errorf("read back what was written: %w", err)
	}
	if !got.Same(want) || w.meta.Stats.NumSamples != want.Samples {
		return fmt.Errorf("%w: %s, want %s", errDiffers, got, want)
	}
	return nil
}

func (w *promWriter) close() error {
	var errs []error
	if w.chunks != nil {
		errs = append(errs, w.chunks.Close())
	}
	if w.index != nil {
		errs = append(errs, w.index.Close())
	}
	w.chunks, w.index = nil, nil
	return errors.Join(errs...)
}

// abort removes what was written. After finish it does nothing.
func (w *promWriter) abort() error {
	if w.done {
		return nil
	}
	w.done = true
	_ = w.close() // an index without series cannot be completed
	return os.RemoveAll(w.dir)
}
