package exec

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// histogramCall is histogram_quantile, histogram_quantiles or
// histogram_fraction.
type histogramCall struct {
	sc    *scope
	node  *plan.Call
	inner operator
	// operand is the position of the vector.
	operand plan.Node
	scalars [][]float64
	// compute returns the series of a histogram with the labels of the classic
	// buckets, or of the native histogram if there are none, for each quantile.
	compute func(g *functions.HistogramGroup, metric labels.Labels) [][]*series
	args    functions.Args
	notes   functions.Annotations

	before, after usage
	in            tally
	out           *list
	used          usage
}

func (h *histogramCall) usage() usage { return h.used }

func (sc *scope) newHistogramCallOf(n *plan.Call, vector int) (*histogramCall, error) {
	h := &histogramCall{sc: sc, node: n, operand: n.Args[vector]}
	h.args = functions.Args{Annotations: &h.notes, Pos: h.operand.Position()}
	for i, a := range n.Args {
		if a.Type() != parser.ValueTypeScalar {
			continue
		}
		values, used, err := sc.scalar(a)
		if err != nil {
			return nil, err
		}
		if i < vector {
			h.before.then(used)
		} else {
			h.after.then(used)
		}
		h.in.all++
		h.scalars = append(h.scalars, values)
	}
	var err error
	h.inner, err = sc.operator(h.operand)
	return h, err
}

func (sc *scope) newHistogramQuantile(n *plan.Call) (operator, error) {
	h, err := sc.newHistogramCallOf(n, 1)
	if err != nil {
		return nil, err
	}
	functions.CheckQuantiles(h.scalars, []posrange.PositionRange{n.Args[0].Position()}, &h.notes)
	h.compute = func(g *functions.HistogramGroup, metric labels.Labels) [][]*series {
		s := h.result(metric)
		g.Quantiles([]*functions.Steps{&s.Steps}, h.scalars, sc.first, sc.step, &h.args)
		return [][]*series{{s}}
	}
	return h, nil
}

func (sc *scope) newHistogramFraction(n *plan.Call) (operator, error) {
	h, err := sc.newHistogramCallOf(n, 2)
	if err != nil {
		return nil, err
	}
	h.compute = func(g *functions.HistogramGroup, metric labels.Labels) [][]*series {
		s := h.result(metric)
		g.Fraction(&s.Steps, h.scalars[0], h.scalars[1], &h.args)
		return [][]*series{{s}}
	}
	return h, nil
}

func (sc *scope) newHistogramQuantiles(n *plan.Call) (operator, error) {
	h, err := sc.newHistogramCallOf(n, 0)
	if err != nil {
		return nil, err
	}
	var positions []posrange.PositionRange
	for _, q := range n.Args[2:] {
		positions = append(positions, q.Position())
	}
	functions.CheckQuantiles(h.scalars, positions, &h.notes)
	name := n.Args[1].(*plan.Text).Value
	h.compute = func(g *functions.HistogramGroup, metric labels.Labels) [][]*series {
		all := make([]*series, len(h.scalars))
		dst := make([]*functions.Steps, len(h.scalars))
		for i := range all {
			all[i] = h.result(metric)
			dst[i] = &all[i].Steps
		}
		g.Quantiles(dst, h.scalars, sc.first, sc.step, &h.args)
		out := make([][]*series, len(all))
		for i, s := range all {
			out[i] = h.byQuantile(s, name, h.scalars[i])
		}
		return out
	}
	return h, nil
}

// byQuantile labels a series with its quantile. One that changes from step to
// step makes a series of each.
func (h *histogramCall) byQuantile(s *series, name string, qs []float64) []*series {
	builder := labels.NewBuilder(s.metric)
	label := func(q float64) labels.Labels {
		builder.Reset(s.metric)
		return builder.Set(name, labels.FormatOpenMetricsFloat(q)).Labels()
	}
	if len(qs) == 1 {
		s.metric = label(qs[0])
		return []*series{s}
	}
	var out []*series
	byLabel := map[string]*series{}
	for i := range h.sc.n {
		if !s.Valid.Has(i) {
			continue
		}
		text := labels.FormatOpenMetricsFloat(qs[i])
		row := byLabel[text]
		if row == nil {
			row = newSeries(h.sc.n)
			row.metric, row.dropName = label(qs[i]), s.dropName
			byLabel[text] = row
			out = append(out, row)
		}
		row.Floats[i] = s.Floats[i]
		row.Valid.Set(i)
	}
	return out
}

