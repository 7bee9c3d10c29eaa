package head

import (
	"fmt"
	"slices"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// replayWorker puts records into the groups that it has, and into the loose samples
// whose reference leaves its number. Its fields but jobs and free belong to the reading
// goroutine (pending) or to run (all others), and to the reading goroutine while run
// waits for jobs.
type replayWorker struct {
	*replay
	number  int
	jobs    chan *replayBatch
	free    chan *replayBatch
	pending *replayBatch

	decoder *wal.RowDecoder
	groups  map[uint64]*group
	// loose has the loose samples, which go to their series at the end.
	loose   map[*series]*loose
	samples []wal.Sample
}

func newReplayWorker(r *replay, number int) *replayWorker {
	w := &replayWorker{
		replay: r, number: number,
		jobs: make(chan *replayBatch, replayQueue), free: make(chan *replayBatch, replayQueue),
		decoder: wal.NewRowDecoder(), groups: map[uint64]*group{}, loose: map[*series]*loose{},
	}
	for range replayQueue {
		w.free <- &replayBatch{}
	}
	w.pending = <-w.free
	return w
}

// add queues a record for the worker; it waits if the worker has enough to do.
func (w *replayWorker) add(rec *wal.Record, payload []byte, columns *columnsRecord) {
	b := w.pending
	from := len(b.buf)
	b.buf = append(b.buf, payload...)
	b.records = append(b.records, replayRecord{
		typ: rec.Type, from: from, to: len(b.buf), columns: columns, file: rec.File, offset: rec.Offset,
	})
	if len(b.buf) >= replayBatchBytes || len(b.records) >= replayBatchRecords {
		w.send()
	}
}

func (w *replayWorker) send() {
	w.jobs <- w.pending
	w.pending = <-w.free
}

// run works until there are no more jobs, then ends its groups and gives the loose
// samples to their series.
func (w *replayWorker) run() {
	for b := range w.jobs {
		for i := range b.records {
			rec := &b.records[i]
			if err := w.record(rec, b.buf[rec.from:rec.to]); err != nil {
				w.unusable(rec.file, rec.offset, rec.typ, err)
			}
		}
		idle := b.idle
		if b.buf, b.idle = b.buf[:0], nil; cap(b.buf) > 4*replayBatchBytes {
			b.buf = nil
		}
		clear(b.records)
		b.records = b.records[:0]
		w.free <- b
		if idle != nil {
			idle.Done()
		}
	}
	for _, g := range w.groups {
		g.endReplay()
	}
	for s, l := range w.loose {
		s.mu.Lock()
		s.moreLocked().loose = s.looseLocked().after(l)
		s.mu.Unlock()
	}
}

func (w *replayWorker) record(rec *replayRecord, payload []byte) error {
	switch rec.typ {
	case wal.TypeColumns:
		return w.restore(rec.columns)
	case wal.TypeColumnRelease:
		return w.release(payload)
	case wal.TypeRow:
		return w.row(payload)
	case wal.TypeGroupClose:
		return w.close(payload)
	default:
		return w.looseSamples(payload)
	}
}

// group returns a group of the log.
func (w *replayWorker) group(id uint64) (*group, error) {
	g := w.groups[id]
	if g == nil && id <= w.lastGroup {
		groups := &w.head.groups
		groups.Lock()
		g = groups.byID[id]
		groups.Unlock()
		if g != nil {
			w.groups[id] = g
		}
	}
	if g == nil {
		return nil, fmt.Errorf("%w: group %d", errUnknown, id)
	}
	return g, nil
}

func (w *replayWorker) close(payload []byte) error {
	id, err := wal.DecodeGroupClose(payload)
	if err != nil {
		return err
	}
	w.decoder.Forget(id)
	g, err := w.group(id)
	if err != nil {
		return nil // whatever it had is lost, and was reported
	}
	g.endReplay()
	return nil
}

// restore gives columns to series. A checkpoint may have the end of a group that the
// segments after it tell of again.
func (w *replayWorker) restore(def *columnsRecord) error {
	g, err := w.group(def.group)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	for i, c := range def.columns {
		g.restoreColumnLocked(c, def.series[i])
	}
	return nil
}

// restoreColumnLocked gives a column to a series, whoever had it. Nobody writes to the
// group, so that the series' place is not a live one.
func (g *group) restoreColumnLocked(c storage.Column, s *series) {
	if g.current.series(uint32(c)) == s {
		return
	}
	g.releaseLocked(c)
	g.unshareLayoutLocked()
	for g.current.columns <= int(c) { // those in between lost their definition
		n := storage.Column(g.current.columns)
		g.current.add(nil)
		g.free = g.free.Grow(g.current.columns)
		g.free.Set(n)
		g.freeCount++
	}
	g.free.Unset(c)
	g.freeCount--
	g.current.set(uint32(c), s)
	g.checked = g.checked.Grow(g.current.columns)
	s.mu.Lock()
	defer s.mu.Unlock()
	places := s.placesLocked()
	for i := range places {
		if places[i].group == g && places[i].col == uint32(c) {
			return
		}
	}
	s.setPlacesLocked(append(slices.Clone(places), place{group: g, col: uint32(c)}))
}

func (w *replayWorker) release(payload []byte) error {
	id, columns, err := wal.DecodeColumnRelease(payload)
	if err != nil {
		return err
	}
	g, err := w.group(id)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	for _, c := range columns {
		g.releaseLocked(c)
	}
	return nil
}

func (w *replayWorker) row(payload []byte) error {
	id, row, err := w.decoder.Decode(payload)
	if err != nil {
		return err
	}
	g, err := w.group(id)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if row.T <= g.lastT {
		return nil // a checkpoint had it already
	}
	if g.closed {
		return fmt.Errorf("%w: group %d is closed", errUnknown, id)
	}
	a := &g.appending
	a.reg = w.head.reg
	lost := presentBeyond(row, g.current.columns)
	values := row.Values
	row.Values = values[:min(len(values), g.current.columns)]
	// A column without a series lost its definition; its neighbours did not.
	g.siftLocked(a, row)
	lost += len(a.refused)
	if n := a.present.Count(); n > 0 {
		whole := len(a.hists) == 0 && n == len(row.Values)
		out := storage.Row{T: row.T, Values: row.Values, Present: a.present, StartTimes: usedStarts(row), Histograms: a.hists}
		w.head.observeTime(row.T) // before a query can want it
		g.enc.Take(&out)
		g.publishLocked(&out, whole, a.floats)
	}
	row.Values = values
	if lost > 0 {
		return fmt.Errorf("%w: %d columns of a row of group %d", errUnknown, lost, id)
	}
	return nil
}

// presentBeyond returns how many of the columns that a row has are not below n.
func presentBeyond(row *storage.Row, n int) int {
	count := 0
	for c := n; c < len(row.Values); c++ {
		if row.Present.Has(storage.Column(c)) {
			count++
		}
	}
	return count
}

func (w *replayWorker) looseSamples(payload []byte) (err error) {
	if w.samples, err = wal.DecodeSamples(w.samples[:0], payload); err != nil {
		if w.number > 0 {
			err = nil // it is reported once
		}
		return err
	}
	lost := 0
	for i := range w.samples {
		in := &w.samples[i]
		if int(in.Series%storage.SeriesRef(w.workers)) != w.number {
			continue
		}
		s := w.find(in.Series)
		if s == nil {
			lost++
			continue
		}
		l := w.loose[s]
		if l == nil {
			l = &loose{}
			w.loose[s] = l
		}
		if _, ok, err := l.find(in.T); ok || err != nil {
			continue // a checkpoint had it already
		}
		l.add(&batch.Sample{T: in.T, ST: in.StartTime, V: in.Value, H: in.Histogram, FH: in.FloatHistogram}, 0, 0)
		w.head.observeTime(in.T)
	}
	return lostError(lost, "the series of samples")
}

func lostError(n int, what string) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d of %s", errUnknown, n, what)
}
