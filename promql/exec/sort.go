package exec

import (
	"slices"

	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// sorted is sort, sort_desc, sort_by_label or sort_by_label_desc. The result of a
// range query is in the order of labels, whatever it does.
type sorted struct {
	sc     *scope
	node   *plan.Call
	inner  operator
	byName bool
	desc   bool
	out    *list
	used   usage
}

func (sc *scope) newSort(n *plan.Call) (operator, error) {
	inner, err := sc.operator(n.Args[0])
	if err != nil {
		return nil, err
	}
	return &sorted{
		sc: sc, node: n, inner: inner,
		byName: n.Name == "sort_by_label" || n.Name == "sort_by_label_desc",
		desc:   n.Name == "sort_desc" || n.Name == "sort_by_label_desc",
	}, nil
}

func (o *sorted) usage() usage { return o.used }

func (o *sorted) next(s *series) (bool, error) {
	if o.out == nil {
		if err := o.run(); err != nil {
			return false, err
		}
	}
	return o.out.next(s)
}

func (o *sorted) run() error {
	mark := o.sc.memory.mark()
	all, err := o.sc.gather(o.inner)
	if err != nil {
		return err
	}
	var in, out tally
	for _, s := range all {
		in.add(s, o.sc.n, false)
		if !o.byName {
			s.withoutHists()
		}
		out.add(s, o.sc.n, true)
	}
	all = slices.DeleteFunc(all, (*series).empty)
	var notes functions.Annotations
	if o.sc.instant() {
		all = o.order(all)
	} else {
		notes.Add(annotations.NewSortInRangeQueryWarning(o.node.Pos))
	}
	o.sc.done(&notes)
	o.used = stepwise(o.inner.usage(), &in, &out, o.sc.n)
	if o.out, err = o.sc.listOf(mark, all); err != nil {
		return err
	}
	return o.sc.check(o.used)
}

func (o *sorted) order(all []*series) []*series {
	if o.byName {
		names := texts(o.node.Args[1:])
		slices.SortFunc(all, func(a, b *series) int {
			c := functions.CompareLabels(a.metric, b.metric, names)
			if o.desc {
				return -c
			}
			return c
		})
		return all
	}
	values := make([]float64, len(all))
	for i, s := range all {
		values[i] = s.Floats[0]
	}
	out := make([]*series, len(all))
	for i, k := range functions.SortOrder(values, o.desc) {
		out[i] = all[k]
	}
	return out
}