// result returns an empty series of the result.
func (h *histogramCall) result(metric labels.Labels) *series {
	s := newSeries(h.sc.n)
	s.metric = metric
	h.sc.unname(s)
	return s
}

func (h *histogramCall) next(s *series) (bool, error) {
	if h.out == nil {
		if err := h.run(); err != nil {
			return false, err
		}
	}
	return h.out.next(s)
}

// histogramGroup is the series that make one histogram.
type histogramGroup struct {
	functions.HistogramGroup
	metric labels.Labels
}

// kind is 0 for native histograms and 1 for classic ones.
func (g *histogramGroup) kind() int {
	if g.Native != nil {
		return 0
	}
	return 1
}

func (h *histogramCall) run() error {
	mark := h.sc.memory.mark()
	groups, err := h.group()
	if err != nil {
		return err
	}
	rows := newResultRows(h.sc, len(groups))
	// Native histograms come before classic ones, by quantile.
	slices.SortStableFunc(groups, func(a, b *histogramGroup) int { return cmp.Compare(a.kind(), b.kind()) })
	var results [][][]*series
	for _, g := range groups {
		h.args.Metric = ""
		if h.sc.opts.DelayedNames {
			h.args.Metric = g.metric.Get(model.MetricNameLabel)
		}
		results = append(results, h.compute(&g.HistogramGroup, g.metric))
	}
	for q := range max(1, len(h.scalars)) {
		for _, r := range results {
			if q >= len(r) {
				break
			}
			for _, s := range r[q] {
				if s.empty() {
					continue
				}
				if err := h.sc.keep(s); err != nil {
					return err
				}
				if err := rows.add(s); err != nil {
					return err
				}
			}
		}
	}
	var out tally
	for _, s := range rows.list {
		out.add(s, h.sc.n, true)
	}
	h.sc.done(&h.notes)
	operands := h.before
	operands.then(h.inner.usage())
	operands.then(h.after)
	h.used = stepwise(operands, &h.in, &out, h.sc.n)
	if h.out, err = h.sc.listOf(mark, rows.list); err != nil {
		return err
	}
	return h.sc.check(h.used)
}

// group reads the operand and puts its series together.
func (h *histogramCall) group() ([]*histogramGroup, error) {
	var groups []*histogramGroup
	bySignature := map[string]*histogramGroup{}
	builder := labels.NewBuilder(labels.EmptyLabels())
	var buf []byte
	of := func(metric labels.Labels) *histogramGroup {
		g := bySignature[string(buf)]
		if g == nil {
			g = &histogramGroup{metric: metric}
			bySignature[string(buf)] = g
			groups = append(groups, g)
		}
		return g
	}
	all, err := h.sc.gather(h.inner)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		h.in.add(s, h.sc.n, false)
		if s.Hists != nil {
			buf = s.metric.Bytes(buf)
			of(s.metric).Native = &s.Steps
		}
		if countBits(s.Valid) == 0 {
			continue
		}
		bound, err := strconv.ParseFloat(s.metric.Get(model.BucketLabel), 64)
		if err != nil {
			h.badBucket(s.metric)
			continue
		}
		buf = s.metric.BytesWithoutLabels(buf, model.BucketLabel)
		builder.Reset(s.metric)
		g := of(builder.Del(model.BucketLabel).Labels())
		g.Bounds, g.Buckets = append(g.Bounds, bound), append(g.Buckets, &s.Steps)
	}
	return groups, nil
}

func (h *histogramCall) badBucket(metric labels.Labels) {
	name := ""
	if h.sc.opts.DelayedNames {
		name = metric.Get(model.MetricNameLabel)
	}
	h.notes.Add(annotations.NewBadBucketLabelWarning(name, metric.Get(model.BucketLabel), h.operand.Position()))
}
