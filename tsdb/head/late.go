package head

import (
	"fmt"
	"math/bits"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// looseItem is a sample on its way into the loose samples of a series, and what
// became of it. The histogram, if any, belongs to the head.
type looseItem struct {
	series  *series
	sample  batch.Sample
	verdict verdict
	err     error
}

// transact judges the items, one after the other, and makes those that are
// admitted visible at once. Every series is acquired and checked. more adds to
// the log what belongs to the transaction. After an error of the log nothing
// has changed.
func (h *Head) transact(items []looseItem, more func(*wal.Batch)) error {
	h.txns.commit.Lock()
	defer h.txns.commit.Unlock()
	txn, window := h.txns.next(), h.window()
	b := h.log.Begin()
	samples := h.txns.samples[:0]
	var defined []*series
	for i := range items {
		it := &items[i]
		s := it.series
		s.mu.Lock()
		it.verdict, it.err = h.judgeLocked(s, &it.sample, window)
		if it.verdict != verdictNewest && it.verdict != verdictLate {
			s.mu.Unlock()
			continue
		}
		newest := s.more.newest
		loose := s.takeLooseLocked()
		if it.sample.Kind() != storage.KindFloat {
			var before *batch.Sample
			if last := loose.last; last != nil && last.T == newest {
				before = last
			}
			it.sample.SetReset(before)
		}
		loose.add(&it.sample, txn)
		s.more.newest = max(newest, it.sample.T)
		s.mu.Unlock()
		h.observeTime(it.sample.T)
		if !s.logged.Load() {
			defined = append(defined, s)
		}
		samples = append(samples, wal.Sample{
			Series: s.ref, T: it.sample.T, StartTime: it.sample.ST,
			Value: it.sample.V, Histogram: it.sample.H, FloatHistogram: it.sample.FH,
		})
	}
	b.Columns(0, h.definitions(defined))
	more(b)
	b.Samples(samples)
	if clear(samples); len(samples) <= maxAppendRoom {
		h.txns.samples = samples[:0]
	}
	if _, err := b.Commit(); err != nil {
		h.takeBack(items, txn)
		return err
	}
	h.txns.publish(txn)
	for _, s := range defined {
		s.logged.Store(true)
	}
	h.countItems(items)
	return nil
}

func (h *Head) definitions(list []*series) []wal.Column {
	out := make([]wal.Column, len(list))
	for i, s := range list {
		out[i] = wal.Column{Series: s.ref, Labels: h.reg.labelSet(s)}
	}
	return out
}

// takeBack undoes a transaction that could not be logged.
func (h *Head) takeBack(items []looseItem, txn uint64) {
	for i := range items {
		s := items[i].series
		s.mu.Lock()
		if loose := s.looseLocked(); loose != nil {
			loose.takeBack(txn)
		}
		s.untrackLocked()
		s.mu.Unlock()
	}
}

func (h *Head) countItems(items []looseItem) {
	floats, hists, late := 0, 0, 0
	for i := range items {
		it := &items[i]
		switch it.verdict {
		case verdictRefused:
			h.metrics.refuse(it.err)
			continue
		case verdictSame:
			continue
		case verdictLate:
			late++
		}
		if it.sample.Kind() == storage.KindFloat {
			floats++
		} else {
			hists++
		}
	}
	h.metrics.appended(floats, hists)
	h.metrics.late.Add(float64(late))
}

// appendLateLocked appends a row whose timestamp is not newer than the group's,
// or older than what was cut from the head, or of which a column is late: all
// of its samples become loose ones, in one transaction.
func (g *group) appendLateLocked(a *rowAppend, r *storage.Row) error {
	settled := g.head.txns.settled()
	var items []looseItem
	var cols []storage.Column
	for w, word := range a.present {
		for ; word != 0; word &= word - 1 {
			c := storage.Column(w<<6 + bits.TrailingZeros64(word))
			s := g.current.cols[c]
			g.checkColumnLocked(s, settled)
			in := a.sample(r, c)
			if in.H != nil || in.FH != nil {
				cell := copyCell(0, in.H, in.FH)
				in.H, in.FH = cell.h, cell.fh
			}
			items, cols = append(items, looseItem{series: s, sample: in}), append(cols, c)
		}
	}
	err := g.head.transact(items, g.logPendingIfAnyLocked)
	if err != nil {
		return g.head.logError(err, fmt.Sprintf("row of %q", g.origin))
	}
	if g.hasPendingLocked() {
		g.clearPendingLocked()
	}
	for i := range items {
		if items[i].verdict == verdictRefused {
			a.refuse(cols[i], items[i].series, items[i].err)
			a.total--
		}
	}
	return nil
}

// checkColumnLocked marks the column of a series as checked, and seals what it can
// of its loose samples.
func (g *group) checkColumnLocked(s *series, settled uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if loose := s.looseLocked(); loose != nil {
		loose.settle(settled)
	}
	if p := s.placeLocked(g); !p.checked {
		p.checked = true
		s.untrackLocked()
		g.checked.Set(storage.Column(p.col))
	}
}

func (g *group) hasPendingLocked() bool {
	return len(g.pendingColumns)+len(g.pendingReleases)+len(g.pendingMetadata) > 0
}

func (g *group) logPendingIfAnyLocked(b *wal.Batch) {
	if g.hasPendingLocked() {
		g.logPendingLocked(b)
	}
}
