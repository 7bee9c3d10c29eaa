package head

import (
	"fmt"
	"sync"

	"github.com/gnomonhq/gnomon/tsdb/wal"
)

const (
	// A batch goes to its worker when it has so many bytes or records.
	replayBatchBytes   = 256 << 10
	replayBatchRecords = 1024
	// replayQueue is how many batches a worker has at most: that and the greatest
	// record bound the memory of the second pass.
	replayQueue = 4
)

// replayBatch is records for a worker.
type replayBatch struct {
	buf     []byte
	records []replayRecord
	// idle, if it is set, is told that the worker is done with the batch.
	idle *sync.WaitGroup
}

// replayRecord is a record whose payload lies in its batch.
type replayRecord struct {
	typ      wal.Type
	from, to int
	columns  *columnsRecord // of a TypeColumns record
	file     string
	offset   int64
}

// rowReader is the second pass: it reads the records and deals them out to the
// workers, so that those of a group come to one worker, in order.
type rowReader struct {
	*replay
	workers []*replayWorker
	work    sync.WaitGroup
}

// rows is the second pass.
func (r *replay) rows() error {
	reader, err := r.reader(wal.ReaderOptions{Before: r.firstSegment})
	if err != nil {
		r.aborted.Store(true)
		return err
	}
	rr := &rowReader{replay: r}
	for i := range r.workers {
		w := newReplayWorker(r, i)
		rr.workers = append(rr.workers, w)
		rr.work.Go(w.run)
	}
	last := ^uint64(0)
	for n := 0; reader.Next(); n++ {
		if n&63 == 0 {
			done, _ := reader.Progress()
			r.done.Store(done)
			if r.ctx.Err() != nil {
				r.aborted.Store(true)
				break
			}
		}
		rec := reader.Record()
		if seg := rec.Sequence.Segment(); seg != last || n&4095 == 0 {
			last = seg
			r.report(seg, false)
		}
		if err := rr.record(rec); err != nil {
			r.unusable(rec.File, rec.Offset, rec.Type, err)
		}
	}
	for _, w := range rr.workers {
		w.send()
		close(w.jobs)
	}
	rr.work.Wait()
	r.end()
	return reader.Close()
}

// record deals out a record.
func (rr *rowReader) record(rec *wal.Record) error {
	switch rec.Type {
	case wal.TypeColumns:
		at := recordPlace{rec.File, rec.Offset}
		def := rr.defs.columns[at]
		if def == nil {
			return fmt.Errorf("%w: the record could not be read before", errUnknown)
		}
		delete(rr.defs.columns, at) // it is not needed again
		if def.group != 0 {
			rr.of(def.group).add(rec, nil, def)
		}
	case wal.TypeRow, wal.TypeGroupClose, wal.TypeColumnRelease:
		// They all begin with the group.
		id, err := wal.RowGroup(rec.Payload)
		if err != nil {
			return err
		}
		rr.of(id).add(rec, rec.Payload, nil)
	case wal.TypeSamples:
		for _, w := range rr.workers { // each takes those of its series
			w.add(rec, rec.Payload, nil)
		}
	case wal.TypeFloors:
		return rr.floors(rec.Payload)
	case wal.TypeTombstone:
		rr.wait()
		return rr.tombstone(rec.Payload)
	}
	return nil
}

// of returns the worker that has the rows of a group.
func (rr *rowReader) of(group uint64) *replayWorker {
	return rr.workers[group%uint64(len(rr.workers))]
}

// wait waits until the workers have done everything so far.
func (rr *rowReader) wait() {
	var idle sync.WaitGroup
	for _, w := range rr.workers {
		idle.Add(1)
		w.pending.idle = &idle
		w.send()
	}
	idle.Wait()
}

// floors takes note of deleted samples.
func (rr *rowReader) floors(payload []byte) error {
	floors, err := wal.DecodeFloors(payload)
	if err != nil {
		return err
	}
	lost := 0
	for _, f := range floors {
		s := rr.find(f.Series)
		if s == nil {
			lost++
			continue
		}
		s.mu.Lock()
		s.raiseFloorLocked(f.T)
		s.mu.Unlock()
	}
	return lostError(lost, "series of floors")
}

// tombstone deletes from what was read before it, not from what was written since.
func (rr *rowReader) tombstone(payload []byte) error {
	t, err := wal.DecodeTombstone(payload)
	if err != nil {
		return err
	}
	rr.head.deletions.Add(1)
	mint, maxt := t.MinT, t.MaxT
	byGroup := map[*group][]extra{}
	for _, ref := range t.Series {
		s := rr.find(ref)
		if s == nil {
			continue
		}
		newest := rr.newest(s)
		s.mu.Lock()
		if newest >= mint && newest <= maxt {
			s.raiseFloorLocked(newest)
		}
		for _, p := range s.placesLocked() {
			if p.group.id <= rr.lastGroup {
				byGroup[p.group] = append(byGroup[p.group], extra{p.col, s})
			}
		}
		s.mu.Unlock()
		for _, w := range rr.workers {
			if _, err := w.loose[s].filter(mint, maxt, func(t int64, _ uint64) bool { return t < mint || t > maxt }); err != nil {
				return err
			}
		}
	}
	for g, places := range byGroup {
		g.delete(places, mint, maxt)
	}
	return nil
}

// newest returns the time of the newest sample of a series that was read so far, its
// floor included.
func (rr *rowReader) newest(s *series) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.floorLocked()
	for _, p := range s.placesLocked() {
		if p.group.id > rr.lastGroup {
			continue
		}
		v := p.group.pin()
		if at, ok := v.newest(s, p.col); ok {
			t = max(t, at)
		}
		v.unpin()
	}
	for _, w := range rr.workers {
		if at, ok := w.loose[s].newest(); ok {
			t = max(t, at)
		}
	}
	return t
}

// end closes the groups of the runs that wrote the log, and forgets what was taken for
// the newest sample of a series before all were there.
func (r *replay) end() {
	for _, g := range r.head.allGroups() {
		if g.id <= r.lastGroup {
			g.endReplay()
		}
	}
	until := r.until.Load()
	r.head.reg.each(func(s *series) bool {
		s.mu.Lock()
		if s.more != nil && s.more.newest <= until {
			s.untrackLocked()
		}
		s.mu.Unlock()
		return true
	})
	r.defs = definitions{}
}

// endReplay closes a group that was read from the log, unless its record did.
func (g *group) endReplay() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.endLocked()
	}
	g.pendingReleases = nil // the log needs not to be told
}
