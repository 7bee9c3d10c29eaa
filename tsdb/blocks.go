package tsdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/head"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

// blockSet is the blocks that queries see. It implements head.Older.
type blockSet struct {
	fs     vfs.FS
	dir    string
	logger *slog.Logger

	// list has the blocks. It is replaced under mu and never changed, and read
	// without a lock: the head looks into blocks (Older) while it holds locks that
	// are taken below mu.
	list atomic.Pointer[blockList]

	older olderCache
	// changes is told of what is deleted, and of what comes from elsewhere.
	changes *head.Changes

	mu sync.RWMutex
	// The following are guarded by mu.
	// cutTo is where the rows of the head begin that are not in a block.
	cutTo int64
	// writing counts blocks that are being written from what is there, and
	// deletions has what was deleted meanwhile.
	writing   int
	deletions []deletion
	// broken are blocks that could not be opened, so that it is said once.
	broken map[ulid.ULID]struct{}
}

// deletion is a call of Delete.
type deletion struct {
	mint, maxt int64
	matchers   []*labels.Matcher
}

func newBlockSet(fsys vfs.FS, dir string, logger *slog.Logger, changes *head.Changes) *blockSet {
	s := &blockSet{changes: changes, fs: fsys, dir: dir, logger: logger, cutTo: noTime, broken: map[ulid.ULID]struct{}{}}
	s.list.Store(newBlockList(nil))
	return s
}

// readers returns the blocks of samples, ascending in time.
func (s *blockSet) readers() []*block.Reader { return s.list.Load().samples }

// replaceLocked takes blocks out and adds others.
func (s *blockSet) replaceLocked(old, added []*block.Reader) {
	list := slices.DeleteFunc(s.list.Load().all(), func(r *block.Reader) bool { return slices.Contains(old, r) })
	s.list.Store(newBlockList(append(list, added...)))
}

// metas returns the metas of the blocks there are.
func (s *blockSet) metas() []block.Meta {
	var out []block.Meta
	for _, r := range s.readers() {
		out = append(out, r.Meta())
	}
	return out
}

func (s *blockSet) open(id ulid.ULID) (*block.Reader, error) {
	return block.Open(s.fs, filepath.Join(s.dir, id.String()), block.ReaderOptions{})
}

// scanDisk opens blocks that are new on disk and lets go of those that are
// gone. Blocks that another one was made of are deleted: a crash came between
// the two. A block that cannot be opened is left alone; the error says which.
func (s *blockSet) scanDisk() error {
	ids, err := block.List(s.fs, s.dir)
	if err != nil {
		return fmt.Errorf("list blocks: %w", err)
	}
	var errs []error
	known := map[ulid.ULID]*block.Reader{}
	for _, r := range s.list.Load().all() {
		known[r.Meta().ULID] = r
	}
	var list []*block.Reader
	least := int64(math.MaxInt64)
	for _, id := range ids {
		r := known[id]
		if r == nil {
			if r, err = s.open(id); err != nil {
				s.mu.Lock()
				_, said := s.broken[id]
				s.broken[id] = struct{}{}
				s.mu.Unlock()
				if !said {
					s.logger.Error("block cannot be opened and is left alone", "block", id, "err", err)
				}
				errs = append(errs, fmt.Errorf("open block %s: %w", id, err))
				continue
			}
			least = min(least, r.Meta().MinTime)
		}
		delete(known, id)
		list = append(list, r)
	}
	replaced := map[ulid.ULID]struct{}{}
	for _, r := range list {
		for _, p := range r.Meta().Compaction.Parents {
			replaced[p.ULID] = struct{}{}
		}
	}
	kept := list[:0:0]
	var gone []*block.Reader
	for _, r := range list {
		if _, ok := replaced[r.Meta().ULID]; ok {
			gone = append(gone, r)
		} else {
			kept = append(kept, r)
		}
	}
	for _, r := range known {
		least = min(least, r.Meta().MinTime)
	}
	s.changes.Note(least)
	s.mu.Lock()
	s.list.Store(newBlockList(kept))
	s.mu.Unlock()
	s.changes.Note(least)
	for _, r := range known {
		r.Close()
	}
	return errors.Join(append(errs, s.remove(gone))...)
}

func sortedReaders(list []*block.Reader) []*block.Reader {
	slices.SortFunc(list, func(a, b *block.Reader) int {
		ma, mb := a.Meta(), b.Meta()
		return cmp.Or(cmp.Compare(ma.MinTime, mb.MinTime), cmp.Compare(ma.MaxTime, mb.MaxTime), ma.ULID.Compare(mb.ULID))
	})
	return list
}

// remove deletes blocks that are in the list no more. Queriers that have them
// open keep them alive.
func (s *blockSet) remove(gone []*block.Reader) error {
	var errs []error
	for _, r := range gone {
		r.Close()
		if err := block.Delete(s.fs, s.dir, r.Meta().ULID); err != nil {
			errs = append(errs, fmt.Errorf("delete block %s: %w", r.Meta().ULID, err))
		}
	}
	return errors.Join(errs...)
}

