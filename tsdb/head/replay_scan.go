package head

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// definitions is what the first pass found in the log.
type definitions struct {
	// columns has the TypeColumns records; those without a group, or damaged, are
	// empty.
	columns map[recordPlace]*columnsRecord
	// aliases has the series that the log knows by a reference that is not
	// theirs: one was forgotten and came back, and both records are there.
	aliases map[storage.SeriesRef]*series
}

// columnsRecord says which series got which columns.
type columnsRecord struct {
	group   uint64
	columns []storage.Column
	series  []*series
}

// scanner is the first pass. It reads every record's frame, and of rows only the time.
type scanner struct {
	*replay
	times *wal.RowTimes
	// newest is the time of the newest sample.
	newest int64
	// samples is scratch memory.
	samples []wal.Sample
	// metadata and exemplars wait for the definitions of their series, by the
	// log's references.
	metadata  map[storage.SeriesRef]*metadata.Metadata
	exemplars *exemplarRing

	jobs chan definitionJob
	work sync.WaitGroup // Add only in start
	// mu guards defs.aliases.
	mu sync.Mutex
}

// definitionJob is a TypeColumns record.
type definitionJob struct {
	into    *columnsRecord
	payload []byte
	file    string
	offset  int64
}

// scan is the first pass.
func (r *replay) scan(metrics *wal.Metrics) error {
	reader, err := r.reader(wal.ReaderOptions{CutTail: true, Metrics: metrics})
	if err != nil {
		return err
	}
	s := &scanner{
		replay: r, times: wal.NewRowTimes(), newest: minTime,
		metadata:  map[storage.SeriesRef]*metadata.Metadata{},
		exemplars: newExemplarRing(r.head.settings.Load().MaxExemplars),
		jobs:      make(chan definitionJob, 2*r.workers),
	}
	r.defs = definitions{columns: map[recordPlace]*columnsRecord{}, aliases: map[storage.SeriesRef]*series{}}
	_, total := reader.Progress()
	r.total.Store(total)
	s.begin()
	last := ^uint64(0)
	for reader.Next() {
		rec := reader.Record()
		if seg := rec.Sequence.Segment(); seg != last {
			last = seg
			r.report(seg, false)
		}
		if err := s.record(rec); err != nil {
			r.unusable(rec.File, rec.Offset, rec.Type, err)
		}
	}
	close(s.jobs)
	s.work.Wait()
	s.end()
	return reader.Close()
}

// begin starts the workers that make series.
func (s *scanner) begin() {
	for range s.workers {
		s.work.Go(func() {
			restorer := s.head.reg.newRestorer()
			for job := range s.jobs {
				if err := s.define(restorer, &job); err != nil {
					s.unusable(job.file, job.offset, wal.TypeColumns, err)
				}
			}
		})
	}
}

// record looks at a record. Errors in rows are left to the second pass.
func (s *scanner) record(rec *wal.Record) error {
	switch rec.Type {
	case wal.TypeGroup:
		return s.group(rec.Payload)
	case wal.TypeColumns:
		into := &columnsRecord{}
		s.defs.columns[recordPlace{rec.File, rec.Offset}] = into
		s.jobs <- definitionJob{into: into, payload: bytes.Clone(rec.Payload), file: rec.File, offset: rec.Offset}
	case wal.TypeRow:
		if t, err := s.times.Next(rec); err == nil {
			s.newest = max(s.newest, t)
		}
	case wal.TypeSamples:
		s.samples, _ = wal.DecodeSamples(s.samples[:0], rec.Payload)
		for i := range s.samples {
			s.newest = max(s.newest, s.samples[i].T)
		}
	case wal.TypeFloors:
		floors, _ := wal.DecodeFloors(rec.Payload)
		for i := range floors {
			s.newest = max(s.newest, floors[i].T)
		}
	case wal.TypeExemplars:
		list, err := wal.DecodeExemplars(rec.Payload)
		for i := range list {
			if ok, _ := s.exemplars.admitLocked(&list[i]); ok {
				s.exemplars.addLocked(list[i])
			}
		}
		return err
	case wal.TypeMetadata:
		list, err := wal.DecodeMetadata(rec.Payload)
		for i := range list {
			s.metadata[list[i].Series] = s.head.families.intern(list[i].Metadata)
		}
		return err
	case wal.TypeTombstone: // samples come later, but exemplars are read here
		if t, err := wal.DecodeTombstone(rec.Payload); err == nil {
			s.exemplars.delete(refSet(t.Series), t.MinT, t.MaxT)
		}
	case wal.TypeGroupClose, wal.TypeColumnRelease, wal.TypeCheckpointBegin, wal.TypeCheckpointEnd:
	default:
		s.head.metrics.unknownRecords.Inc()
	}
	return nil
}

func (s *scanner) group(payload []byte) error {
	def, err := wal.DecodeGroup(payload)
	if err != nil {
		return err
	}
	h := s.head
	h.groups.Lock()
	defer h.groups.Unlock()
	if h.groups.byID[def.ID] == nil {
		g := newGroup(h, def.ID, def.Origin)
		g.logged, g.windowLimit = true, windowRows
		h.groups.byID[def.ID] = g
	}
	h.groups.last = max(h.groups.last, def.ID)
	return nil
}

// define makes the series of a record. The workers call it.
func (s *scanner) define(restorer *restorer, job *definitionJob) error {
	columns, err := wal.DecodeColumns(job.payload)
	if err != nil {
		return err
	}
	made := restorer.restore(columns)
	for i, c := range columns.List {
		if made[i].ref != c.Series {
			s.mu.Lock()
			s.defs.aliases[c.Series] = made[i]
			s.mu.Unlock()
		}
	}
	if into := job.into; columns.Group != 0 {
		into.group, into.series = columns.Group, made
		into.columns = make([]storage.Column, len(made))
		for i, c := range columns.List {
			into.columns[i] = c.Number
		}
	}
	return nil
}

// end gives metadata and exemplars to their series, now that all are known.
func (s *scanner) end() {
	h := s.head
	lost := 0
	for ref, m := range s.metadata {
		if to := s.find(ref); to != nil {
			to.metadata = m
		} else {
			lost++
		}
	}
	ring := h.exemplars
	ring.mu.Lock()
	for _, e := range s.exemplars.all() {
		to := s.find(e.Series)
		if to == nil {
			lost++
			continue
		}
		e.Series = to.ref
		if ok, _ := ring.admitLocked(&e); ok {
			ring.addLocked(e)
		}
	}
	ring.mu.Unlock()
	if lost > 0 {
		s.unusable(h.opts.Dir, 0, wal.TypeMetadata, fmt.Errorf("%w: the series of %d metadata and exemplars", errUnknown, lost))
	}
	if s.newest != minTime {
		h.ObserveNewest(s.newest)
	}
	s.until.Store(s.newest)
	s.lastGroup = h.groups.last
}

// find returns the series that the log knows by a reference.
func (r *replay) find(ref storage.SeriesRef) *series {
	if s := r.defs.aliases[ref]; s != nil {
		return s
	}
	return r.head.reg.byRef(ref)
}
