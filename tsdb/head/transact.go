package head

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// looseItem is a sample on its way into the loose samples of a series, which it pins
// until it is there: see seriesMore.pins.
type looseItem struct {
	series *series
	t      int64
	v      float64
	more   *looseItemMore // nil for a float without a start timestamp
}

// looseItemMore is what few samples have. The histogram belongs to the head.
type looseItemMore struct {
	st int64
	h  *histogram.Histogram
	fh *histogram.FloatHistogram
}

func newLooseItem(s *series, in *batch.Sample) looseItem {
	it := looseItem{series: s, t: in.T, v: in.V}
	if in.ST != 0 || in.Kind() != storage.KindFloat {
		it.more = &looseItemMore{in.ST, in.H, in.FH}
	}
	return it
}

func (it *looseItem) sample() batch.Sample {
	s := batch.Sample{T: it.t, V: it.v}
	if m := it.more; m != nil {
		s.ST, s.H, s.FH = m.st, m.h, m.fh
	}
	return s
}

// refusal says why an item was refused.
type refusal struct {
	item   int
	labels labels.Labels
	err    error
}

// transaction is the items of a transaction while they are committed.
type transaction struct {
	head   *Head
	items  []looseItem
	window int64
	turn   turn
	batch  *wal.Batch

	// inOrder is how new a sample must be for only the newest one of its series to
	// decide; low and high bound the times of the samples that were put.
	inOrder, low, high int64
	retention          int64

	floats, histograms, late, same int
	refused                        []refusal
}

// errRelied is what a transaction gets that left out a sample because another one
// had it, which then could not be logged.
var errRelied = errors.New("a transaction with the same samples was not logged, send them again")

// transact judges the items, one after the other, and makes those that are admitted
// visible at once; it returns the others. The items' series are checked (see series)
// and not pinned any more when it returns; fresh has those that the log may not have.
// more adds to the log what belongs to the transaction. After an error nothing has
// changed, but for errRelied.
func (h *Head) transact(items []looseItem, fresh []*series, more func(*wal.Batch)) ([]refusal, error) {
	h.txns.commit.RLock()
	defer h.txns.commit.RUnlock()
	t := &transaction{head: h, items: items, window: h.window(), retention: h.retention.Load(), low: maxTime, high: h.maxTime.Load()}
	t.inOrder = h.inOrderFrom()
	t.batch = h.log.Begin()
	fresh = t.define(fresh)
	more(t.batch)
	t.turn = h.txns.begin()
	histograms, starts := t.extras()
	t.batch.BeginSamples(histograms, starts)
	for i := range items {
		t.put(i)
	}
	t.batch.EndSamples()
	h.observe(t.low, t.high) // before a query can want them
	_, err := t.batch.Commit()
	if err != nil {
		t.takeBack()
	}
	h.opts.Changes.Note(t.low)
	h.txns.end(t.turn.txn, err != nil, t.same > 0)
	h.opts.Changes.Note(t.low)
	if err != nil {
		return nil, err
	}
	for _, s := range fresh {
		s.logged.Store(true)
	}
	t.count()
	if t.same > 0 && h.txns.awaitBegun(t.turn.published) {
		return t.refused, errRelied
	}
	return t.refused, nil
}

// define puts the series into the log that it does not have, and returns them.
func (t *transaction) define(fresh []*series) []*series {
	n := 0
	for _, s := range fresh {
		if !s.logged.Load() {
			fresh[n] = s
			n++
		}
	}
	t.batch.Columns(0, t.head.definitions(fresh[:n]))
	return fresh[:n]
}

func (h *Head) definitions(list []*series) []wal.Column {
	return h.reg.columns(len(list), func(i int) definition { return definition{series: list[i]} })
}

// extras reports whether there are histograms and start timestamps.
func (t *transaction) extras() (histograms, starts bool) {
	for i := range t.items {
		if m := t.items[i].more; m != nil {
			histograms = histograms || m.h != nil || m.fh != nil
			starts = starts || m.st != 0
		}
	}
	return histograms, starts
}

// observe takes note that the store has a sample at that time.
func (t *transaction) observe(at int64) {
	t.high = max(t.high, at)
	if t.retention > 0 && t.high > minTime+t.retention {
		t.inOrder = max(t.inOrder, t.high-t.retention)
	}
}

// put judges an item and puts it into its series and into the log.
func (t *transaction) put(i int) {
	it := &t.items[i]
	s := it.series
	s.mu.Lock()
	s.more.pins--
	if it.more == nil && it.t >= t.inOrder && s.inOrderLocked(it.t) {
		s.more.newest = it.t
		s.takeLooseLocked().addNewest(it.t, it.v, t.turn.txn, t.turn.settled)
		t.floats++
	} else if !t.putOtherLocked(i) {
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	if t.low = min(t.low, it.t); it.t > t.high {
		t.observe(it.t)
	}
	t.log(it)
}

// putOtherLocked does what put does for an item that is not just a float newer than
// all of its series. It reports whether the item was admitted.
func (t *transaction) putOtherLocked(i int) bool {
	it, h := &t.items[i], t.head
	in := it.sample()
	h.observe(t.low, t.high)
	v, err := h.judgeLocked(it.series, &in, t.window)
	switch v {
	case verdictRefused:
		t.refused = append(t.refused, refusal{i, h.reg.labels(it.series), err})
		return false
	case verdictSame:
		t.same++
		return false
	case verdictLate:
		t.late++
	}
	newest, loose := it.series.more.newest, it.series.takeLooseLocked()
	if in.Kind() == storage.KindFloat {
		t.floats++
	} else {
		t.histograms++
		var before *batch.Sample
		if last := loose.last; last != nil && last.T == newest {
			before = last
		}
		in.SetReset(before)
		it.more.h, it.more.fh = in.H, in.FH
	}
	loose.add(&in, t.turn.txn, t.turn.settled)
	it.series.more.newest = max(newest, in.T)
	return true
}

func (t *transaction) log(it *looseItem) {
	s := wal.Sample{Series: it.series.ref, T: it.t, Value: it.v}
	if m := it.more; m != nil {
		s.StartTime, s.Histogram, s.FloatHistogram = m.st, m.h, m.fh
	}
	t.batch.Sample(&s)
}

// takeBack undoes a transaction that could not be logged.
func (t *transaction) takeBack() {
	for i := range t.items {
		s := t.items[i].series
		s.mu.Lock()
		if loose := s.looseLocked(); loose != nil {
			if err := loose.takeBack(t.turn.txn); err != nil {
				t.head.opts.Logger.Error("loose samples cannot be taken back", "series", t.head.reg.labels(s), "err", err)
			}
		}
		s.untrackLocked()
		s.mu.Unlock()
	}
}

// count counts what became of the items.
func (t *transaction) count() {
	m := t.head.metrics
	for i := range t.refused {
		m.refuse(t.refused[i].err)
	}
	m.appended(t.floats, t.histograms)
	m.late.Add(float64(t.late))
}

// refusalErrors returns the errors of refused items, each kind once.
func refusalErrors(items []looseItem, refused []refusal) (errs []error) {
	for _, r := range refused {
		if !errors.Is(errors.Join(errs...), r.err) {
			errs = append(errs, fmt.Errorf("%s at %d: %w", r.labels, items[r.item].t, r.err))
		}
	}
	return errs
}
