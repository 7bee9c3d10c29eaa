package head

import (
	"context"
	"fmt"
	"math/bits"
	"slices"

	"github.com/prometheus/prometheus/model/exemplar"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// rowAppend is a row on its way into a group: what is left of it after refusals.
type rowAppend struct {
	reg     *registry
	floats  storage.Bitmap // columns that get a float
	present storage.Bitmap // floats and histograms
	hists   []storage.HistogramSample
	refused []storage.ColumnError
	checked []storage.Column // columns that were compared with their series
	same    int              // samples that the series has already
	total   int              // samples that were not refused, same included
	out     storage.Row      // what is logged
}

func (a *rowAppend) refuse(c storage.Column, s *series, err error) {
	e := storage.ColumnError{Column: c, Err: err}
	if s != nil {
		e.Labels = a.reg.labels(s)
	}
	a.refused = append(a.refused, e)
}

// drop takes a column out of the row.
func (a *rowAppend) drop(c storage.Column) {
	a.present.Unset(c)
	if a.floats.Has(c) {
		a.floats.Unset(c)
		return
	}
	a.hists = slices.DeleteFunc(a.hists, func(h storage.HistogramSample) bool { return h.Column == c })
}

// err returns what AppendRow says about the refused columns.
func (a *rowAppend) err() error {
	if len(a.refused) == 0 {
		return nil
	}
	refused := slices.Clone(a.refused)
	slices.SortStableFunc(refused, func(a, b storage.ColumnError) int { return int(a.Column) - int(b.Column) })
	return &storage.RowError{Appended: a.total, Refused: refused}
}

// AppendRow appends a row. Nearly always it is newer than the last row and no
// column is checked: then it costs the log and what changed, whatever the series.
func (g *group) AppendRow(r *storage.Row) error {
	if err := g.head.await(context.Background(), r.T); err != nil {
		return err
	}
	if err := g.head.running(); err != nil {
		return err
	}
	defer g.head.done()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return g.errClosed()
	}
	if len(r.Values) > g.current.columns {
		return fmt.Errorf("row of %q: %w: it has %d columns, the group %d", g.origin, storage.ErrUnknownColumn, len(r.Values), g.current.columns)
	}
	a := &g.appending
	a.reg = g.head.reg
	g.siftLocked(a, r)
	late := r.T <= g.lastT || g.head.isLate(r.T)
	if !late {
		late = g.checkLocked(a, r)
	}
	var err error
	switch {
	case late:
		err = g.appendLateLocked(a, r)
	case a.present.Count() > 0:
		err = g.appendInOrderLocked(a, r)
	}
	if err != nil {
		return err
	}
	g.head.metrics.refused(a.refused)
	g.appendExemplarsLocked(r)
	return a.err()
}

// siftLocked finds what the row has, and refuses columns without a series and
// histograms that contradict themselves.
func (g *group) siftLocked(a *rowAppend, r *storage.Row) {
	n := len(r.Values)
	a.refused, a.checked, a.hists, a.same, a.total = a.refused[:0], a.checked[:0], a.hists[:0], 0, 0
	a.floats = a.floats[:0].Grow(g.current.columns)
	if r.Present == nil {
		for w := range n >> 6 {
			a.floats[w] = ^uint64(0)
		}
	} else {
		copy(a.floats, r.Present[:min(len(r.Present), (n+63)>>6)])
	}
	if n&63 != 0 {
		tail := uint64(1)<<(n&63) - 1
		if r.Present == nil {
			a.floats[n>>6] = tail
		} else {
			a.floats[n>>6] &= tail
		}
	}
	for _, h := range r.Histograms {
		if int(h.Column) < g.current.columns {
			a.floats.Unset(h.Column)
		}
		s := g.current.series(uint32(h.Column))
		if s == nil {
			a.refuse(h.Column, nil, storage.ErrUnknownColumn)
		} else if err := validateHistogram(h.Histogram, h.FloatHistogram); err != nil {
			a.refuse(h.Column, s, err)
		} else {
			a.hists = append(a.hists, h)
		}
	}
	if g.freeCount > 0 {
		for w := range min(len(a.floats), len(g.free)) {
			for hit := a.floats[w] & g.free[w]; hit != 0; hit &= hit - 1 {
				c := storage.Column(w<<6 + bits.TrailingZeros64(hit))
				a.floats.Unset(c)
				a.refuse(c, nil, storage.ErrUnknownColumn)
			}
		}
	}
	a.present = append(a.present[:0], a.floats...)
	for _, h := range a.hists {
		a.present.Set(h.Column)
	}
	a.total = a.present.Count()
}

