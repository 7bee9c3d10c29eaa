package exec

import (
	"errors"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// newBinary returns the operator of a binary operator of which a side is a
// vector.
func (sc *scope) newBinary(n *plan.Binary) (operator, error) {
	switch {
	case n.LHS.Type() == parser.ValueTypeScalar:
		return sc.newBinaryScalar(n, n.RHS, n.LHS, true)
	case n.RHS.Type() == parser.ValueTypeScalar:
		return sc.newBinaryScalar(n, n.LHS, n.RHS, false)
	}
	lhs, err := sc.operator(n.LHS)
	if err != nil {
		return nil, err
	}
	rhs, err := sc.operator(n.RHS)
	if err != nil {
		return nil, err
	}
	if n.Op.IsSetOperator() {
		return &setOperation{sc: sc, node: n, lhs: lhs, rhs: rhs}, nil
	}
	return &match{sc: sc, node: n, lhs: lhs, rhs: rhs}, nil
}

// binaryScalar is an operator between a vector and a scalar.
type binaryScalar struct {
	elementwise
	node   *plan.Binary
	scalar []float64
	// swapped says that the scalar is on the left.
	swapped bool
	keep    functions.Bitmap
	faults  stepFaults
}

func (sc *scope) newBinaryScalar(n *plan.Binary, vector, scalar plan.Node, swapped bool) (operator, error) {
	b := &binaryScalar{node: n, swapped: swapped, keep: functions.NewBitmap(sc.n)}
	b.sc = sc
	var err error
	if b.inner, err = sc.operator(vector); err != nil {
		return nil, err
	}
	if swapped {
		values, used, err := sc.scalar(scalar)
		if err != nil {
			return nil, err
		}
		b.scalar, b.before = sc.spread(values), used
		b.in.all++
	} else {
		values, err := b.scalarArgs(scalar)
		if err != nil {
			return nil, err
		}
		b.scalar = sc.spread(values[0])
	}
	b.apply = b.operate
	b.keepName = !isArithmetic(n.Op) && !n.ReturnBool
	return sc.merged(b, n, true), nil
}

func (b *binaryScalar) next(s *series) (bool, error) {
	ok, err := b.elementwise.next(s)
	if !ok && err == nil {
		var notes functions.Annotations
		b.faults.note(&notes, b.node.Op, b.node.Pos)
		b.sc.done(&notes)
	}
	return ok, err
}

// operate computes the operator for a series.
func (b *binaryScalar) operate(s *series) {
	op := b.node.Op
	lhs, rhs := s.Floats, b.scalar
	if b.swapped {
		lhs, rhs = rhs, lhs
	}
	switch {
	case isTrim(op):
		b.trimFloats(s)
	case !op.IsComparisonOperator():
		arithmetic(op, s.Floats, lhs, rhs)
	default:
		comparison(op, b.keep, lhs, rhs)
		if b.node.ReturnBool {
			booleans(s, b.keep)
		} else {
			for w := range s.Valid {
				s.Valid[w] &= b.keep[w]
			}
		}
	}
	if s.Hists != nil {
		b.operateHists(s)
	}
}

// booleans makes 1 and 0 of the outcome of a comparison.
func booleans(s *series, holds functions.Bitmap) {
	for i := range s.Floats {
		s.Floats[i] = float64(holds[uint(i)/64] >> (uint(i) % 64) & 1)
	}
}

// trimFloats leaves floats out.
func (b *binaryScalar) trimFloats(s *series) {
	for i := range s.Floats {
		if s.Valid.Has(i) {
			b.faults.set(i, b.sc.n, incompatible("float", b.node.Op, "float", b.node.Pos))
		}
	}
	clear(s.Valid)
}

func (b *binaryScalar) operateHists(s *series) {
	hists := s.Hists
	s.Hists = nil
	for i, h := range hists {
		if h == nil {
			continue
		}
		ha, hb := h, h
		if b.swapped {
			ha = nil
		} else {
			hb = nil
		}
		out, keep, _, fault := histogramOperation(b.node.Op, b.scalar[i], b.scalar[i], ha, hb, b.node.Pos)
		switch {
		case fault != nil && !errors.Is(fault, annotations.PromQLWarning):
			b.faults.set(i, b.sc.n, fault)
		case keep:
			s.setHist(i, b.sc.n, out)
		}
	}
}
