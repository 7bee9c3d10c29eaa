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

	"github.com/gnomonhq/gnomon/tsdb/block"
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

	next int // of block.names
	// series are those of the metric that was come to, in our order; the first done
	// of them were handed out.
	series  []promstorage.Series
	done    int
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
	for s.done == len(s.series) {
		if s.next >= len(s.block.names) {
			return false, nil
		}
		if err := s.find(s.block.names[s.next]); err != nil {
			return false, err
		}
		s.next++
	}
	series := s.series[s.done]
	s.done++
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

// find lists the series of a metric in our order, in which the buckets of a
// histogram ascend. Labels and the places of chunks of a whole metric are in memory
// for that.
func (s *promSource) find(metric string) error {
	set := s.querier.Select(s.ctx, false, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, metric))
	clear(s.series)
	s.series, s.done = s.series[:0], 0
	for set.Next() {
		s.series = append(s.series, set.At())
	}
	slices.SortFunc(s.series, func(a, b promstorage.Series) int { return block.Compare(a.Labels(), b.Labels()) })
	return set.Err()
}

// Series returns the series that Next went to.
func (s *promSource) Series() compact.Series {
	return compact.Series{Labels: s.labels, Batches: s.samples.batches()}
}

// Err returns what ended the block early: a sourceError.
func (s *promSource) Err() error { return s.err }