// sample returns the sample that the row has for a column.
func (a *rowAppend) sample(r *storage.Row, c storage.Column) batch.Sample {
	s := batch.Sample{T: r.T}
	if a.floats.Has(c) {
		s.V = r.Values[c]
	} else if i := slices.IndexFunc(a.hists, func(h storage.HistogramSample) bool { return h.Column == c }); i >= 0 {
		s.H, s.FH = a.hists[i].Histogram, a.hists[i].FloatHistogram
	}
	if int(c) < len(r.StartTimes) {
		s.ST = r.StartTimes[c]
	}
	return s
}

// checkLocked compares the checked columns with their series: it refuses what
// is out of order and leaves out what is there already. It reports whether a
// sample is late and admitted: then the whole row goes the late way, so that it
// stays whole.
func (g *group) checkLocked(a *rowAppend, r *storage.Row) (late bool) {
	for w := range min(len(a.present), len(g.checked)) {
		for hit := a.present[w] & g.checked[w]; hit != 0; hit &= hit - 1 {
			a.checked = append(a.checked, storage.Column(w<<6+bits.TrailingZeros64(hit)))
		}
	}
	if len(a.checked) == 0 {
		return false
	}
	window := g.head.window()
	for _, c := range a.checked {
		s := g.current.series(uint32(c))
		in := a.sample(r, c)
		s.mu.Lock()
		v, _ := g.head.judgeLocked(s, &in, window)
		s.mu.Unlock()
		if v == verdictLate {
			return true
		}
	}
	kept := a.checked[:0]
	for _, c := range a.checked {
		s := g.current.series(uint32(c))
		in := a.sample(r, c)
		s.mu.Lock()
		v, err := g.head.judgeLocked(s, &in, window)
		if v == verdictNewest {
			if last := g.lastHistograms[uint32(c)]; last != nil && last.T != s.more.newest {
				delete(g.lastHistograms, uint32(c))
			}
			s.more.newest = r.T
		}
		s.mu.Unlock()
		switch v {
		case verdictNewest:
			kept = append(kept, c)
		case verdictSame:
			a.drop(c)
			a.same++
		case verdictLate: // another writer has just been faster
			err = storage.ErrOutOfOrder
			fallthrough
		default:
			a.drop(c)
			a.refuse(c, s, err)
			a.total--
		}
	}
	a.checked = kept
	return false
}

// appendInOrderLocked logs the row, then puts it into the window and publishes
// it.
func (g *group) appendInOrderLocked(a *rowAppend, r *storage.Row) error {
	out := &a.out
	*out = storage.Row{T: r.T, Values: r.Values, Present: a.present, StartTimes: usedStarts(r), Histograms: a.hists}
	whole := len(a.hists) == 0 && a.present.Count() == len(r.Values)
	if whole {
		out.Present = nil
	}
	if len(a.hists)+len(g.lastHistograms) > 0 {
		g.keepHistogramsLocked(a, r.T)
	}
	b := g.head.log.Begin()
	if !g.logged || len(g.pendingColumns)+len(g.pendingReleases)+len(g.pendingMetadata) > 0 {
		g.logPendingLocked(b)
	}
	b.Row(g.enc, out)
	if _, err := b.Commit(); err != nil {
		g.sealLocked() // the encoder has taken the row, so the window must not go on from the row before
		g.untrackLocked(a)
		return g.head.logError(err, fmt.Sprintf("row of %q", g.origin))
	}
	g.clearPendingLocked()
	changed, before := g.enc.Changed()
	g.head.opts.Changes.Note(r.T)
	g.publishLocked(out, whole, a.floats, g.enc.Latest(), changed, before)
	g.head.opts.Changes.Note(r.T)
	if w := g.rmu.window; len(w.times) > 0 {
		g.latest = latestRow{w, len(w.times)}
	}
	*out = storage.Row{}
	g.uncheckLocked(a)
	g.head.appended(a.present.Count()-len(a.hists), len(a.hists), r.T)
	return nil
}

// usedStarts returns the row's start timestamps, nil if all of them are 0.
func usedStarts(r *storage.Row) []int64 {
	for _, st := range r.StartTimes {
		if st != 0 {
			return r.StartTimes
		}
	}
	return nil
}

