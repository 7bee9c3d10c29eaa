package head

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// maxTransactionSamples bounds the memory of a transaction.
const maxTransactionSamples = 1 << 22

// appender is a transaction of single samples. It implements storage.Appender.
// Every series that it has seen stays in the head until its end.
type appender struct {
	ctx       context.Context
	head      *Head
	items     []looseItem
	exemplars []wal.Exemplar
	metadata  []wal.Metadata
	held      []*series   // acquired: of exemplars and metadata
	fresh     []*series   // series that the log may not have
	room      *appendRoom // what items lie in at first
	done      bool
	window    int64 // how late samples may be, milliseconds
}

// appendRoom is the memory of a transaction, for the next one.
type appendRoom struct{ items []looseItem }

// maxAppendRoom keeps a rare large transaction from pinning its memory.
const maxAppendRoom = 1 << 14

var appendRooms = sync.Pool{New: func() any { return new(appendRoom) }}

// Appender begins a transaction.
func (h *Head) Appender(ctx context.Context) storage.Appender {
	room := appendRooms.Get().(*appendRoom)
	return &appender{ctx: ctx, head: h, room: room, items: room.items[:0], window: h.window()}
}

func (a *appender) check() error {
	if a.done {
		return storage.ErrClosed
	}
	if a.head.closed.Load() {
		return fmt.Errorf("head: %w", storage.ErrClosed)
	}
	return a.ctx.Err()
}

// pin returns the series of a reference or of labels with its lock held, for one more
// sample, which is to be unpinned if it does not become an item.
func (a *appender) pin(ref storage.SeriesRef, ls labels.Labels) (*series, error) {
	if s := a.head.reg.lock(ref); s != nil {
		s.moreLocked().pins++
		return s, nil
	}
	if ref != 0 && ls.IsEmpty() {
		return nil, fmt.Errorf("%w: reference %d", storage.ErrUnknownSeries, ref)
	}
	s, _, err := a.head.acquire(ls)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.moreLocked().pins++
	s.release()
	return s, nil
}

// Append adds a float.
func (a *appender) Append(ref storage.SeriesRef, ls labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	return a.append(ref, ls, &batch.Sample{T: t, V: v})
}

// AppendHistogram adds a histogram.
func (a *appender) AppendHistogram(ref storage.SeriesRef, ls labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	if err := validateHistogram(h, fh); err != nil {
		return ref, err
	}
	cell := copyCell(0, h, fh)
	return a.append(ref, ls, &batch.Sample{T: t, H: cell.h, FH: cell.fh})
}

func (a *appender) append(ref storage.SeriesRef, ls labels.Labels, in *batch.Sample) (storage.SeriesRef, error) {
	if err := a.head.await(a.ctx, in.T); err != nil {
		return 0, err
	}
	if err := a.check(); err != nil {
		return 0, err
	}
	if len(a.items) >= maxTransactionSamples {
		return 0, fmt.Errorf("transaction has %d samples, commit it first", len(a.items))
	}
	s, err := a.pin(ref, ls)
	if err != nil {
		return 0, err
	}
	// The places stay checked from here to the end, since the series is pinned.
	for s.uncheckedLocked() != nil {
		s.mu.Unlock()
		s.share()
		s.mu.Lock()
	}
	if in.T < a.head.inOrderFrom() || !s.inOrderLocked(in.T) {
		if v, err := a.head.judgeLocked(s, in, a.window); v == verdictRefused {
			ls = a.head.reg.labels(s)
			ref = s.ref
			s.more.pins--
			s.mu.Unlock()
			a.head.metrics.refuse(err)
			return ref, fmt.Errorf("%s at %d: %w", ls, in.T, err)
		}
	}
	ref = s.ref
	if !s.logged.Load() {
		a.fresh = append(a.fresh, s)
	}
	s.mu.Unlock()
	a.items = append(a.items, newLooseItem(s, in))
	return ref, nil
}

// SetStartTime completes the sample that was added last.
func (a *appender) SetStartTime(ref storage.SeriesRef, t, st int64) error {
	if a.done {
		return storage.ErrClosed
	}
	n := len(a.items)
	if n == 0 || a.items[n-1].series.ref != ref || a.items[n-1].t != t {
		return fmt.Errorf("%w: the sample before is not one of %d at %d", storage.ErrUnknownSeries, ref, t)
	}
	if it := &a.items[n-1]; it.more != nil {
		it.more.st = st
	} else if st != 0 {
		it.more = &looseItemMore{st: st}
	}
	return nil
}

// known returns the series of a reference.
func (a *appender) known(ref storage.SeriesRef) (*series, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	s := a.head.reg.acquire(ref)
	if s == nil {
		return nil, fmt.Errorf("%w: reference %d", storage.ErrUnknownSeries, ref)
	}
	a.held = append(a.held, s)
	if !s.logged.Load() {
		a.fresh = append(a.fresh, s)
	}
	return s, nil
}

// AppendExemplar adds an exemplar.
func (a *appender) AppendExemplar(ref storage.SeriesRef, e exemplar.Exemplar) error {
	s, err := a.known(ref)
	if err == nil {
		a.exemplars = append(a.exemplars, wal.Exemplar{Series: s.ref, Exemplar: e})
	}
	return err
}

// SetMetadata adds metadata.
func (a *appender) SetMetadata(ref storage.SeriesRef, m metadata.Metadata) error {
	s, err := a.known(ref)
	if err == nil {
		a.metadata = append(a.metadata, wal.Metadata{Series: s.ref, Metadata: m})
	}
	return err
}

// Commit makes everything visible.
func (a *appender) Commit() error {
	if a.done {
		return storage.ErrClosed
	}
	if err := a.head.running(); err != nil {
		return err
	}
	defer a.head.done()
	defer a.end()
	var errs []error
	if len(a.items)+len(a.metadata) > 0 {
		refused, err := a.head.transact(a.items, a.fresh, a.logMetadata)
		if err != nil {
			return a.head.logError(err, "transaction")
		}
		errs = refusalErrors(a.items, refused)
	}
	for i := range a.metadata {
		if s := a.head.reg.byRef(a.metadata[i].Series); s != nil {
			a.head.setMetadata(s, a.metadata[i].Metadata)
		}
	}
	errs = append(errs, a.head.addExemplars(a.exemplars))
	return errors.Join(errs...)
}

// logMetadata puts the metadata into the log.
func (a *appender) logMetadata(b *wal.Batch) {
	if len(a.metadata) > 0 {
		b.Metadata(a.metadata)
	}
}

// Rollback forgets everything.
func (a *appender) Rollback() error {
	if a.done {
		return storage.ErrClosed
	}
	for i := range a.items {
		s := a.items[i].series
		s.mu.Lock()
		s.more.pins--
		s.mu.Unlock()
	}
	a.end()
	return nil
}

// end lets go of everything but the pins of the items.
func (a *appender) end() {
	for _, s := range a.held {
		s.release()
	}
	clear(a.items)
	if len(a.items) <= maxAppendRoom {
		a.room.items = a.items
		appendRooms.Put(a.room)
	}
	a.done, a.room, a.items, a.exemplars, a.metadata, a.held, a.fresh = true, nil, nil, nil, nil, nil, nil
}