// beginWriting notes that a block is being written from what is there; each call
// is followed by one of publish or abandon.
func (s *blockSet) beginWriting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing++
}

func (s *blockSet) endWritingLocked() {
	if s.writing--; s.writing == 0 {
		s.deletions = nil
	}
}

// abandon ends what beginWriting began.
func (s *blockSet) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endWritingLocked()
}

// publish puts new blocks into the place of old ones, in one step: what was
// deleted while they were being written is deleted from them, and queriers see
// either the one or the other. If cutTo is greater than before, rows of the head
// that are older are not seen there any more. The old blocks are removed.
func (s *blockSet) publish(ctx context.Context, added []ulid.ULID, old []*block.Reader, cutTo int64) error {
	var fresh []*block.Reader
	for _, id := range added {
		r, err := s.open(id)
		if err != nil {
			s.abandon()
			return errors.Join(fmt.Errorf("open new block %s: %w", id, err), s.discard(fresh, added))
		}
		fresh = append(fresh, r)
	}
	s.mu.Lock()
	for _, d := range s.deletions {
		for _, r := range fresh {
			if err := deleteFrom(ctx, r, d); err != nil {
				s.endWritingLocked()
				s.mu.Unlock()
				return errors.Join(err, s.discard(fresh, added))
			}
		}
	}
	s.endWritingLocked()
	s.replaceLocked(old, fresh)
	s.cutTo = max(s.cutTo, cutTo)
	s.mu.Unlock()
	return s.remove(old)
}

// discard removes blocks that did not become visible.
func (s *blockSet) discard(open []*block.Reader, ids []ulid.ULID) error {
	for _, r := range open {
		r.Close()
	}
	var errs []error
	for _, id := range ids {
		errs = append(errs, block.Delete(s.fs, s.dir, id))
	}
	return errors.Join(errs...)
}

// drop takes blocks out and removes them.
func (s *blockSet) drop(old []*block.Reader) error {
	least := int64(math.MaxInt64)
	for _, r := range old {
		least = min(least, r.Meta().MinTime)
	}
	s.changes.Note(least)
	s.mu.Lock()
	s.replaceLocked(old, nil)
	s.mu.Unlock()
	s.changes.Note(least)
	return s.remove(old)
}

// refresh looks at the blocks anew after something was deleted from them.
func (s *blockSet) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list.Store(newBlockList(s.list.Load().all()))
}

// delete deletes from all blocks, and from the head by fromHead, in one step
// for queriers.
func (s *blockSet) delete(ctx context.Context, mint, maxt int64, ms []*labels.Matcher, fromHead func() error) error {
	d := deletion{mint, maxt, ms}
	s.changes.Note(mint)
	defer s.changes.Note(mint) // when mu is not held any more
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing > 0 {
		s.deletions = append(s.deletions, d)
	}
	all := s.list.Load().all()
	defer func() { s.list.Store(newBlockList(all)) }()
	for _, r := range all {
		if err := deleteFrom(ctx, r, d); err != nil {
			return err
		}
	}
	return fromHead()
}

// deleteFrom deletes from one block.
func deleteFrom(ctx context.Context, r *block.Reader, d deletion) error {
	meta := r.Meta()
	if d.maxt < meta.MinTime || d.mint >= meta.MaxTime {
		return nil
	}
	if !r.Acquire() {
		return nil
	}
	defer r.Release()
	ids, err := index.Select(ctx, r, d.matchers...)
	if err == nil && !ids.IsEmpty() {
		err = r.Delete(block.Interval{MinT: max(d.mint, meta.MinTime), MaxT: min(d.maxt, meta.MaxTime-1)}, ids)
	}
	if err != nil {
		return fmt.Errorf("block %s: %w", meta.ULID, err)
	}
	return nil
}

// close lets go of all blocks.
func (s *blockSet) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.list.Load().all() {
		r.Close()
	}
	s.list.Store(newBlockList(nil))
}

// newest returns the time of the newest sample in blocks, at most.
func (s *blockSet) newest() (int64, bool) {
	t, ok := int64(math.MinInt64), false
	for _, r := range s.readers() {
		t, ok = max(t, r.Meta().MaxTime-1), true
	}
	return t, ok
}

// endBefore returns the greatest end of blocks that end at limit or before.
func (s *blockSet) endBefore(limit int64) int64 {
	t := int64(noTime)
	for _, r := range s.readers() {
		if end := r.Meta().MaxTime; end <= limit {
			t = max(t, end)
		}
	}
	return t
}

func (s *blockSet) minTime() int64 {
	t := int64(math.MaxInt64)
	for _, r := range s.readers() {
		t = min(t, r.Meta().MinTime)
	}
	return t
}
