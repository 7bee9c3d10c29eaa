package head

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// ReplayStatus is how far reading the log is.
type ReplayStatus struct {
	// Done and Total are bytes of the log.
	Done, Total int64
	// Segment is the segment being read, 0 for the checkpoint.
	Segment uint64
	Elapsed time.Duration
}

// loggedDamages bounds the lines in the log about records that make no sense.
const loggedDamages = 20

// replay reads the log into an empty head and opens it for writing.
func (h *Head) replay(opts wal.Options) error {
	start := time.Now()
	r := &replayer{head: h, decoder: wal.NewRowDecoder(), aliases: map[storage.SeriesRef]*series{}}
	reader, err := wal.OpenReader(h.opts.FS, h.opts.Dir, wal.ReaderOptions{
		CutTail: true,
		Metrics: opts.Metrics,
		OnDamage: func(d wal.Damage) {
			h.metrics.damagedRecords.Inc()
			h.opts.Logger.Warn("damaged part of the log was passed over", "err", d)
		},
	})
	if err != nil {
		return fmt.Errorf("replay log: %w", err)
	}
	last := ^uint64(0)
	for reader.Next() {
		rec := reader.Record()
		if seg := rec.Sequence.Segment(); seg != last {
			last = seg
			r.report(reader, seg, start)
		}
		r.record(rec)
	}
	if err := reader.Close(); err != nil {
		return fmt.Errorf("replay log: %w", err)
	}
	r.end()
	if h.log, err = wal.Open(h.opts.FS, h.opts.Dir, opts); err != nil {
		return err
	}
	r.report(reader, h.log.Segment(), start)
	h.metrics.replaySeconds.Set(time.Since(start).Seconds())
	return nil
}

// replayer puts the records of a log into a head that nobody else uses yet.
type replayer struct {
	head    *Head
	decoder *wal.RowDecoder
	// aliases has the series that the log knows by a reference that is not
	// theirs: one was forgotten and came back, and both records are there.
	aliases map[storage.SeriesRef]*series
	samples []wal.Sample
	logged  int
}

func (r *replayer) report(reader *wal.Reader, segment uint64, start time.Time) {
	if r.head.opts.OnReplay == nil {
		return
	}
	done, total := reader.Progress()
	r.head.opts.OnReplay(ReplayStatus{Done: done, Total: total, Segment: segment, Elapsed: time.Since(start)})
}

// record applies a record. One that makes no sense costs itself.
func (r *replayer) record(rec *wal.Record) {
	var err error
	switch rec.Type {
	case wal.TypeGroup:
		err = r.group(rec.Payload)
	case wal.TypeGroupClose:
		err = r.closeGroup(rec.Payload)
	case wal.TypeColumns:
		err = r.columns(rec.Payload)
	case wal.TypeColumnRelease:
		err = r.release(rec.Payload)
	case wal.TypeRow:
		err = r.row(rec.Payload)
	case wal.TypeSamples:
		err = r.looseSamples(rec.Payload)
	case wal.TypeExemplars:
		err = r.exemplars(rec.Payload)
	case wal.TypeMetadata:
		err = r.metadata(rec.Payload)
	case wal.TypeTombstone:
		err = r.tombstone(rec.Payload)
	case wal.TypeCheckpointBegin, wal.TypeCheckpointEnd:
	default:
		r.head.metrics.unknownRecords.Inc()
	}
	if err == nil {
		return
	}
	r.head.metrics.damagedRecords.Inc()
	if r.logged++; r.logged <= loggedDamages {
		r.head.opts.Logger.Warn("log record cannot be used and was passed over", "file", rec.File, "offset", rec.Offset, "type", rec.Type.String(), "err", err)
	}
}

// errUnknown says that a record refers to what the log has not defined, or
// whose definition was damaged.
var errUnknown = errors.New("record refers to something that is not defined")

func (r *replayer) group(payload []byte) error {
	def, err := wal.DecodeGroup(payload)
	if err != nil {
		return err
	}
	h := r.head
	if h.groups.byID[def.ID] == nil {
		g := newGroup(h, def.ID, def.Origin)
		g.logged = true
		h.groups.byID[def.ID] = g
	}
	h.groups.last = max(h.groups.last, def.ID)
	return nil
}

// open returns a group that takes rows.
func (r *replayer) open(id uint64) (*group, error) {
	g := r.head.groups.byID[id]
	if g == nil || g.closed {
		return nil, fmt.Errorf("%w: group %d", errUnknown, id)
	}
	return g, nil
}

func (r *replayer) closeGroup(payload []byte) error {
	id, err := wal.DecodeGroupClose(payload)
	if err != nil {
		return err
	}
	r.decoder.Forget(id)
	if g := r.head.groups.byID[id]; g != nil && !g.closed {
		g.endLocked()
	}
	return nil
}

// find returns the series that the log knows by a reference.
func (r *replayer) find(ref storage.SeriesRef) *series {
	if s := r.aliases[ref]; s != nil {
		return s
	}
	return r.head.reg.byRef(ref)
}

