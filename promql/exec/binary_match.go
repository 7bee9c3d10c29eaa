package exec

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

var (
	errManyToOne    = errors.New("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")
	errGroupingSame = errors.New("multiple matches for labels: grouping labels must ensure unique matches")
)

// match is an operator between two vectors, but for set operators.
type match struct {
	sc       *scope
	node     *plan.Binary
	lhs, rhs operator
	out      *list
	used     usage
}

func (m *match) usage() usage { return m.used }

func (m *match) next(s *series) (bool, error) {
	if m.out == nil {
		if err := m.run(); err != nil {
			return false, err
		}
	}
	return m.out.next(s)
}

// run matches the series of both sides.
func (m *match) run() error {
	mark := m.sc.memory.mark()
	left, err := m.sc.gather(m.lhs)
	if err != nil {
		return err
	}
	right, err := m.sc.gather(m.rhs)
	if err != nil {
		return err
	}
	var in, out tally
	for _, s := range left {
		in.add(s, m.sc.n, false)
	}
	for _, s := range right {
		in.add(s, m.sc.n, false)
	}
	j := m.newJoin(left, right)
	j.run()
	if j.failed != nil {
		return j.failed
	}
	for _, s := range j.rows.list {
		out.add(s, m.sc.n, true)
	}
	var notes functions.Annotations
	j.faults.note(&notes, m.node.Op, m.node.Pos)
	m.sc.done(&notes)
	operands := m.lhs.usage()
	operands.then(m.rhs.usage())
	m.used = stepwise(operands, &in, &out, m.sc.n)
	if m.out, err = m.sc.listOf(mark, j.rows.list); err != nil {
		return err
	}
	return m.sc.check(m.used)
}

// join is one run of a match. many is the side of which several series may match
// one of the other side, one: the left and the right side, but for group_right.
type join struct {
	sc       *scope
	node     *plan.Binary
	matching *parser.VectorMatching
	swapped  bool
	many     []*series
	one      []*series
	// The numbers of the signatures of the series.
	manySig, oneSig []int
	// groups has the series of one by signature, and present where some of them
	// has a value.
	groups  [][]int
	present presence
	// matched are the steps at which a signature found its match, by labels of
	// the result too unless the match is one to one.
	matched       presence
	matchedLabels map[matchedKey]functions.Bitmap
	// active are the steps at which anything is computed.
	active functions.Bitmap

	rows    *rows
	faults  stepFaults
	keep    functions.Bitmap
	builder *labels.Builder
	// failed is the error of the first step that fails, failedAt, and failedSame says
	// that it is about two results that have the same labels.
	failed     error
	failedAt   int
	failedSame bool
	// full says that there is no memory for more.
	full bool
}

type matchedKey struct {
	signature int
	labels    uint64
}

func (m *match) newJoin(left, right []*series) *join {
	j := &join{
		sc: m.sc, node: m.node, matching: m.node.Matching, many: left, one: right,
		rows: newResultRows(m.sc, max(len(left), len(right))), keep: functions.NewBitmap(m.sc.n),
		builder: labels.NewBuilder(labels.EmptyLabels()), matchedLabels: map[matchedKey]functions.Bitmap{},
	}
	if j.matching.Card == parser.CardOneToMany {
		j.swapped, j.many, j.one = true, right, left
	}
	sigs := newSignatures(j.matching)
	for _, s := range j.many {
		j.manySig = append(j.manySig, sigs.of(s.metric))
	}
	for i, s := range j.one {
		sig := sigs.of(s.metric)
		j.oneSig = append(j.oneSig, sig)
		for len(j.groups) <= sig {
			j.groups = append(j.groups, nil)
		}
		j.groups[sig] = append(j.groups[sig], i)
	}
	return j
}

// fail notes the error of a step. The first step counts, as if steps were
// computed one after the other, and results compared once a step is done.
func (j *join) fail(step int, err error) {
	same := errors.Is(err, errSameLabels)
	if j.failed == nil || step < j.failedAt || step == j.failedAt && j.failedSame && !same {
		j.failed, j.failedAt, j.failedSame = err, step, same
	}
}

// fills returns the values that stand in for series without a match, of the side
// one and of the side many.
func (j *join) fills() (one, many *float64) {
	return j.matching.FillValues.RHS, j.matching.FillValues.LHS
}

