package storagetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/storage"
)

// OpenGroup makes a group without columns.
func (m *Model) OpenGroup(storage.GroupOptions) (storage.Group, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mu.closed {
		return nil, storage.ErrClosed
	}
	return &modelGroup{model: m}, nil
}

// KnowsSeries implements storage.SeriesKnower.
func (m *Model) KnowsSeries(ls labels.Labels) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.series[string(ls.Bytes(nil))] != nil
}

// modelGroup is a group of the model. A released column is nil.
type modelGroup struct {
	model   *Model
	columns []*modelSeries
	closed  bool
}

func (g *modelGroup) lock() error {
	g.model.mu.Lock()
	if g.closed || g.model.mu.closed {
		g.model.mu.Unlock()
		return storage.ErrClosed
	}
	return nil
}

func (g *modelGroup) AddColumn(ls labels.Labels) (storage.Column, error) {
	if err := g.lock(); err != nil {
		return 0, err
	}
	defer g.model.mu.Unlock()
	s, err := g.model.seriesLocked(ls)
	if err != nil {
		return 0, err
	}
	free := len(g.columns)
	for c, have := range g.columns {
		if have == s {
			return storage.Column(c), nil
		}
		if have == nil {
			free = min(free, c)
		}
	}
	if free == len(g.columns) {
		g.columns = append(g.columns, nil)
	}
	g.columns[free] = s
	return storage.Column(free), nil
}

func (g *modelGroup) ReleaseColumn(c storage.Column) {
	if g.lock() != nil {
		return
	}
	defer g.model.mu.Unlock()
	if int(c) < len(g.columns) {
		g.columns[c] = nil
	}
}

func (g *modelGroup) SetMetadata(c storage.Column, md metadata.Metadata) error {
	if err := g.lock(); err != nil {
		return err
	}
	defer g.model.mu.Unlock()
	if int(c) >= len(g.columns) || g.columns[c] == nil {
		return storage.ErrUnknownColumn
	}
	g.columns[c].metadata = md
	return nil
}

func (g *modelGroup) AppendRow(row *storage.Row) error {
	if err := g.lock(); err != nil {
		return err
	}
	defer g.model.mu.Unlock()
	if len(row.Values) > len(g.columns) {
		return fmt.Errorf("%w: the row has %d columns, the group %d", storage.ErrUnknownColumn, len(row.Values), len(g.columns))
	}
	var failed storage.RowError
	refuse := func(c storage.Column, ls labels.Labels, err error) {
		failed.Refused = append(failed.Refused, storage.ColumnError{Column: c, Labels: ls, Err: err})
	}
	histograms := row.Histograms
	for i := range g.columns {
		c := storage.Column(i)
		var hs *storage.HistogramSample
		if len(histograms) > 0 && histograms[0].Column == c {
			hs, histograms = &histograms[0], histograms[1:]
		}
		if hs == nil && (!row.Has(c) || i >= len(row.Values)) {
			continue
		}
		s := g.columns[c]
		if s == nil {
			refuse(c, labels.EmptyLabels(), storage.ErrUnknownColumn)
			continue
		}
		in := rowSample(row, c, hs)
		same, err := g.model.checkLocked(s, &in)
		switch {
		case err != nil:
			refuse(c, s.labels, err)
			continue
		case !same:
			g.model.addLocked(s, in)
		}
		failed.Appended++
	}
	g.exemplarsLocked(row)
	if failed.Refused != nil {
		return &failed
	}
	return nil
}

func rowSample(row *storage.Row, c storage.Column, hs *storage.HistogramSample) Sample {
	in := Sample{T: row.T}
	if hs != nil {
		in.H, in.FH = hs.Histogram, hs.FloatHistogram
	} else {
		in.V = row.Values[c]
	}
	if int(c) < len(row.StartTimes) {
		in.ST = row.StartTimes[c]
	}
	return in
}

func (g *modelGroup) exemplarsLocked(row *storage.Row) {
	for _, e := range row.Exemplars {
		if int(e.Column) >= len(g.columns) || g.columns[e.Column] == nil {
			continue
		}
		if !e.Exemplar.HasTs {
			e.Exemplar.Ts = row.T
		}
		_ = g.columns[e.Column].addExemplarLocked(e.Exemplar) // late ones are dropped, as the contract has it
	}
}