// keepHistogramsLocked replaces the row's histograms by copies that the group
// keeps, with their counter reset hints.
func (g *group) keepHistogramsLocked(a *rowAppend, t int64) {
	for c := range g.lastHistograms {
		if a.floats.Has(storage.Column(c)) {
			delete(g.lastHistograms, c)
		}
	}
	for i := range a.hists {
		h := &a.hists[i]
		cell := copyCell(uint32(h.Column), h.Histogram, h.FloatHistogram)
		s := batch.Sample{T: t, H: cell.h, FH: cell.fh}
		s.SetReset(g.lastHistograms[cell.col])
		if g.lastHistograms == nil {
			g.lastHistograms = map[uint32]*batch.Sample{}
		}
		g.lastHistograms[cell.col] = &s
		h.Histogram, h.FloatHistogram = s.H, s.FH
	}
}

// publishLocked takes a row into the window, and shows it to readers: see window.put
// for the last three. It keeps the row's histograms. whole says that each of its values
// is a sample, floats which are.
func (g *group) publishLocked(r *storage.Row, whole bool, floats storage.Bitmap, latest []float64, changed storage.Bitmap, before []float64) {
	columns := g.current.columns
	if len(g.rmu.window.times) > 0 && !g.rmu.window.fits(columns) {
		g.sealLocked()
	}
	w := g.rmu.window
	w.begin(columns)
	w.put(latest, changed, before)
	var uneven *unevenRow
	if whole && len(r.Values) == columns {
		floats = nil
	}
	if floats != nil || len(r.StartTimes) > 0 {
		uneven = w.unevenOf(r, floats)
	}
	g.published = true
	g.rmu.Lock()
	w.publish(r.T, g.current, uneven)
	g.rmu.Unlock()
	g.lastT = r.T
	if n := len(w.times); n >= g.windowLimit || (n >= minWindowRows && w.stored > windowBytes*columns) {
		g.sealLocked()
	}
}

// sealLocked turns the window into a segment, and merges short segments into a
// long one when there are enough.
func (g *group) sealLocked() {
	w := g.rmu.window
	if len(w.times) == 0 {
		return
	}
	g.latest = latestRow{}
	v := w.view()
	seg := sealWindow(&v)
	segments := append(slices.Clip(g.rmu.segments), seg)
	segments = g.mergeShort(segments)
	g.windowLimit = windowRows
	g.rmu.Lock()
	g.rmu.segments = segments
	if w.pins.Load() > 0 {
		g.rmu.window = &window{}
	}
	g.rmu.window.reset(seg.first + uint64(seg.rows()))
	g.rmu.Unlock()
}

func (g *group) mergeShort(segments []*segment) []*segment {
	from, rows := len(segments), 0
	for from > 0 && rows < chunkRows && segments[from-1].rows() < shortRows {
		from--
		rows += segments[from].rows()
	}
	if rows < chunkRows || len(segments)-from < 2 {
		return segments
	}
	merged, err := mergeSegments(segments[from:])
	if err != nil {
		g.head.opts.Logger.Error("column chunks of the head cannot be merged", "origin", g.origin, "err", err)
		return segments
	}
	return append(slices.Clone(segments[:from]), merged)
}

// untrackLocked forgets the reservations of a row that was not written.
func (g *group) untrackLocked(a *rowAppend) {
	for _, c := range a.checked {
		s := g.current.series(uint32(c))
		s.mu.Lock()
		s.untrackLocked()
		s.mu.Unlock()
	}
}

// uncheckLocked takes the mark from columns whose series has no other writer
// any more: the row is its newest sample now.
func (g *group) uncheckLocked(a *rowAppend) {
	for _, c := range a.checked {
		s := g.current.series(uint32(c))
		s.mu.Lock()
		if live, p := s.liveLocked(); live == 1 && p.group == g && !s.heldLocked() {
			p.checked = false
			s.untrackLocked()
			g.checked.Unset(c)
		}
		s.mu.Unlock()
	}
}

// appendExemplarsLocked keeps the exemplars of a row. Late ones are dropped and
// counted.
func (g *group) appendExemplarsLocked(r *storage.Row) {
	if len(r.Exemplars) == 0 {
		return
	}
	list := make([]wal.Exemplar, 0, len(r.Exemplars))
	for i := range r.Exemplars {
		e := &r.Exemplars[i]
		s := g.current.series(uint32(e.Column))
		if s == nil {
			continue
		}
		kept := exemplar.Exemplar{Labels: e.Exemplar.Labels, Value: e.Exemplar.Value, Ts: e.Exemplar.Ts, HasTs: e.Exemplar.HasTs}
		if !kept.HasTs {
			kept.Ts = r.T
		}
		list = append(list, wal.Exemplar{Series: s.ref, Exemplar: kept})
	}
	g.head.addExemplars(list)
}