func (j *join) run() {
	fillOne, fillMany := j.fills()
	j.active = functions.NewBitmap(j.sc.n)
	other := functions.NewBitmap(j.sc.n)
	for _, s := range j.many {
		orBits(j.active, s.present())
	}
	for _, s := range j.one {
		orBits(other, s.present())
	}
	for w := range other {
		if fillOne == nil && fillMany == nil {
			j.active[w] &= other[w]
		} else {
			j.active[w] |= other[w]
		}
	}
	j.findDuplicates()
	for i, s := range j.many {
		if i%256 == 0 {
			if err := j.sc.interrupted(); err != nil {
				j.fail(-1, err)
				return
			}
		}
		j.matchOf(s, j.manySig[i], fillOne, fillMany == nil)
		if j.full {
			return
		}
	}
	if fillMany == nil {
		return
	}
	for i, s := range j.one {
		steps := append(functions.Bitmap(nil), s.present()...)
		for w, done := range j.matched.of(j.oneSig[i]) {
			steps[w] &^= done
		}
		filler := j.filler(s, *fillMany)
		j.pair(filler, s, j.oneSig[i], steps, false)
		if j.full {
			return
		}
	}
}

// findDuplicates fails at steps with several series of the one side that have
// the same signature.
func (j *join) findDuplicates() {
	for i, s := range j.one {
		sig := j.oneSig[i]
		steps := s.present()
		for w, before := range j.present.of(sig) {
			if both := before & steps[w] & j.active[w]; both != 0 {
				j.duplicate(w*64+bits.TrailingZeros64(both), i)
				break
			}
		}
		j.present.add(sig, steps)
	}
}

// duplicate fails because series i and one before it have the same signature.
func (j *join) duplicate(step, i int) {
	s, before := j.one[i], j.one[i]
	for _, k := range j.groups[j.oneSig[i]] {
		if k < i && j.one[k].has(step) {
			before = j.one[k]
		}
	}
	side := "right"
	if j.swapped {
		side = "left"
	}
	group := s.metric.MatchLabels(j.matching.On, j.matching.MatchingLabels...)
	a, b := s.metric.String(), before.metric.String()
	if a > b {
		a, b = b, a
	}
	j.fail(step, fmt.Errorf("found duplicate series for the match group %s on the %s hand-side of the operation: [%s, %s];many-to-many matching not allowed: matching labels must be unique on one side",
		group.String(), side, a, b))
}

// matchOf computes the operator for a series of the many side.
func (j *join) matchOf(s *series, sig int, fill *float64, last bool) {
	var group []int
	if sig < len(j.groups) {
		group = j.groups[sig]
	}
	steps := s.present()
	for _, i := range group {
		both := functions.NewBitmap(j.sc.n)
		theirs := j.one[i].present()
		for w := range both {
			both[w] = steps[w] & theirs[w]
		}
		j.pair(s, j.one[i], sig, both, last && fill == nil && len(group) == 1)
	}
	if fill == nil {
		return
	}
	rest := append(functions.Bitmap(nil), steps...)
	for w, theirs := range j.present.of(sig) {
		rest[w] &^= theirs
	}
	j.pair(s, j.filler(s, *fill), sig, rest, false)
}

// filler stands in for a series without a match.
func (j *join) filler(s *series, v float64) *series {
	f := newSeries(j.sc.n)
	for i := range f.Floats {
		f.Floats[i] = v
	}
	fillBits(f.Valid, j.sc.n)
	f.metric = s.metric.MatchLabels(j.matching.On, j.matching.MatchingLabels...)
	return f
}

// pair computes the operator for two series at the steps. spent says that s is
// not used any more afterwards.
func (j *join) pair(s, o *series, sig int, steps functions.Bitmap, spent bool) {
	if !anyBit(steps) {
		return
	}
	out := &series{}
	hasHists := s.Hists != nil || o.Hists != nil
	if spent && !hasHists {
		out.Steps = s.Steps
	} else {
		out.reset(j.sc.n)
	}
	lhs, rhs := s, o
	if j.swapped {
		lhs, rhs = o, s
	}
	j.operate(out, lhs, rhs, steps)
	out.metric, out.dropName = j.metric(s.metric, o.metric), j.node.ReturnBool
	j.checkMatched(out.metric, sig, steps)
	if !j.node.ReturnBool {
		for w := range steps {
			steps[w] &= j.keep[w]
		}
	}
	out.keepAt(steps)
	if out.empty() {
		return
	}
	j.add(out)
}

