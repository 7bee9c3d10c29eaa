package scrape

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"

	"github.com/gnomonhq/gnomon/storage"
)

// tape is a storage.Writer that takes everything and notes all that reaches it,
// every bit of it.
type tape struct {
	mu      sync.Mutex
	refs    map[string]storage.SeriesRef
	names   []string // by reference, from 1
	meta    map[string]metadata.Metadata
	samples map[string][]taped
}

// taped is a sample in the form in which it is compared.
type taped struct {
	t         int64
	value     string // the kind and every bit of it
	start     int64
	exemplars string
	meta      metadata.Metadata // of the series at that time
}

func newTape() *tape {
	return &tape{
		refs: map[string]storage.SeriesRef{}, names: []string{""},
		meta: map[string]metadata.Metadata{}, samples: map[string][]taped{},
	}
}

// valueBits returns a value with all that is in it.
func valueBits(v float64, h *histogram.Histogram, fh *histogram.FloatHistogram) string {
	switch {
	case h != nil:
		return fmt.Sprintf("%+v", *h)
	case fh != nil:
		return fmt.Sprintf("float %+v", *fh)
	case math.Float64bits(v) == value.StaleNaN:
		return "stale"
	default:
		return fmt.Sprintf("%v %x", v, math.Float64bits(v))
	}
}

// exemplarText returns an exemplar; the timestamp only if it has one of its own.
func exemplarText(e *exemplar.Exemplar) string {
	t := int64(0)
	if e.HasTs {
		t = e.Ts
	}
	return fmt.Sprintf("%s %x@%d;", e.Labels, math.Float64bits(e.Value), t)
}

// add notes a sample. The first one of a timestamp counts.
func (tp *tape) add(series string, s taped) {
	list := tp.samples[series]
	for i := range list {
		if list[i].t == s.t {
			return
		}
	}
	s.meta = tp.meta[series]
	tp.samples[series] = append(list, s)
}

// last returns the sample at t that was noted last.
func (tp *tape) OpenGroup(storage.GroupOptions) (storage.Group, error) {
	return &tapeGroup{tape: tp, columns: map[string]storage.Column{}}, nil
}

func (tp *tape) Appender(context.Context) storage.Appender { return &tapeAppender{tape: tp} }

type tapeGroup struct {
	tape    *tape
	columns map[string]storage.Column
	series  []string // empty: the column is free
}

func (g *tapeGroup) AddColumn(ls labels.Labels) (storage.Column, error) {
	key := ls.String()
	if c, ok := g.columns[key]; ok {
		return c, nil
	}
	c := 0
	for c < len(g.series) && g.series[c] != "" {
		c++
	}
	if c == len(g.series) {
		g.series = append(g.series, "")
	}
	g.series[c], g.columns[key] = key, storage.Column(c)
	return storage.Column(c), nil
}

func (g *tapeGroup) ReleaseColumn(c storage.Column) {
	delete(g.columns, g.series[c])
	g.series[c] = ""
}

func (g *tapeGroup) SetMetadata(c storage.Column, m metadata.Metadata) error {
	g.tape.mu.Lock()
	defer g.tape.mu.Unlock()
	g.tape.meta[g.series[c]] = m
	return nil
}

func (g *tapeGroup) AppendRow(row *storage.Row) error {
	g.tape.mu.Lock()
	defer g.tape.mu.Unlock()
	histograms := map[storage.Column]*storage.HistogramSample{}
	for i := range row.Histograms {
		histograms[row.Histograms[i].Column] = &row.Histograms[i]
	}
	exemplars := map[storage.Column]string{}
	for i := range row.Exemplars {
		e := &row.Exemplars[i]
		exemplars[e.Column] += exemplarText(&e.Exemplar)
	}
	for c := range row.Values {
		column := storage.Column(c)
		if !row.Has(column) {
			continue
		}
		s := taped{t: row.T, exemplars: exemplars[column]}
		if h := histograms[column]; h != nil {
			s.value = valueBits(0, h.Histogram, h.FloatHistogram)
		} else {
			s.value = valueBits(row.Values[c], nil, nil)
		}
		if row.StartTimes != nil {
			s.start = row.StartTimes[c]
		}
		g.tape.add(g.series[c], s)
	}
	return nil
}

func (*tapeGroup) Close() error { return nil }

type tapeAppender struct {
	tape    *tape
	pending []func()
	last    *taped
}

func (a *tapeAppender) Append(ref storage.SeriesRef, ls labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	return a.append(ref, ls, taped{t: t, value: valueBits(v, nil, nil)})
}

func (a *tapeAppender) AppendHistogram(ref storage.SeriesRef, ls labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	return a.append(ref, ls, taped{t: t, value: valueBits(0, h, fh)})
}

func (a *tapeAppender) append(ref storage.SeriesRef, ls labels.Labels, s taped) (storage.SeriesRef, error) {
	tp := a.tape
	tp.mu.Lock()
	defer tp.mu.Unlock()
	if ref == 0 {
		key := ls.String()
		if ref = tp.refs[key]; ref == 0 {
			ref = storage.SeriesRef(len(tp.names))
			tp.refs[key] = ref
			tp.names = append(tp.names, key)
		}
	}
	a.last = &s
	a.pending = append(a.pending, func() { tp.add(tp.names[ref], s) })
	return ref, nil
}

// SetStartTime is about the sample that was appended last, also if it turns out to be
// the second of its time.
func (a *tapeAppender) SetStartTime(_ storage.SeriesRef, _, st int64) error {
	a.last.start = st
	return nil
}

func (a *tapeAppender) AppendExemplar(ref storage.SeriesRef, e exemplar.Exemplar) error {
	a.pending = append(a.pending, func() {
		list := a.tape.samples[a.tape.names[ref]]
		list[len(list)-1].exemplars += exemplarText(&e)
	})
	return nil
}

func (a *tapeAppender) SetMetadata(ref storage.SeriesRef, m metadata.Metadata) error {
	a.pending = append(a.pending, func() {
		series := a.tape.names[ref]
		a.tape.meta[series] = m
		if list := a.tape.samples[series]; len(list) > 0 {
			list[len(list)-1].meta = m
		}
	})
	return nil
}

func (a *tapeAppender) Commit() error {
	a.tape.mu.Lock()
	defer a.tape.mu.Unlock()
	for _, f := range a.pending {
		f()
	}
	return nil
}

func (*tapeAppender) Rollback() error { return nil }
