package head

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// checkpointBatch is about how many bytes go into the checkpoint at once.
const checkpointBatch = 1 << 20

// checkpointCells is how many values of a segment are decoded at once: a wide group takes
// several rounds.
const checkpointCells = 1 << 21

// perRecord is how many series a record of a checkpoint is about.
const perRecord = 1024

// Checkpoint writes the head into a checkpoint of the log, but for rows of
// groups older than from, and removes the segments that it replaces. Appending
// goes on meanwhile: what is logged after the beginning stays in the log, and
// does no harm if it is in the checkpoint as well.
func (h *Head) Checkpoint(ctx context.Context, from int64) error {
	if err := h.WaitReplayed(ctx); err != nil {
		return err
	}
	if err := h.running(); err != nil {
		return err
	}
	defer h.done()
	h.maintenance.Lock()
	defer h.maintenance.Unlock()
	start := time.Now()
	h.metrics.checkpoints.Inc()
	err := h.checkpoint(ctx, from)
	if err != nil {
		h.metrics.checkpointsFailed.Inc()
		return h.logError(err, "checkpoint of the log")
	}
	h.metrics.checkpointDeletes.Inc()
	h.metrics.truncateDuration.Observe(time.Since(start).Seconds())
	return nil
}

func (h *Head) checkpoint(ctx context.Context, from int64) error {
	number, err := h.log.Rotate()
	if err != nil {
		return err
	}
	opts := h.opts.WAL
	opts.Logger = h.opts.Logger
	w, err := wal.NewCheckpoint(h.opts.FS, h.opts.Dir, number, opts)
	if err != nil {
		return err
	}
	c := &checkpointer{head: h, w: w, from: from, defined: roaring.New()}
	if err := c.write(ctx); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Finish()
}

// checkpointer writes the head as records.
type checkpointer struct {
	head *Head
	w    *wal.CheckpointWriter
	from int64
	b    *wal.Batch // being filled, nil if there is none
	// defined has the series whose definition was written with a column. They stay in
	// the head as long as the checkpoint holds maintenance.
	defined *roaring.Bitmap
}

// batch returns a batch with room.
func (c *checkpointer) batch() (*wal.Batch, error) {
	if c.b != nil && c.b.Len() >= checkpointBatch {
		if err := c.flush(); err != nil {
			return nil, err
		}
	}
	if c.b == nil {
		c.b = c.w.Begin()
	}
	return c.b, nil
}

func (c *checkpointer) flush() error {
	if c.b == nil {
		return nil
	}
	_, err := c.b.Commit()
	c.b = nil
	return err
}

func (c *checkpointer) write(ctx context.Context) error {
	defer func() {
		if c.b != nil {
			c.b.Discard()
		}
	}()
	for _, g := range c.head.allGroups() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.group(g); err != nil {
			return fmt.Errorf("group %q: %w", g.origin, err)
		}
	}
	if err := c.series(ctx); err != nil {
		return err
	}
	if err := c.loose(ctx); err != nil {
		return err
	}
	b, err := c.batch()
	if err != nil {
		return err
	}
	b.Exemplars(c.head.knownExemplars())
	return c.flush()
}

