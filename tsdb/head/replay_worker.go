package head

import (
	"fmt"

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
	groups  map[uint64]*replayGroup
	// loose has the loose samples, which go to their series at the end.
	loose   map[*series]*loose
	samples []wal.Sample
}

func newReplayWorker(r *replay, number int) *replayWorker {
	w := &replayWorker{
		replay: r, number: number,
		jobs: make(chan *replayBatch, replayQueue), free: make(chan *replayBatch, replayQueue),
		decoder: wal.NewRowDecoder(), groups: map[uint64]*replayGroup{}, loose: map[*series]*loose{},
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