// keepAt leaves the values at steps; Valid was not set before.
func (s *series) keepAt(steps functions.Bitmap) {
	copy(s.Valid, steps)
	for i, h := range s.Hists {
		switch {
		case h == nil:
		case steps.Has(i):
			s.Valid.Clear(i)
		default:
			s.Hists[i] = nil
		}
	}
}

func anyBit(b functions.Bitmap) bool {
	for _, w := range b {
		if w != 0 {
			return true
		}
	}
	return false
}

// operate computes the operator at the steps, takes those that fail out of them,
// and sets the bits of keep where a comparison holds.
func (j *join) operate(out, lhs, rhs *series, steps functions.Bitmap) {
	op := j.node.Op
	fillBits(j.keep, j.sc.n)
	switch {
	case isTrim(op):
	case !op.IsComparisonOperator():
		arithmetic(op, out.Floats, lhs.Floats, rhs.Floats)
	default:
		comparison(op, j.keep, lhs.Floats, rhs.Floats)
		if j.node.ReturnBool {
			booleans(out, j.keep)
		} else {
			copy(out.Floats, lhs.Floats)
		}
	}
	if lhs.Hists == nil && rhs.Hists == nil && !isTrim(op) {
		return
	}
	for i := range j.sc.n {
		ha, hb := lhs.hist(i), rhs.hist(i)
		if !steps.Has(i) || ha == nil && hb == nil && !isTrim(op) {
			continue
		}
		h, keep, info, fault := histogramOperation(op, lhs.Floats[i], rhs.Floats[i], ha, hb, j.node.Pos)
		if fault != nil {
			j.faults.set(i, j.sc.n, fault)
			steps.Clear(i)
			continue
		}
		if info != nil {
			j.faults.set(i, j.sc.n, info)
		}
		j.keepHist(out, i, h, keep)
	}
}

// keepHist puts the outcome of an operator between histograms into the result.
func (j *join) keepHist(out *series, i int, h *histogram.FloatHistogram, keep bool) {
	if j.node.ReturnBool {
		out.Floats[i] = 0
		if keep {
			out.Floats[i] = 1
		}
		return
	}
	if !keep {
		j.keep.Clear(i)
		return
	}
	j.keep.Set(i)
	out.setHist(i, j.sc.n, h)
}

// metric returns the labels of a result. s is of the many side.
func (j *join) metric(s, o labels.Labels) labels.Labels {
	b := j.builder
	b.Reset(s)
	if isArithmetic(j.node.Op) || j.node.ReturnBool && !j.sc.opts.DelayedNames {
		b.Del(model.MetricNameLabel, model.MetricTypeLabel, model.MetricUnitLabel)
	}
	if j.matching.Card == parser.CardOneToOne {
		if j.matching.On {
			b.Keep(j.matching.MatchingLabels...)
		} else {
			b.Del(j.matching.MatchingLabels...)
		}
	}
	for _, name := range j.matching.Include {
		b.Set(name, o.Get(name)) // an empty value deletes
	}
	return b.Labels()
}

// checkMatched fails where a signature finds a second match, or the labels of a
// result come twice.
func (j *join) checkMatched(ls labels.Labels, sig int, steps functions.Bitmap) {
	if j.matching.Card == parser.CardOneToOne {
		for w, before := range j.matched.of(sig) {
			if both := before & steps[w]; both != 0 {
				j.fail(w*64+bits.TrailingZeros64(both), errManyToOne)
				break
			}
		}
		j.matched.add(sig, steps)
		return
	}
	key := matchedKey{sig, ls.Hash()}
	before := j.matchedLabels[key]
	for w := range before {
		if both := before[w] & steps[w]; both != 0 {
			j.fail(w*64+bits.TrailingZeros64(both), errGroupingSame)
			break
		}
	}
	if before == nil {
		before = functions.NewBitmap(j.sc.n)
		j.matchedLabels[key] = before
	}
	orBits(before, steps)
	j.matched.add(sig, steps)
}

// add puts a series into the result. Two with the same labels at a step fail.
func (j *join) add(s *series) {
	if err := j.sc.keep(s); err != nil {
		j.full = true
		j.fail(-1, err)
		return
	}
	h := s.metric.Hash()
	row, ok := j.rows.byHash[h]
	if !ok || j.rows.loose {
		j.rows.byHash[h] = s
		j.rows.list = append(j.rows.list, s)
		return
	}
	for i := range j.sc.n {
		if s.has(i) && row.has(i) {
			j.fail(i, errSameLabels)
			return
		}
	}
	if err := row.join(s, j.sc.n); err != nil {
		j.fail(j.sc.n, err)
	}
}
