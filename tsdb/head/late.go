package head

import (
	"fmt"
	"math/bits"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// appendLateLocked appends a row whose timestamp is not newer than the group's,
// or older than what was cut from the head, or of which a column is late: all
// of its samples become loose ones, in one transaction.
func (g *group) appendLateLocked(a *rowAppend, r *storage.Row) error {
	var items []looseItem
	var cols []storage.Column
	var fresh []*series
	for w, word := range a.present {
		for ; word != 0; word &= word - 1 {
			c := storage.Column(w<<6 + bits.TrailingZeros64(word))
			s := g.current.series(uint32(c))
			g.checkColumnLocked(s)
			in := a.sample(r, c)
			if in.H != nil || in.FH != nil {
				cell := copyCell(0, in.H, in.FH)
				in.H, in.FH = cell.h, cell.fh
			}
			items, cols = append(items, newLooseItem(s, &in)), append(cols, c)
			if !s.logged.Load() {
				fresh = append(fresh, s)
			}
		}
	}
	refused, err := g.head.transact(items, fresh, g.logPendingIfAnyLocked)
	if err != nil {
		return g.head.logError(err, fmt.Sprintf("row of %q", g.origin))
	}
	if g.hasPendingLocked() {
		g.clearPendingLocked()
	}
	for _, f := range refused {
		a.refuse(cols[f.item], items[f.item].series, f.err)
		a.total--
	}
	return nil
}

// checkColumnLocked marks the column of a series as checked, and pins the series.
func (g *group) checkColumnLocked(s *series) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moreLocked().pins++
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