// series writes the definitions that no group has, and all metadata. Definitions need not
// come before what refers to them: replay reads all of them first.
func (c *checkpointer) series(ctx context.Context) error {
	var defined []definition
	var families []wal.Metadata
	put := func() error {
		b, err := c.batch()
		if err != nil {
			return err
		}
		b.Columns(0, c.head.reg.columns(len(defined), func(i int) definition { return defined[i] }))
		b.Metadata(families)
		defined, families = defined[:0], families[:0]
		return ctx.Err()
	}
	var err error
	c.head.reg.each(func(s *series) bool {
		if !c.defined.Contains(s.id()) {
			defined = append(defined, definition{series: s})
		}
		s.mu.Lock()
		if s.metadata != nil {
			families = append(families, wal.Metadata{Series: s.ref, Metadata: *s.metadata})
		}
		s.mu.Unlock()
		if max(len(defined), len(families)) >= perRecord {
			err = put()
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return put()
}

// group writes a group. The columns that the group had in its newest row are
// written as rows; what a series had in another column is written as loose
// samples, which reads the same.
func (c *checkpointer) group(g *group) error {
	g.mu.Lock() // a row that is logged already is published before the pin
	v := g.pin()
	closed, logged, current := g.closed, g.logged, g.current
	g.published = true // current is read below
	g.mu.Unlock()
	defer v.unpin()
	if !logged {
		return nil // the log learns of it with its first row
	}
	b, err := c.batch()
	if err != nil {
		return err
	}
	b.Group(wal.Group{ID: g.id, Origin: g.origin})
	base := v.lastLayout()
	b.Columns(g.id, c.columns(g, base, &layout{}))
	enc := wal.NewRowEncoder(g.id)
	for _, seg := range v.segments {
		if seg.maxt() < c.from {
			continue
		}
		if err := c.segment(enc, seg, base); err != nil {
			return err
		}
	}
	if v.window.rows() > 0 {
		if err := c.segment(enc, sealWindow(&v.window), base); err != nil {
			return err
		}
	}
	if b, err = c.batch(); err != nil {
		return err
	}
	if closed {
		b.CloseGroup(g.id)
		return nil
	}
	b.ReleaseColumns(g.id, lost(base, current))
	b.Columns(g.id, c.columns(g, current, base))
	return nil
}

// lastLayout returns the layout of the newest row.
func (v *groupView) lastLayout() *layout {
	switch {
	case v.window.rows() > 0:
		return v.window.layout(v.window.rows() - 1)
	case len(v.segments) > 0:
		return v.segments[len(v.segments)-1].layout
	default:
		return &layout{}
	}
}

// columns returns the definitions of the columns of a layout, but for those that were
// written as part of another one.
// A series without samples in a column may have left the head, and its place in
// memory may be another's.
func (c *checkpointer) columns(g *group, l, written *layout) []wal.Column {
	var out []definition
	l.differences(written, func(col uint32, s *series) {
		if s != nil && s.hasPlace(g, col) {
			c.defined.Add(s.id())
			out = append(out, definition{storage.Column(col), s})
		}
	})
	return c.head.reg.columns(len(out), func(i int) definition { return out[i] })
}

// lost returns the columns that have a series in a and none in b.
func lost(a, b *layout) []storage.Column {
	var out []storage.Column
	a.differences(b, func(col uint32, s *series) {
		if s != nil && b.series(col) == nil {
			out = append(out, storage.Column(col))
		}
	})
	return out
}

// segment writes the rows of a segment.
func (c *checkpointer) segment(enc *wal.RowEncoder, seg *segment, base *layout) error {
	lo, hi := seg.span(c.from, maxTime)
	for n := max(checkpointCells/(base.columns+1), 8); lo < hi; lo += n {
		rows, loose, err := c.rowsOf(seg, base, lo, min(lo+n, hi))
		if err != nil {
			return err
		}
		b, err := c.batch()
		if err != nil {
			return err
		}
		b.Samples(loose)
		for i := range rows {
			if rows[i].Present.Count() > 0 {
				b.Row(enc, &rows[i])
			}
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
	return nil
}

// rowsOf turns the rows lo <= r < hi of a segment into rows again.
func (c *checkpointer) rowsOf(seg *segment, base *layout, lo, hi int) (rows []storage.Row, loose []wal.Sample, err error) {
	rows = make([]storage.Row, hi-lo)
	width := base.columns
	for i := range rows {
		rows[i] = storage.Row{T: seg.times.at(lo + i), Values: make([]float64, width), Present: storage.Bitmap(nil).Grow(width)}
	}
	var buf columnBuffer
	times := seg.times.all()
	for place := range seg.places() {
		s, col := seg.at(place)
		if s == nil {
			continue
		}
		if err := buf.readSegment(seg, place); err != nil {
			return nil, nil, err
		}
		if base.series(col) != s {
			loose = buf.appendLoose(loose, s.ref, times, lo, hi)
			continue
		}
		for r := lo; r < hi; r++ {
			buf.toRow(&rows[r-lo], r, storage.Column(col), width)
		}
	}
	return rows, loose, nil
}

// toRow puts cell r into a column of a row of the given width.
func (c *columnBuffer) toRow(row *storage.Row, r int, col storage.Column, width int) {
	switch c.kinds[r] {
	case cellAbsent:
		return
	case cellFloat:
		row.Values[col] = c.values[r]
	case cellHistogram:
		row.Histograms = append(row.Histograms, storage.HistogramSample{Column: col, Histogram: c.hs[r]})
	case cellFloatHistogram:
		row.Histograms = append(row.Histograms, storage.HistogramSample{Column: col, FloatHistogram: c.fhs[r]})
	}
	row.Present.Set(col)
	if len(c.starts) > 0 && c.starts[r] != 0 {
		if row.StartTimes == nil {
			row.StartTimes = make([]int64, width)
		}
		row.StartTimes[col] = c.starts[r]
	}
}

// appendLoose adds the cells lo <= r < hi as single samples.
func (c *columnBuffer) appendLoose(out []wal.Sample, ref storage.SeriesRef, times []int64, lo, hi int) []wal.Sample {
	for r := lo; r < hi; r++ {
		s := wal.Sample{Series: ref, T: times[r]}
		if len(c.starts) > 0 {
			s.StartTime = c.starts[r]
		}
		switch c.kinds[r] {
		case cellAbsent:
			continue
		case cellFloat:
			s.Value = c.values[r]
		case cellHistogram:
			s.Histogram = c.hs[r]
		case cellFloatHistogram:
			s.FloatHistogram = c.fhs[r]
		}
		out = append(out, s)
	}
	return out
}

// loose writes the loose samples of all series, and what is to be remembered of
// deleted ones.
func (c *checkpointer) loose(ctx context.Context) error {
	h := c.head
	h.txns.commit.Lock() // a transaction that is logged already is published first
	txn := h.txns.last()
	h.txns.commit.Unlock()
	var err error
	var out []wal.Sample
	var floors []wal.Floor
	n := 0
	h.reg.each(func(s *series) bool {
		s.mu.Lock()
		view, floor := s.looseLocked().view(txn), s.floorLocked()
		s.mu.Unlock()
		if out, err = view.appendTo(out[:0], s.ref); err != nil {
			return false
		}
		var b *wal.Batch
		if b, err = c.batch(); err != nil {
			return false
		}
		if floor != minTime {
			floors = append(floors, wal.Floor{Series: s.ref, T: floor})
		}
		if len(floors) == perRecord {
			b.Floors(floors)
			floors = floors[:0]
		}
		b.Samples(out)
		if n++; n&1023 == 0 {
			err = ctx.Err()
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	b, err := c.batch()
	if err == nil {
		b.Floors(floors)
	}
	return err
}

// appendTo adds all samples of the view.
func (v *looseView) appendTo(out []wal.Sample, ref storage.SeriesRef) ([]wal.Sample, error) {
	samples := v.tailSamples(minTime, maxTime)
	if len(v.chunks) > 0 {
		all, err := batch.Collect(batch.Merge(v.iterators(minTime, maxTime)...))
		if err != nil {
			return out, err
		}
		samples = all
	}
	for _, s := range samples {
		out = append(out, wal.Sample{Series: ref, T: s.T, StartTime: s.ST, Value: s.V, Histogram: s.H, FloatHistogram: s.FH})
	}
	return out, nil
}
