package exec

import (
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// signatures numbers the values of the labels that two vectors are matched by.
type signatures struct {
	on      bool
	names   []string
	numbers map[string]int
	buf     []byte
}

func newSignatures(m *parser.VectorMatching) *signatures {
	s := &signatures{on: m.On, names: slices.Clone(m.MatchingLabels), numbers: map[string]int{}}
	if !m.On {
		s.names = append(s.names, model.MetricNameLabel)
	}
	slices.Sort(s.names)
	return s
}

// of returns the number of the signature of a label set.
func (s *signatures) of(ls labels.Labels) int {
	if s.on {
		s.buf = ls.BytesWithLabels(s.buf, s.names...)
	} else {
		s.buf = ls.BytesWithoutLabels(s.buf, s.names...)
	}
	n, ok := s.numbers[string(s.buf)]
	if !ok {
		n = len(s.numbers)
		s.numbers[string(s.buf)] = n
	}
	return n
}

// presence are the steps at which some series of each signature has a value.
type presence []functions.Bitmap

func (p *presence) add(signature int, b functions.Bitmap) {
	for len(*p) <= signature {
		*p = append(*p, nil)
	}
	if (*p)[signature] == nil {
		(*p)[signature] = make(functions.Bitmap, len(b))
	}
	orBits((*p)[signature], b)
}

func (p presence) of(signature int) functions.Bitmap {
	if signature >= len(p) {
		return nil
	}
	return p[signature]
}

func orBits(dst, b functions.Bitmap) {
	for w := range b {
		dst[w] |= b[w]
	}
}

// setOperation is and, or, or unless.
type setOperation struct {
	sc       *scope
	node     *plan.Binary
	lhs, rhs operator
	sigs     *signatures
	// present has the signatures of the right side, of the left one for or.
	present presence
	// notes are the annotations of the right side, if it was evaluated first.
	notes   annotations.Annotations
	joined  *list
	in, out tally
	used    usage
}

func (o *setOperation) usage() usage { return o.used }

func (o *setOperation) next(s *series) (bool, error) {
	if o.sigs == nil {
		o.sigs = newSignatures(o.node.Matching)
		if err := o.open(); err != nil {
			return false, err
		}
	}
	var ok bool
	var err error
	if o.joined != nil {
		ok, err = o.joined.next(s)
	} else {
		ok, err = o.filtered(s)
	}
	if err != nil {
		return false, err
	}
	if !ok {
		o.sc.notes.Merge(o.notes)
		operands := o.lhs.usage()
		operands.then(o.rhs.usage())
		o.used = stepwise(operands, &o.in, &o.out, o.sc.n)
		return false, o.sc.check(o.used)
	}
	o.out.add(s, o.sc.n, true)
	return true, nil
}

// open reads what has to be known before the first series.
func (o *setOperation) open() error {
	if o.node.Op == parser.LOR {
		return o.union()
	}
	var err error
	o.notes, err = o.sc.aside(o.readRight)
	if err != nil {
		return o.sc.firstError(o.lhs, err)
	}
	return nil
}

// readRight notes where the right side has which signatures.
func (o *setOperation) readRight() error {
	s := newSeries(o.sc.n)
	for {
		ok, err := o.sc.pull(o.rhs, s)
		if !ok || err != nil {
			return err
		}
		o.in.add(s, o.sc.n, false)
		o.present.add(o.sigs.of(s.metric), s.present())
	}
}

// filtered yields the next series of the left side at the steps where the right
// side has its signature, or has it not.
func (o *setOperation) filtered(s *series) (bool, error) {
	for {
		ok, err := o.sc.pull(o.lhs, s)
		if !ok || err != nil {
			return false, err
		}
		o.in.add(s, o.sc.n, false)
		present := o.present.of(o.sigs.of(s.metric))
		switch {
		case o.node.Op == parser.LUNLESS && present == nil:
			return true, nil
		case o.node.Op == parser.LUNLESS:
			s.only(notBits(present))
		case present == nil:
			continue
		default:
			s.only(present)
		}
		if !s.empty() {
			return true, nil
		}
	}
}

func notBits(b functions.Bitmap) functions.Bitmap {
	out := make(functions.Bitmap, len(b))
	for w := range b {
		out[w] = ^b[w]
	}
	return out
}

// union joins the series of the left side, and those of the right side at the
// steps where the left side does not have their signature.
func (o *setOperation) union() error {
	mark := o.sc.memory.mark()
	left, err := o.sc.gather(o.lhs)
	if err != nil {
		return err
	}
	right, err := o.sc.gather(o.rhs)
	if err != nil {
		return err
	}
	rows := newResultRows(o.sc, len(left)+len(right))
	for _, s := range left {
		o.in.add(s, o.sc.n, false)
		o.present.add(o.sigs.of(s.metric), s.present())
		if err := rows.add(s); err != nil {
			return err
		}
	}
	for _, s := range right {
		o.in.add(s, o.sc.n, false)
		if present := o.present.of(o.sigs.of(s.metric)); present != nil {
			s.only(notBits(present))
		}
		if s.empty() {
			continue
		}
		if err := rows.add(s); err != nil {
			return err
		}
	}
	o.joined, err = o.sc.listOf(mark, rows.list)
	return err
}
