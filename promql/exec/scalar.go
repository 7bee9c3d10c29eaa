package exec

import (
	"fmt"
	"math"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// scalar evaluates a node that is a scalar: a value for each step, or one for
// all of them.
func (sc *scope) scalar(n plan.Node) ([]float64, usage, error) {
	if sc.n == 0 {
		return []float64{math.NaN()}, usage{}, nil
	}
	all := usage{peak: sc.n, held: sc.n}
	switch n := n.(type) {
	case *plan.Number:
		return []float64{n.Value}, all, nil
	case *plan.Invariant:
		one := sc.once()
		v, used, err := one.scalar(n.Expr)
		sc.onceDone(one)
		used.hold(sc.n - 1)
		return v, used, err
	case *plan.Negate:
		v, used, err := sc.scalar(n.Expr)
		out := make([]float64, len(v))
		for i := range v {
			out[i] = -v[i]
		}
		return out, used, err
	case *plan.Binary:
		return sc.scalarBinary(n)
	case *plan.Call:
		return sc.scalarCall(n)
	}
	return nil, all, fmt.Errorf("a %T is no scalar", n)
}

// scalarAt returns a value of a scalar.
func scalarAt(v []float64, i int) float64 {
	if len(v) == 1 {
		return v[0]
	}
	return v[i]
}

// spread returns a value for each step.
func (sc *scope) spread(v []float64) []float64 {
	if len(v) == sc.n {
		return v
	}
	out := make([]float64, sc.n)
	for i := range out {
		out[i] = v[0]
	}
	return out
}

func (sc *scope) scalarBinary(n *plan.Binary) ([]float64, usage, error) {
	lhs, used, err := sc.scalar(n.LHS)
	if err != nil {
		return nil, used, err
	}
	rhs, usedRight, err := sc.scalar(n.RHS)
	if err != nil {
		return nil, used, err
	}
	used.then(usedRight)
	out := make([]float64, max(len(lhs), len(rhs)))
	for i := range out {
		out[i] = scalarOperation(n.Op, scalarAt(lhs, i), scalarAt(rhs, i))
	}
	u := stepwise(used, &tally{all: 2}, &tally{all: 1, matrix: sc.n}, sc.n)
	return out, u, sc.check(u)
}

func (sc *scope) scalarCall(n *plan.Call) ([]float64, usage, error) {
	all := usage{peak: sc.n, held: sc.n}
	switch n.Name {
	case "time":
		out := make([]float64, sc.n)
		for i := range out {
			out[i] = float64(sc.time(i)) / 1000
		}
		return out, all, nil
	case "pi":
		return []float64{math.Pi}, all, nil
	case "scalar":
		return sc.scalarOfVector(n)
	}
	fn := functions.Lookup(n.Name)
	if fn == nil || fn.Scalar == nil {
		return nil, all, fmt.Errorf("the function %s is not known", n.Name)
	}
	args := functions.Args{Annotations: &functions.Annotations{}}
	var operands usage
	for _, a := range n.Args {
		v, used, err := sc.scalar(a)
		if err != nil {
			return nil, used, err
		}
		operands.then(used)
		args.Scalars = append(args.Scalars, v)
	}
	out := make([]float64, sc.n)
	fn.Scalar(out, &args)
	u := stepwise(operands, &tally{all: len(n.Args)}, &tally{all: 1, matrix: sc.n}, sc.n)
	return out, u, sc.check(u)
}

// scalarOfVector is the float of the only series that has one.
func (sc *scope) scalarOfVector(n *plan.Call) ([]float64, usage, error) {
	op, err := sc.operator(n.Args[0])
	if err != nil {
		return nil, usage{}, err
	}
	out, found := make([]float64, sc.n), functions.NewBitmap(sc.n)
	for i := range out {
		out[i] = math.NaN()
	}
	s := newSeries(sc.n)
	var in tally
	for {
		ok, err := sc.pull(op, s)
		if err != nil {
			return nil, usage{}, err
		}
		if !ok {
			break
		}
		in.add(s, sc.n, false)
		for i := range out {
			switch {
			case !s.Valid.Has(i):
			case found.Has(i):
				out[i] = math.NaN()
			default:
				out[i] = s.Floats[i]
				found.Set(i)
			}
		}
	}
	u := stepwise(op.usage(), &in, &tally{all: 1, matrix: sc.n}, sc.n)
	return out, u, sc.check(u)
}

// newVector returns the operator of vector().
func (sc *scope) newVector(n *plan.Call) (operator, error) {
	v, used, err := sc.scalar(n.Args[0])
	if err != nil {
		return nil, err
	}
	s := newSeries(sc.n)
	copy(s.Floats, sc.spread(v))
	fillBits(s.Valid, sc.n)
	u := stepwise(used, &tally{all: 1}, &tally{all: 1, matrix: sc.n}, sc.n)
	return &list{series: []*series{s}, used: u}, sc.check(u)
}
