package exec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grafana/regexp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// identifying are the labels by which a series finds its info series.
var identifying = [...]string{"instance", "job"}

// info is info(): it adds labels of info series to the series of its operand.
type info struct {
	sc    *scope
	node  *plan.Call
	inner operator
	// names select the info metrics, data the labels that are wanted; nil is all.
	names []*labels.Matcher
	data  map[string][]*labels.Matcher
	out   *list
	used  usage
}

func (sc *scope) newInfo(n *plan.Call) (operator, error) {
	inner, err := sc.operator(n.Args[0])
	if err != nil {
		return nil, err
	}
	o := &info{sc: sc, node: n, inner: inner, data: map[string][]*labels.Matcher{}}
	if len(n.Args) > 1 {
		for _, m := range n.Args[1].(*plan.Selector).Matchers {
			if m.Name == model.MetricNameLabel {
				o.names = append(o.names, m)
			} else {
				o.data[m.Name] = append(o.data[m.Name], m)
			}
		}
	}
	o.names = infoNames(o.names)
	return o, nil
}

// infoNames completes what selects info metrics by name: without a matcher that
// says which ones are meant they are target_info, or all that end like it.
func infoNames(given []*labels.Matcher) []*labels.Matcher {
	for _, m := range given {
		if m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp {
			return given
		}
	}
	if len(given) > 0 {
		return append([]*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".+_info")}, given...)
	}
	return []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "target_info")}
}

func (o *info) usage() usage { return o.used }

func (o *info) next(s *series) (bool, error) {
	if o.out == nil {
		if err := o.run(); err != nil {
			return false, err
		}
	}
	return o.out.next(s)
}

// isInfo reports whether a series is an info series itself.
func (o *info) isInfo(ls labels.Labels) bool {
	name := ls.Get(model.MetricNameLabel)
	for _, m := range o.names {
		if !m.Matches(name) {
			return false
		}
	}
	return true
}

func (o *info) run() error {
	mark := o.sc.memory.mark()
	base, err := o.sc.gather(o.inner)
	if err != nil {
		return err
	}
	operands := o.inner.usage()
	var in, out tally
	var infos []*series
	for _, matchers := range o.matcherSets(base) {
		some, used, err := o.fetch(matchers)
		if err != nil {
			return err
		}
		operands.then(used)
		infos = append(infos, some...)
	}
	for _, s := range slices.Concat(base, infos) {
		in.add(s, o.sc.n, false)
	}
	rows := newRows(o.sc, len(base))
	rows.stepwise = true
	e := newEnricher(o, infos)
	step, conflict := e.findConflict(base)
	if conflict != nil {
		// What is wrong at a step before comes first.
		before := functions.NewBitmap(o.sc.n)
		fillBits(before[:(step+63)/64], step)
		for _, s := range base {
			s.only(before)
		}
	}
	for _, s := range base {
		if o.isInfo(s.metric) {
			err = rows.add(s)
		} else {
			err = e.enrich(s, rows)
		}
		if err != nil {
			return err
		}
	}
	if conflict != nil {
		return conflict
	}
	for _, s := range rows.list {
		out.add(s, o.sc.n, true)
	}
	o.used = stepwise(operands, &in, &out, o.sc.n)
	o.used.hold(operands.held)
	if o.out, err = o.sc.listOf(mark, rows.list); err != nil {
		return err
	}
	return o.sc.check(o.used)
}

// matcherSets returns the matchers of the identifying labels of the series, a set
// for each combination of those that a series has.
func (o *info) matcherSets(base []*series) [][]*labels.Matcher {
	const none = 0
	var values [1 << len(identifying)][len(identifying)]map[string]bool
	for _, s := range base {
		if o.isInfo(s.metric) {
			continue
		}
		has := none
		var got [len(identifying)]string
		for i, name := range identifying {
			if got[i] = s.metric.Get(name); got[i] != "" {
				has |= 1 << i
			}
		}
		for i, v := range got {
			if values[has][i] == nil {
				values[has][i] = map[string]bool{}
			}
			values[has][i][v] = true
		}
	}
	var sets [][]*labels.Matcher
	for has, byLabel := range values {
		if has == none || byLabel[0] == nil {
			continue
		}
		set := make([]*labels.Matcher, 0, len(identifying)+len(o.names))
		for i, name := range identifying {
			if has&(1<<i) == 0 {
				set = append(set, labels.MustNewMatcher(labels.MatchEqual, name, ""))
				continue
			}
			var quoted []string
			for v := range byLabel[i] {
				quoted = append(quoted, regexp.QuoteMeta(v))
			}
			slices.Sort(quoted)
			set = append(set, labels.MustNewMatcher(labels.MatchRegexp, name, strings.Join(quoted, "|")))
		}
		for _, ms := range o.data {
			set = append(set, ms...)
		}
		sets = append(sets, append(set, o.names...))
	}
	return sets
}

