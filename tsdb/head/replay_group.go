package head

import (
	"fmt"
	"slices"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// replayGroup is a group that is read from the log.
type replayGroup struct {
	*group
	// gap says that the row decoded last is not the last one of the window: a window goes
	// from one row that was decoded to the next.
	gap bool
}

// group returns a group of the log.
func (w *replayWorker) group(id uint64) (*replayGroup, error) {
	if g := w.groups[id]; g != nil {
		return g, nil
	}
	if id <= w.lastGroup {
		groups := &w.head.groups
		groups.Lock()
		g := groups.byID[id]
		groups.Unlock()
		if g != nil {
			w.groups[id] = &replayGroup{group: g}
			return w.groups[id], nil
		}
	}
	return nil, fmt.Errorf("%w: group %d", errUnknown, id)
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
	g.checked = g.checked.Grow(g.current.columns)
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
	for g.current.columns < int(c) { // those in between lost their definition
		n := storage.Column(g.current.add(nil))
		g.free = g.free.Grow(g.current.columns)
		g.free.Set(n)
		g.freeCount++
	}
	if g.current.columns == int(c) {
		g.current.add(s)
	} else {
		g.free.Unset(c)
		g.freeCount--
		g.current.set(uint32(c), s)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.placesLocked(), func(p place) bool { return p.group == g && p.col == uint32(c) }) {
		s.addPlaceLocked(place{group: g, col: uint32(c)})
	}
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
		g.gap = true
		return nil // a checkpoint had it already
	}
	if g.closed {
		return fmt.Errorf("%w: group %d is closed", errUnknown, id)
	}
	if lost := g.takeLocked(row, w.decoder); lost > 0 {
		return fmt.Errorf("%w: %d columns of a row of group %d", errUnknown, lost, id)
	}
	return nil
}

// takeLocked publishes a row, and returns how many of its columns have no series: they lost
// their definition, their neighbours did not. The decoder is that of the row.
func (g *replayGroup) takeLocked(row *storage.Row, decoder *wal.RowDecoder) (lost int) {
	columns := g.current.columns
	cut := *row
	cut.Values = row.Values[:min(len(row.Values), columns)]
	a := &g.appending
	a.reg = g.head.reg
	g.siftLocked(a, &cut)
	lost = presentBeyond(row, columns) + len(a.refused)
	n := a.present.Count()
	if n == 0 {
		g.gap = true
		return lost
	}
	changed, before, known := decoder.Changed()
	if g.gap || !known {
		g.sealLocked()
		g.gap = false
	}
	whole := len(a.hists) == 0 && n == len(cut.Values)
	out := storage.Row{T: row.T, Values: cut.Values, StartTimes: usedStarts(row), Histograms: a.hists}
	g.head.observeTime(row.T) // before a query can want it
	g.publishLocked(&out, whole, a.floats, row.Values, changed, before)
	return lost
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
