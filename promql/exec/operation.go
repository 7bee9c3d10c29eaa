package exec

import (
	"errors"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/promql/functions"
)

// isArithmetic reports whether an operator makes a value of another meaning, so
// that the name goes.
func isArithmetic(op parser.ItemType) bool {
	switch op {
	case parser.ADD, parser.SUB, parser.MUL, parser.DIV, parser.POW, parser.MOD, parser.ATAN2:
		return true
	}
	return false
}

// isTrim reports whether an operator cuts buckets off native histograms.
func isTrim(op parser.ItemType) bool { return op == parser.TRIM_LOWER || op == parser.TRIM_UPPER }

// scalarOperation computes an operator of two scalars.
func scalarOperation(op parser.ItemType, a, b float64) float64 {
	if op.IsComparisonOperator() {
		if compare(op, a, b) {
			return 1
		}
		return 0
	}
	v := [1]float64{a}
	arithmetic(op, v[:], v[:], []float64{b})
	return v[0]
}

func compare(op parser.ItemType, a, b float64) bool {
	switch op {
	case parser.EQLC:
		return a == b
	case parser.NEQ:
		return a != b
	case parser.GTR:
		return a > b
	case parser.LSS:
		return a < b
	case parser.GTE:
		return a >= b
	case parser.LTE:
		return a <= b
	}
	return false
}

// arithmetic computes an operator of the elements of a and b, which are as many
// as those of dst. dst may be one of them.
func arithmetic(op parser.ItemType, dst, a, b []float64) {
	a, b = a[:len(dst)], b[:len(dst)]
	switch op {
	case parser.ADD:
		for i := range dst {
			dst[i] = a[i] + b[i]
		}
	case parser.SUB:
		for i := range dst {
			dst[i] = a[i] - b[i]
		}
	case parser.MUL:
		for i := range dst {
			dst[i] = a[i] * b[i]
		}
	case parser.DIV:
		for i := range dst {
			dst[i] = a[i] / b[i]
		}
	case parser.POW:
		for i := range dst {
			dst[i] = math.Pow(a[i], b[i])
		}
	case parser.MOD:
		for i := range dst {
			dst[i] = math.Mod(a[i], b[i])
		}
	case parser.ATAN2:
		for i := range dst {
			dst[i] = math.Atan2(a[i], b[i])
		}
	}
}

// comparison sets the bits of keep where a comparison holds.
func comparison(op parser.ItemType, keep functions.Bitmap, a, b []float64) {
	b = b[:len(a)]
	clear(keep)
	set := func(i int, holds bool) {
		if holds {
			keep[uint(i)/64] |= 1 << (uint(i) % 64)
		}
	}
	switch op {
	case parser.EQLC:
		for i := range a {
			set(i, a[i] == b[i])
		}
	case parser.NEQ:
		for i := range a {
			set(i, a[i] != b[i])
		}
	case parser.GTR:
		for i := range a {
			set(i, a[i] > b[i])
		}
	case parser.LSS:
		for i := range a {
			set(i, a[i] < b[i])
		}
	case parser.GTE:
		for i := range a {
			set(i, a[i] >= b[i])
		}
	case parser.LTE:
		for i := range a {
			set(i, a[i] <= b[i])
		}
	}
}

// histogramOperation is a binary operator of which at least one side is a native
// histogram, or which is for histograms only. keep is the outcome of a
// comparison. fault is what is wrong with it, and then there is no result; info
// is worth telling, and there is one.
func histogramOperation(op parser.ItemType, a, b float64, ha, hb *histogram.FloatHistogram, pos posrange.PositionRange) (h *histogram.FloatHistogram, keep bool, info, fault error) {
	switch {
	case ha != nil && hb != nil:
		return histogramsOperation(op, ha, hb, pos)
	case ha == nil && hb != nil:
		if op == parser.MUL {
			return hb.Copy().Mul(a).Compact(0), true, nil, nil
		}
		return nil, false, nil, incompatible("float", op, "histogram", pos)
	case ha == nil:
		return nil, false, nil, incompatible("float", op, "float", pos)
	}
	switch op {
	case parser.MUL:
		return ha.Copy().Mul(b).Compact(0), true, nil, nil
	case parser.DIV:
		return ha.Copy().Div(b).Compact(0), true, nil, nil
	case parser.TRIM_UPPER:
		return ha.Copy().TrimBuckets(b, true), true, nil, nil
	case parser.TRIM_LOWER:
		return ha.Copy().TrimBuckets(b, false), true, nil, nil
	}
	return nil, false, nil, incompatible("histogram", op, "float", pos)
}

func incompatible(a string, op parser.ItemType, b string, pos posrange.PositionRange) error {
	return annotations.NewIncompatibleTypesInBinOpInfo(a, parser.ItemTypeStr[op], b, pos)
}

// histogramsOperation is an operator between two native histograms.
func histogramsOperation(op parser.ItemType, a, b *histogram.FloatHistogram, pos posrange.PositionRange) (h *histogram.FloatHistogram, keep bool, info, fault error) {
	switch op {
	case parser.EQLC:
		return a, a.Equals(b), nil, nil
	case parser.NEQ:
		return a, !a.Equals(b), nil, nil
	case parser.ADD, parser.SUB:
	default:
		return nil, false, nil, incompatible("histogram", op, "histogram", pos)
	}
	var collision, reconciled bool
	what := annotations.HistogramAdd
	if op == parser.ADD {
		h, collision, reconciled, fault = a.Copy().Add(b)
	} else {
		h, collision, reconciled, fault = a.Copy().Sub(b)
		what = annotations.HistogramSub
	}
	if fault != nil {
		return nil, false, nil, fault
	}
	if op == parser.SUB {
		h.CounterResetHint = histogram.GaugeType
	}
	if collision {
		fault = annotations.NewHistogramCounterResetCollisionWarning(pos, what)
	}
	if reconciled {
		info = annotations.NewMismatchedCustomBucketsHistogramsInfo(pos, what)
	}
	return h.Compact(0), true, info, fault
}

// operationNote returns the annotation of a fault of an operator, or nil.
func operationNote(fault error, op parser.ItemType, pos posrange.PositionRange) error {
	switch {
	case errors.Is(fault, annotations.PromQLInfo), errors.Is(fault, annotations.PromQLWarning):
		return fault
	case errors.Is(fault, histogram.ErrHistogramsIncompatibleSchema):
		return annotations.NewIncompatibleBucketLayoutInBinOpWarning(parser.ItemTypeStr[op], pos)
	}
	return nil
}

// stepFaults has the last fault of each step: others at the same step are not
// told.
type stepFaults []error

func (f *stepFaults) set(i, n int, err error) {
	if *f == nil {
		*f = make([]error, n)
	}
	(*f)[i] = err
}

// note adds the annotations of the faults.
func (f stepFaults) note(to *functions.Annotations, op parser.ItemType, pos posrange.PositionRange) {
	var last error
	for _, err := range f {
		if err == nil || err == last {
			continue
		}
		last = err
		if a := operationNote(err, op, pos); a != nil {
			to.Add(a)
		}
	}
}
