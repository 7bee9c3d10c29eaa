package exec

import (
	"fmt"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// newAggregate returns the operator of an aggregation.
func (sc *scope) newAggregate(n *plan.Aggregate) (operator, error) {
	if n.Op == parser.COUNT_VALUES {
		return sc.newCountValues(n)
	}
	var param []float64
	var used usage
	if n.Param != nil {
		var err error
		if param, used, err = sc.scalar(n.Param); err != nil {
			return nil, err
		}
	}
	inner, err := sc.operator(n.Expr)
	if err != nil {
		return nil, err
	}
	a := aggregation{sc: sc, node: n, inner: inner, param: param, paramUsed: used, groups: newGroups(n.Grouping, n.Without)}
	switch n.Op {
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
		return &choice{aggregation: a}, nil
	}
	return &fold{aggregation: a}, nil
}

// groups numbers the groups of an aggregation.
type groups struct {
	names   []string
	without bool
	numbers map[uint64]int
	buf     []byte
	builder *labels.Builder
}

func newGroups(names []string, without bool) groups {
	return groups{names: names, without: without, numbers: map[uint64]int{}, builder: labels.NewBuilder(labels.EmptyLabels())}
}

// of returns the number of the group of a series, and whether it is new. Groups
// are numbered in the order of their first series.
func (g *groups) of(ls labels.Labels) (int, bool) {
	var key uint64
	switch {
	case g.without:
		key, g.buf = ls.HashWithoutLabels(g.buf, g.names...)
	case len(g.names) > 0:
		key, g.buf = ls.HashForLabels(g.buf, g.names...)
	}
	n, ok := g.numbers[key]
	if !ok {
		n = len(g.numbers)
		g.numbers[key] = n
	}
	return n, !ok
}

// labels returns the labels of the group of a series.
func (g *groups) labels(ls labels.Labels) labels.Labels {
	switch {
	case g.without:
		g.builder.Reset(ls)
		return g.builder.Del(g.names...).Del(model.MetricNameLabel).Labels()
	case len(g.names) > 0:
		g.builder.Reset(ls)
		return g.builder.Keep(g.names...).Labels()
	}
	return labels.EmptyLabels()
}

// aggregation is what all kinds have.
type aggregation struct {
	sc        *scope
	node      *plan.Aggregate
	inner     operator
	param     []float64
	paramUsed usage
	groups    groups
	notes     functions.Annotations
	out       *list
	used      usage
	// mark is what the query held when the aggregation began.
	mark int64
}

func (a *aggregation) usage() usage { return a.used }

// finish makes a result of the series.
func (a *aggregation) finish(all []*series) error {
	a.sc.done(&a.notes)
	a.used = a.paramUsed
	a.used.then(a.inner.usage())
	a.used.held = 0
	for _, s := range all {
		a.used.hold(s.size())
	}
	var err error
	if a.out, err = a.sc.listOf(a.mark, all); err != nil {
		return err
	}
	return a.sc.check(a.used)
}

// fold is an aggregation that makes one series of each group. It keeps an
// accumulator for each, and one series at a time.
type fold struct {
	aggregation
	shared  functions.Aggregation
	members []member
}

// member is a group with what it has come to.
type member struct {
	metric      labels.Labels
	dropName    bool
	accumulator functions.Accumulator
}

func (f *fold) next(s *series) (bool, error) {
	if f.out == nil {
		if err := f.run(s); err != nil {
			return false, err
		}
	}
	return f.out.next(s)
}

// run folds all series. The memory of s is used for each of them.
func (f *fold) run(s *series) error {
	f.mark = f.sc.memory.mark()
	f.shared = functions.Aggregation{
		Op: f.node.Op, Steps: f.sc.n, Param: f.param, Pos: f.node.Expr.Position(), Annotations: &f.notes,
	}
	if f.node.Op == parser.QUANTILE {
		f.checkQuantile()
	}
	for {
		ok, err := f.sc.pull(f.inner, s)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		n, fresh := f.groups.of(s.metric)
		if fresh {
			f.members = append(f.members, member{metric: f.groups.labels(s.metric), accumulator: f.shared.New()})
			if err := f.sc.memory.take(accumulatorBytes(f.sc.n) + int(s.metric.ByteSize())); err != nil {
				return err
			}
		}
		if f.node.Op == parser.QUANTILE { // which keeps all values
			if err := f.sc.memory.take(8 * f.sc.n); err != nil {
				return err
			}
		}
		m := &f.members[n]
		m.dropName = m.dropName || s.dropName
		name := ""
		if s.Hists != nil {
			name = s.metric.Get(model.MetricNameLabel)
		}
		m.accumulator.Add(&s.Steps, name)
	}
	all := make([]*series, 0, len(f.members))
	memory := slab{n: f.sc.n, made: len(f.members)}
	for i := range f.members {
		m := &f.members[i]
		out := memory.next()
		out.metric, out.dropName = m.metric, m.dropName
		m.accumulator.Finish(&out.Steps)
		m.accumulator = nil
		if !out.empty() {
			all = append(all, out)
		}
	}
	return f.finish(all)
}

// accumulatorBytes is about what an accumulator of n steps takes: two sums with their
// compensations, and which steps there are.
func accumulatorBytes(n int) int { return 160 + 33*n }

// count_values makes a series of each value.
type countValues struct {
	aggregation
	label string
	in    tally
	made  tally
}

func (sc *scope) newCountValues(n *plan.Aggregate) (operator, error) {
	text := n.Param.(*plan.Text)
	if !validLabelName(text.Value) {
		return nil, fmt.Errorf("invalid label name %q", text.Value)
	}
	inner, err := sc.operator(n.Expr)
	if err != nil {
		return nil, err
	}
	names := n.Grouping
	if !n.Without {
		names = withName(names, text.Value)
	}
	c := &countValues{label: text.Value}
	c.aggregation = aggregation{sc: sc, node: n, inner: inner, groups: newGroups(names, n.Without)}
	return c, nil
}

func (c *countValues) next(s *series) (bool, error) {
	if c.out == nil {
		if err := c.run(s); err != nil {
			return false, err
		}
	}
	return c.out.next(s)
}

func (c *countValues) run(s *series) error {
	c.mark = c.sc.memory.mark()
	var all []*series
	valued := labels.NewBuilder(labels.EmptyLabels())
	for {
		ok, err := c.sc.pull(c.inner, s)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		c.in.add(s, c.sc.n, false)
		last, group := "", -1
		for i := range c.sc.n {
			if !s.has(i) {
				continue
			}
			if v := functions.CountValue(s.Floats[i], s.hist(i)); v != last || group < 0 {
				valued.Reset(s.metric)
				ls := valued.Set(c.label, v).Labels()
				var fresh bool
				if group, fresh = c.groups.of(ls); fresh {
					row := newSeries(c.sc.n)
					row.metric = c.groups.labels(ls)
					if err := c.sc.keep(row); err != nil {
						return err
					}
					all = append(all, row)
				}
				last = v
			}
			row := all[group]
			if !row.Valid.Has(i) {
				row.Valid.Set(i)
				row.Floats[i] = 0
			}
			row.Floats[i]++
		}
	}
	rows := newResultRows(c.sc, len(all))
	for _, row := range all {
		if err := rows.add(row); err != nil {
			return err
		}
	}
	for _, row := range rows.list {
		c.made.add(row, c.sc.n, true)
	}
	c.used = stepwise(c.inner.usage(), &c.in, &c.made, c.sc.n)
	var err error
	if c.out, err = c.sc.listOf(c.mark, rows.list); err != nil {
		return err
	}
	return c.sc.check(c.used)
}
