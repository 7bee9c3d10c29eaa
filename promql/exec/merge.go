package exec

import (
	"math"
	"math/bits"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/promql/plan"
)

// distinct makes sure that no two series have the same labels, after names were
// dropped: the query fails else.
func (sc *scope) distinct(op operator, n plan.Node) operator {
	if sc.opts.DelayedNames {
		return op
	}
	return &distinct{operator: op, trusted: !sc.namesDiffer(n)}
}

// distinct passes series on, and compares their labels. If the names of all are
// the same, dropping them does not matter, and the labels are compared only if
// type or unit were dropped as well.
type distinct struct {
	operator
	trusted bool
	// before are the series that were not compared, seen the hashes of the others.
	before []labels.Labels
	seen   map[uint64]struct{}
}

func (d *distinct) next(s *series) (bool, error) {
	ok, err := d.operator.next(s)
	if !ok || err != nil {
		return false, err
	}
	if d.trusted && d.seen == nil {
		if !s.typed {
			d.before = append(d.before, s.metric)
			return true, nil
		}
	}
	for _, ls := range d.before {
		d.note(ls)
	}
	d.before = nil
	if !d.note(s.metric) {
		return false, errSameLabels
	}
	return true, nil
}

// note reports whether the labels are new.
func (d *distinct) note(ls labels.Labels) bool {
	if d.seen == nil {
		d.seen = map[uint64]struct{}{}
	}
	h := ls.Hash()
	_, old := d.seen[h]
	d.seen[h] = struct{}{}
	return !old
}

// merged joins series with the same labels, after names were dropped. The query
// fails if they have values at the same step; stepwise says whether a float and a
// histogram are such values.
func (sc *scope) merged(op operator, n plan.Node, stepwise bool) operator {
	if sc.opts.DelayedNames {
		return op
	}
	if !sc.namesDiffer(n) {
		return &sameNames{merger: merger{sc: sc, inner: op, stepwise: stepwise}}
	}
	return &merger{sc: sc, inner: op, stepwise: stepwise}
}

// merger collects the series of an operator and joins those that are the same.
type merger struct {
	sc       *scope
	inner    operator
	stepwise bool
	out      *list
	used     usage
}

func (m *merger) usage() usage { return m.used }

func (m *merger) next(s *series) (bool, error) {
	if m.out == nil {
		mark := m.sc.memory.mark()
		all, err := m.sc.collect(m.inner)
		if err != nil {
			return false, err
		}
		m.used = m.inner.usage()
		if all, err = m.sc.merge(all, m.stepwise); err != nil {
			return false, err
		}
		if m.out, err = m.sc.listOf(mark, all); err != nil {
			return false, err
		}
	}
	return m.out.next(s)
}

// sameNames is a merger of series that have the same name, so that they differ
// without it too and are passed on as they come, until type or unit were dropped
// from one: the rest is merged. That a series with a type is the same as one
// without it that was passed on before fails, whatever the steps.
type sameNames struct {
	merger
	before []labels.Labels
	typed  bool
}

func (m *sameNames) usage() usage {
	if m.typed {
		return m.merger.usage()
	}
	return m.inner.usage()
}

func (m *sameNames) next(s *series) (bool, error) {
	if m.typed {
		return m.merger.next(s)
	}
	ok, err := m.inner.next(s)
	if !ok || err != nil {
		return false, err
	}
	if !s.typed {
		m.before = append(m.before, s.metric)
		return true, nil
	}
	m.typed = true
	mark := m.sc.memory.mark()
	first := newSeries(m.sc.n)
	s.handOut(first)
	s.reset(m.sc.n)
	all, err := m.sc.collect(m.inner)
	if err != nil {
		return false, err
	}
	m.used = m.inner.usage()
	seen := map[uint64]bool{}
	for _, ls := range m.before {
		seen[ls.Hash()] = true
	}
	all = append([]*series{first}, all...)
	for _, s := range all {
		if seen[s.metric.Hash()] {
			return false, errSameLabels
		}
	}
	if all, err = m.sc.merge(all, m.stepwise); err != nil {
		return false, err
	}
	if m.out, err = m.sc.listOf(mark, all); err != nil {
		return false, err
	}
	return m.out.next(s)
}

// merge joins the series that have the same labels.
func (sc *scope) merge(all []*series, stepwise bool) ([]*series, error) {
	if len(all) < 2 {
		return all, nil
	}
	rows := newRows(sc, len(all))
	rows.stepwise = stepwise
	for _, s := range all {
		if err := rows.add(s); err != nil {
			return nil, err
		}
	}
	return rows.list, nil
}

// rows are the series of a result that is put together.
type rows struct {
	sc     *scope
	byHash map[uint64]*series
	list   []*series
	// loose says that series with the same labels stay apart.
	loose bool
	// stepwise says that two values at a step are one too many, of whatever kind.
	stepwise bool
}

// newResultRows returns the rows of a node that is evaluated step by step. At an
// instant, series that are the same stay apart until their names are removed.
func newResultRows(sc *scope, n int) *rows {
	r := newRows(sc, n)
	r.stepwise = true
	r.loose = sc.instant() && sc.opts.DelayedNames
	return r
}

func newRows(sc *scope, n int) *rows {
	return &rows{sc: sc, byHash: make(map[uint64]*series, n)}
}

// add adds a series, whose memory is the rows' from then on. It fails if there
// is one with the same labels and a value of the same kind at the same step.
func (r *rows) add(s *series) error {
	h := s.metric.Hash()
	row, ok := r.byHash[h]
	if !ok || r.loose {
		r.byHash[h] = s
		r.list = append(r.list, s)
		return nil
	}
	if err := row.join(s, r.sc.n); err != nil {
		return err
	}
	if r.stepwise && row.both {
		return errSameLabels
	}
	return nil
}

// join adds the values of o, which has the same labels, to s.
func (s *series) join(o *series, n int) error {
	for w := range s.Valid {
		if s.Valid[w]&o.Valid[w] != 0 {
			return errSameLabels
		}
	}
	if s.dropName != o.dropName && o.firstStep() < s.firstStep() {
		s.dropName = o.dropName // as of the series that is there first
	}
	for i := range n {
		if o.Valid.Has(i) {
			s.Floats[i] = o.Floats[i]
			s.Valid.Set(i)
		}
		if h := o.hist(i); h != nil {
			if s.hist(i) != nil {
				return errSameLabels
			}
			s.setHist(i, n, h)
		}
		s.both = s.both || s.Valid.Has(i) && s.hist(i) != nil
	}
	return nil
}

// firstStep returns the first step with a value.
func (s *series) firstStep() int {
	for w, word := range s.present() {
		if word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
	}
	return math.MaxInt
}