func (g *modelGroup) Close() error {
	if err := g.lock(); err != nil {
		return err
	}
	defer g.model.mu.Unlock()
	g.closed, g.columns = true, nil
	return nil
}

// Appender begins a transaction.
func (m *Model) Appender(context.Context) storage.Appender { return &modelAppender{model: m} }

// modelAppender keeps the samples of a transaction until it is committed.
type modelAppender struct {
	model   *Model
	pending []pendingSample
	done    bool
}

// pendingSample is a sample, or an exemplar or metadata, of a series.
type pendingSample struct {
	series   *modelSeries
	sample   Sample
	exemplar *exemplar.Exemplar
	metadata *metadata.Metadata
}

func (a *modelAppender) begin(ref storage.SeriesRef, ls labels.Labels) (*modelSeries, error) {
	if a.done || a.model.mu.closed {
		return nil, storage.ErrClosed
	}
	if s := a.model.byRefLocked(ref); s != nil {
		return s, nil
	}
	if ls.IsEmpty() && ref != 0 {
		return nil, fmt.Errorf("%w: %d", storage.ErrUnknownSeries, ref)
	}
	return a.model.seriesLocked(ls)
}

func (a *modelAppender) Append(ref storage.SeriesRef, ls labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	return a.append(ref, ls, Sample{T: t, V: v})
}

func (a *modelAppender) AppendHistogram(ref storage.SeriesRef, ls labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	in := Sample{T: t}
	if h != nil {
		in.H = h.Copy()
	}
	if fh != nil {
		in.FH = fh.Copy()
	}
	return a.append(ref, ls, in)
}

func (a *modelAppender) append(ref storage.SeriesRef, ls labels.Labels, in Sample) (storage.SeriesRef, error) {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	s, err := a.begin(ref, ls)
	if err != nil {
		return 0, err
	}
	if _, err := a.model.checkLocked(s, &in); err != nil {
		return s.ref, err
	}
	a.pending = append(a.pending, pendingSample{series: s, sample: in})
	return s.ref, nil
}

func (a *modelAppender) SetStartTime(ref storage.SeriesRef, t, st int64) error {
	n := len(a.pending)
	if a.done || n == 0 || a.pending[n-1].series.ref != ref || a.pending[n-1].sample.T != t {
		return fmt.Errorf("%w: no sample of %d at %d before its start time", storage.ErrUnknownSeries, ref, t)
	}
	a.pending[n-1].sample.ST = st
	return nil
}

func (a *modelAppender) AppendExemplar(ref storage.SeriesRef, e exemplar.Exemplar) error {
	return a.add(ref, func(p *pendingSample) { p.exemplar = &e })
}

func (a *modelAppender) SetMetadata(ref storage.SeriesRef, md metadata.Metadata) error {
	return a.add(ref, func(p *pendingSample) { p.metadata = &md })
}

func (a *modelAppender) add(ref storage.SeriesRef, fill func(*pendingSample)) error {
	a.model.mu.RLock()
	defer a.model.mu.RUnlock()
	if a.done {
		return storage.ErrClosed
	}
	s := a.model.byRefLocked(ref)
	if s == nil {
		return fmt.Errorf("%w: %d", storage.ErrUnknownSeries, ref)
	}
	p := pendingSample{series: s}
	fill(&p)
	a.pending = append(a.pending, p)
	return nil
}

func (a *modelAppender) Commit() error {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	if a.done || a.model.mu.closed {
		return storage.ErrClosed
	}
	a.done = true
	var errs []error
	for i := range a.pending {
		p := &a.pending[i]
		switch {
		case p.exemplar != nil:
			errs = append(errs, p.series.addExemplarLocked(*p.exemplar))
		case p.metadata != nil:
			p.series.metadata = *p.metadata
		default:
			same, err := a.model.checkLocked(p.series, &p.sample)
			errs = append(errs, err)
			if err == nil && !same {
				a.model.addLocked(p.series, p.sample)
			}
		}
	}
	return errors.Join(errs...)
}

func (a *modelAppender) Rollback() error {
	if a.done {
		return storage.ErrClosed
	}
	a.done, a.pending = true, nil
	return nil
}
