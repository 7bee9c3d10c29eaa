package rules

import (
	"errors"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/storage"
)

// output writes the results of one rule: a storage group whose columns are the
// series of the last result. It is used by one goroutine at a time.
type output struct {
	store  storage.Writer
	origin string
	// group is opened by the first result that has a series: most alerting
	// rules never have one.
	group   storage.Group
	columns map[string]*outputColumn
	// order has the columns in the order of the last result, nil where a
	// series was refused and past its end. The next result mostly has the same.
	order []*outputColumn
	// round counts the rows.
	round uint64
	row   storage.Row
	buf   []byte
}

// outputColumn is a series that was in the last result.
type outputColumn struct {
	column storage.Column
	labels labels.Labels
	// round is the last row that had the series.
	round uint64
	// written says that the last sample of the series was stored. If it was
	// not, the series gets no staleness marker: it never began, or somebody
	// else writes it.
	written bool
}

// staleNaN is the value that ends a series.
var staleNaN = math.Float64frombits(value.StaleNaN)

// append writes a vector as the row at t, with staleness markers for the series
// that were in the last row and are not in this one. It returns the samples of
// the vector that were refused. With an error nothing was written. The labels
// of the vector's samples must differ.
func (o *output) append(t int64, vector alerting.Vector) ([]storage.ColumnError, error) {
	if len(vector) == 0 && len(o.columns) == 0 {
		return nil, nil
	}
	if err := o.open(); err != nil {
		return nil, err
	}
	o.round++
	o.reset(t)
	var refused []storage.ColumnError
	for i := range vector {
		c, err := o.columnAt(i, vector[i].Labels)
		if err != nil {
			refused = append(refused, storage.ColumnError{Labels: vector[i].Labels, Err: err})
			continue
		}
		c.round = o.round
		o.set(c.column, &vector[i])
	}
	clear(o.order[min(len(vector), len(o.order)):])
	vanished := o.endVanished(len(vector) - len(refused))
	slices.SortFunc(o.row.Histograms, func(a, b storage.HistogramSample) int { return int(a.Column) - int(b.Column) })

	rowErr, err := o.write()
	if err != nil {
		return refused, err
	}
	refused = append(refused, o.settle(rowErr)...)
	for key, c := range vanished {
		o.group.ReleaseColumn(c.column)
		delete(o.columns, key)
	}
	return refused, nil
}

// open opens the storage group if it is not.
func (o *output) open() error {
	if o.group != nil {
		return nil
	}
	g, err := o.store.OpenGroup(storage.GroupOptions{Origin: o.origin})
	if err != nil {
		return err
	}
	o.group, o.columns = g, make(map[string]*outputColumn)
	return nil
}

// reset empties the row and keeps its room.
func (o *output) reset(t int64) {
	o.row.T = t
	o.row.Values = o.row.Values[:0]
	o.row.Present.Clear()
	clear(o.row.Histograms)
	o.row.Histograms = o.row.Histograms[:0]
}

// columnAt returns the column of the i-th series of a result.
func (o *output) columnAt(i int, ls labels.Labels) (*outputColumn, error) {
	for len(o.order) <= i {
		o.order = append(o.order, nil)
	}
	if c := o.order[i]; c != nil && labels.Equal(c.labels, ls) {
		return c, nil
	}
	c, err := o.columnOf(ls)
	o.order[i] = c
	return c, err
}

// columnOf returns the column of a series, a new one if need be.
func (o *output) columnOf(ls labels.Labels) (*outputColumn, error) {
	o.buf = ls.Bytes(o.buf)
	if c, ok := o.columns[string(o.buf)]; ok {
		return c, nil
	}
	n, err := o.group.AddColumn(ls)
	if err != nil {
		return nil, err
	}
	c := &outputColumn{column: n, labels: ls}
	o.columns[string(o.buf)] = c
	return c, nil
}

// set puts a sample into a column of the row.
func (o *output) set(c storage.Column, s *alerting.Sample) {
	o.setFloat(c, s.V)
	if s.H != nil {
		o.row.Histograms = append(o.row.Histograms, storage.HistogramSample{Column: c, FloatHistogram: s.H})
	}
}

func (o *output) setFloat(c storage.Column, v float64) {
	if missing := int(c) + 1 - len(o.row.Values); missing > 0 {
		o.row.Values = append(o.row.Values, make([]float64, missing)...)
		o.row.Present = o.row.Present.Grow(len(o.row.Values))
	}
	o.row.Values[c] = v
	o.row.Present.Set(c)
}

// endVanished puts staleness markers into the row for the series that the round
// did not have, and returns these. present is the number of series it has.
func (o *output) endVanished(present int) map[string]*outputColumn {
	if present == len(o.columns) {
		return nil
	}
	var vanished map[string]*outputColumn
	for key, c := range o.columns {
		if c.round == o.round {
			continue
		}
		if c.written {
			o.setFloat(c.column, staleNaN)
		}
		if vanished == nil {
			vanished = make(map[string]*outputColumn)
		}
		vanished[key] = c
	}
	return vanished
}

// write appends the row unless it is empty. The first result tells which
// columns were refused, the second that nothing was written.
func (o *output) write() (*storage.RowError, error) {
	if o.row.Present.Count() == 0 {
		return nil, nil
	}
	err := o.group.AppendRow(&o.row)
	if rowErr, ok := errors.AsType[*storage.RowError](err); ok {
		return rowErr, nil
	}
	return nil, err
}

// settle notes which columns have samples after a row was written, and returns
// the refused ones. That a staleness marker was refused is not an error: it
// means that another rule writes the series now. For the same reason a series
// whose sample was refused is not to be ended from here.
func (o *output) settle(rowErr *storage.RowError) []storage.ColumnError {
	var (
		refused   []storage.ColumnError
		isRefused map[storage.Column]bool
	)
	if rowErr != nil {
		isRefused = make(map[storage.Column]bool, len(rowErr.Refused))
		for _, r := range rowErr.Refused {
			isRefused[r.Column] = true
			if v := o.row.Values[r.Column]; math.Float64bits(v) == value.StaleNaN && isSuperseded(r.Err) {
				continue
			}
			refused = append(refused, r)
		}
	}
	for _, c := range o.order {
		if c != nil {
			c.written = !isRefused[c.column]
		}
	}
	return refused
}

// isSuperseded reports whether a sample was refused because its series has one
// at the same time or later.
func isSuperseded(err error) bool {
	return errors.Is(err, storage.ErrOutOfOrder) ||
		errors.Is(err, storage.ErrTooOld) ||
		errors.Is(err, storage.ErrDuplicateSample)
}

// series returns the labels of the series that have not ended.
func (o *output) series() []labels.Labels {
	all := make([]labels.Labels, 0, len(o.columns))
	for _, c := range o.columns {
		if c.written {
			all = append(all, c.labels)
		}
	}
	return all
}

// close releases the columns without ending the series.
func (o *output) close() error {
	if o.group == nil {
		return nil
	}
	err := o.group.Close()
	o.group, o.columns, o.order = nil, nil, nil
	return err
}