func (r *replayer) columns(payload []byte) error {
	id, columns, err := wal.DecodeColumns(payload)
	if err != nil {
		return err
	}
	var g *group
	if id != 0 {
		if g, err = r.open(id); err != nil {
			g = nil // the series are still of use
		}
	}
	for _, c := range columns {
		s, _ := r.head.reg.restore(c.Series, c.Labels)
		if s.ref != c.Series {
			r.aliases[c.Series] = s
		} else {
			delete(r.aliases, c.Series)
		}
		if g != nil {
			g.restoreColumn(c.Number, s)
		}
	}
	return err
}

// restoreColumn gives a column to a series, whoever had it.
func (g *group) restoreColumn(c storage.Column, s *series) {
	if g.current.series(uint32(c)) == s {
		return
	}
	g.releaseLocked(c)
	g.unshareLayoutLocked()
	if g.free.Has(c) {
		g.free.Unset(c)
		g.freeCount--
	}
	for len(g.current.cols) <= int(c) {
		g.current.cols = append(g.current.cols, nil)
	}
	g.current.cols[c] = s
	g.checked = g.checked.Grow(len(g.current.cols))
	s.setPlacesLocked(append(slices.Clone(s.placesLocked()), place{group: g, col: uint32(c), live: true, checked: true}))
}

func (r *replayer) release(payload []byte) error {
	id, columns, err := wal.DecodeColumnRelease(payload)
	if err != nil {
		return err
	}
	g, err := r.open(id)
	if err != nil {
		return err
	}
	for _, c := range columns {
		g.releaseLocked(c)
	}
	return nil
}

func (r *replayer) row(payload []byte) error {
	id, row, err := r.decoder.Decode(payload)
	if err != nil {
		return err
	}
	g, err := r.open(id)
	if err != nil {
		return err
	}
	if row.T <= g.lastT {
		return nil // a checkpoint had it already
	}
	a := &g.appending
	a.reg = r.head.reg
	values := row.Values
	if len(values) > len(g.current.cols) {
		row.Values = values[:len(g.current.cols)]
	}
	g.siftLocked(a, row)
	// A column without a series lost its definition; its neighbours did not.
	lost := len(a.refused)
	for c := range g.current.cols {
		if g.current.cols[c] == nil && a.floats.Has(storage.Column(c)) {
			a.drop(storage.Column(c))
			lost++
		}
	}
	if n := a.present.Count(); n > 0 {
		whole := len(a.hists) == 0 && n == len(row.Values)
		out := storage.Row{T: row.T, Values: row.Values, StartTimes: usedStarts(row), Histograms: a.hists}
		g.publishLocked(&out, whole, a.floats)
		r.head.observeTime(row.T)
	}
	row.Values = values
	if lost > 0 {
		return fmt.Errorf("%w: %d columns of a row of group %d", errUnknown, lost, id)
	}
	return nil
}

func (r *replayer) looseSamples(payload []byte) (err error) {
	if r.samples, err = wal.DecodeSamples(r.samples[:0], payload); err != nil {
		return err
	}
	lost := 0
	for i := range r.samples {
		in := &r.samples[i]
		s := r.find(in.Series)
		if s == nil {
			lost++
			continue
		}
		loose := s.takeLooseLocked()
		if _, ok, err := loose.find(in.T); ok || err != nil {
			continue // a checkpoint had it already
		}
		loose.add(&batch.Sample{T: in.T, ST: in.StartTime, V: in.Value, H: in.Histogram, FH: in.FloatHistogram}, 0)
		loose.settle(0)
		r.head.observeTime(in.T)
	}
	if lost > 0 {
		return fmt.Errorf("%w: the series of %d samples", errUnknown, lost)
	}
	return nil
}

func (r *replayer) exemplars(payload []byte) error {
	list, err := wal.DecodeExemplars(payload)
	if err != nil {
		return err
	}
	ring := r.head.exemplars
	ring.mu.Lock()
	defer ring.mu.Unlock()
	for i := range list {
		s := r.find(list[i].Series)
		if s == nil {
			return fmt.Errorf("%w: series %d of an exemplar", errUnknown, list[i].Series)
		}
		list[i].Series = s.ref
		if ok, _ := ring.admitLocked(&list[i]); ok {
			ring.addLocked(list[i])
		}
	}
	return nil
}

func (r *replayer) metadata(payload []byte) error {
	list, err := wal.DecodeMetadata(payload)
	if err != nil {
		return err
	}
	for i := range list {
		s := r.find(list[i].Series)
		if s == nil {
			return fmt.Errorf("%w: series %d of metadata", errUnknown, list[i].Series)
		}
		r.head.setMetadata(s, list[i].Metadata)
	}
	return nil
}

func (r *replayer) tombstone(payload []byte) error {
	t, err := wal.DecodeTombstone(payload)
	if err != nil {
		return err
	}
	var list []*series
	for _, ref := range t.Series {
		if s := r.find(ref); s != nil {
			list = append(list, s)
		}
	}
	return r.head.deleteSeries(list, t.MinT, t.MaxT)
}

// end closes the groups of the run that wrote the log.
func (r *replayer) end() {
	for _, g := range r.head.groups.byID {
		if !g.closed {
			g.endLocked()
		}
	}
}
