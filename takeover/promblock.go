package takeover

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime/debug"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	promstorage "github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/gnomonhq/gnomon/tsdb/compact"
)

// sourceError is an error of what is being imported, as opposed to one of where
// it is imported to.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// guard turns a panic of upstream's readers, which trust what lies under a
// checksum of somebody else's writing, into an error of the source.
func guard(err *error) {
	if r := recover(); r != nil {
		*err = &sourceError{fmt.Errorf("the reader gave up: %v\n%s", r, debug.Stack())}
	}
}

// promBlock is an open block of Prometheus.
type promBlock struct {
	*promtsdb.Block
	// names are the metric names, ascending; "" comes first and stands for
	// series without one, of which there may be none.
	names []string
}

// openPromBlock opens a block for reading. Close ends it.
func openPromBlock(ctx context.Context, dir string) (b *promBlock, err error) {
	defer guard(&err)
	pb, err := promtsdb.OpenBlock(nil, dir, nil, nil)
	if err != nil {
		return nil, &sourceError{fmt.Errorf("open block %s: %w", filepath.Base(dir), err)}
	}
	q, err := promtsdb.NewBlockQuerier(pb, math.MinInt64, math.MaxInt64)
	if err == nil {
		var names []string
		names, _, err = q.LabelValues(ctx, model.MetricNameLabel, nil)
		err = errors.Join(err, q.Close())
		b = &promBlock{Block: pb, names: append([]string{""}, names...)}
	}
	if err != nil {
		return nil, &sourceError{errors.Join(fmt.Errorf("open block %s: %w", filepath.Base(dir), err), pb.Close())}
	}
	slices.Sort(b.names)
	return b, nil
}

// promSource is a block of Prometheus as a source of a block of ours: metric by
// metric, since that is our order and not Prometheus's. What was deleted is left
// out. It digests what it hands out.
type promSource struct {
	ctx     context.Context
	block   *promBlock
	querier promstorage.Querier
	digest  Digest

	next    int // of block.names
	set     promstorage.SeriesSet
	it      chunkenc.Iterator
	labels  labels.Labels
	samples samples
	// resorted counts series whose samples were not in order.
	resorted int
	progress func(samples uint64)
	err      error
}

// openPromSource opens the block in a folder as a source.
func openPromSource(ctx context.Context, dir string, progress func(uint64)) (*promSource, error) {
	b, err := openPromBlock(ctx, dir)
	if err != nil {
		return nil, err
	}
	q, err := promtsdb.NewBlockQuerier(b, math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, errors.Join(&sourceError{err}, b.Close())
	}
	return &promSource{ctx: ctx, block: b, querier: q, progress: progress}, nil
}

func (s *promSource) close() error { return errors.Join(s.querier.Close(), s.block.Close()) }

// result is what was read. meta.json counts deleted samples as well.
func (s *promSource) result() (*Digest, []string) {
	var notes []string
	if s.resorted > 0 {
		notes = append(notes, fmt.Sprintf("%d series had samples that were not in the order of time or twice at the same time", s.resorted))
	}
	meta := s.block.Meta()
	if want := meta.Stats.NumSamples; want != s.digest.Samples && want > 0 && meta.Stats.NumTombstones == 0 && s.resorted == 0 {
		notes = append(notes, fmt.Sprintf("%s says that it has %d samples, and it has %d", promMetaFile, want, s.digest.Samples))
	}
	return &s.digest, notes
}

// Next goes to the next series that has samples.
func (s *promSource) Next() bool {
	for s.err == nil {
		found, err := s.advance()
		if err != nil {
			s.err = &sourceError{err}
		}
		if !found || err != nil {
			return false
		}
		if s.samples.len() > 0 {
			s.digest.Begin(s.labels)
			s.samples.digest(&s.digest)
			s.progress(s.digest.Samples)
			return true
		}
	}
	return false
}

// advance reads the next series, which may have been deleted as a whole.
func (s *promSource) advance() (found bool, err error) {
	defer guard(&err)
	for s.set == nil || !s.set.Next() {
		if s.set != nil && s.set.Err() != nil {
			return false, s.set.Err()
		}
		if s.next >= len(s.block.names) {
			return false, nil
		}
		m := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, s.block.names[s.next])
		s.set = s.querier.Select(s.ctx, true, nil, m)
		s.next++
	}
	series := s.set.At()
	s.labels = series.Labels()
	s.samples.reset()
	s.it = series.Iterator(s.it)
	if err := s.samples.read(s.it); err != nil {
		return false, fmt.Errorf("series %s: %w", s.labels, err)
	}
	if !s.samples.ascends() {
		s.resorted++
	}
	s.samples.settle()
	return true, nil
}

// Series returns the series that Next went to.
func (s *promSource) Series() compact.Series {
	return compact.Series{Labels: s.labels, Batches: s.samples.batches()}
}

// Err returns what ended the block early: a sourceError.
func (s *promSource) Err() error { return s.err }