// fetch returns the info series that match. Their values are the times of their
// samples, milliseconds.
func (o *info) fetch(matchers []*labels.Matcher) ([]*series, usage, error) {
	n := &plan.Selector{Matchers: matchers}
	n.At, n.Offset = plan.InfoReference(o.node.Args[0])
	op := o.sc.newInstant(n)
	op.floatsOnly = true
	op.stamp = func(t, _ int64) float64 { return float64(t) }
	all, err := o.sc.gather(op)
	return all, op.usage(), err
}

// enricher adds the labels of info series.
type enricher struct {
	*info
	infos []*series
	// metrics are the names of the info metrics, and byKey the info series by name
	// and identifying labels.
	metrics []string
	byKey   map[infoKey][]int
}

type infoKey struct {
	metric string
	ids    [len(identifying)]string
}

func keyOf(metric string, ls labels.Labels) infoKey {
	k := infoKey{metric: metric}
	for i, name := range identifying {
		k.ids[i] = ls.Get(name)
	}
	return k
}

func newEnricher(o *info, infos []*series) *enricher {
	e := &enricher{info: o, infos: infos, byKey: map[infoKey][]int{}}
	for i, s := range infos {
		name := s.metric.Get(model.MetricNameLabel)
		if !slices.Contains(e.metrics, name) {
			e.metrics = append(e.metrics, name)
		}
		k := keyOf(name, s.metric)
		e.byKey[k] = append(e.byKey[k], i)
	}
	slices.Sort(e.metrics)
	return e
}

// findConflict returns the first step, of those of the base series, at which two info
// series with the same key have their newest sample at the same time, and an error that
// says so; nil if there is none.
func (e *enricher) findConflict(base []*series) (first int, conflict error) {
	any := newSeries(e.sc.n).Valid
	for _, s := range base {
		orBits(any, s.present())
	}
	first = e.sc.n
	for _, group := range e.byKey {
		for step := range first {
			if len(group) < 2 || !any.Has(step) {
				continue
			}
			if _, err := e.newest(group, step); err != nil {
				first, conflict = step, err
				break
			}
		}
	}
	return first, conflict
}

// newest returns the series of a group with the newest sample at a step, or -1.
func (e *enricher) newest(group []int, step int) (int, error) {
	found := -1
	for _, i := range group {
		s := e.infos[i]
		if !s.Valid.Has(step) {
			continue
		}
		if found >= 0 {
			before := e.infos[found]
			switch was, is := before.Floats[step], s.Floats[step]; {
			case was > is:
				continue
			case was == is:
				return -1, fmt.Errorf("found duplicate series for info metric: existing %s @ %d, new %s @ %d",
					before.metric.String(), int64(was), s.metric.String(), int64(is))
			}
		}
		found = i
	}
	return found, nil
}

// enrich adds a series to the rows, with the labels that its info series have at
// each step.
func (e *enricher) enrich(s *series, rows *rows) error {
	groups := make([][]int, len(e.metrics))
	for i, metric := range e.metrics {
		groups[i] = e.byKey[keyOf(metric, s.metric)]
	}
	byChoice := map[string]*series{}
	choice := make([]int, len(groups))
	var order []*series
	for step := range e.sc.n {
		if !s.has(step) {
			continue
		}
		for i, g := range groups {
			var err error
			if choice[i], err = e.newest(g, step); err != nil {
				return err
			}
		}
		key := fmt.Sprint(choice)
		row, known := byChoice[key]
		if !known {
			ls, ok, err := e.labels(s.metric, choice)
			if err != nil {
				return err
			}
			if ok {
				row = newSeries(e.sc.n)
				row.metric, row.dropName = ls, s.dropName
				order = append(order, row)
			}
			byChoice[key] = row
		}
		if row == nil {
			continue
		}
		if h := s.hist(step); h != nil {
			row.setHist(step, e.sc.n, h)
		} else {
			row.Floats[step] = s.Floats[step]
			row.Valid.Set(step)
		}
	}
	for _, row := range order {
		if err := e.sc.keep(row); err != nil {
			return err
		}
		if err := rows.add(row); err != nil {
			return err
		}
	}
	return nil
}

// labels returns the labels of a series with those of its info series. It
// returns false if the series is left out: it has no info series, and labels of
// one are demanded.
func (e *enricher) labels(ls labels.Labels, choice []int) (labels.Labels, bool, error) {
	added := labels.NewBuilder(labels.EmptyLabels())
	found := false
	for _, i := range choice {
		if i < 0 {
			continue
		}
		found = true
		err := e.infos[i].metric.Validate(func(l labels.Label) error {
			if _, wanted := e.data[l.Name]; l.Name == model.MetricNameLabel || len(e.data) > 0 && !wanted {
				return nil
			}
			if v := added.Get(l.Name); v != "" && v != l.Value {
				return fmt.Errorf("conflicting label: %s", l.Name)
			}
			if !ls.Has(l.Name) {
				added.Set(l.Name, l.Value)
			}
			return nil
		})
		if err != nil {
			return ls, false, err
		}
	}
	if !found {
		for _, ms := range e.data {
			for _, m := range ms {
				if !m.Matches("") {
					return ls, false, nil
				}
			}
		}
	}
	b := labels.NewBuilder(ls)
	added.Labels().Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
	return b.Labels(), true, nil
}
