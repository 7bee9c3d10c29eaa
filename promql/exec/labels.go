package exec

import (
	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// texts returns the values of string arguments.
func texts(nodes []plan.Node) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.(*plan.Text).Value
	}
	return out
}

func (sc *scope) newLabelReplace(n *plan.Call) (operator, error) {
	t := texts(n.Args[1:])
	transform, err := functions.NewLabelReplace(t[0], t[1], t[2], t[3])
	return sc.newRelabel(n, transform, err)
}

func (sc *scope) newLabelJoin(n *plan.Call) (operator, error) {
	t := texts(n.Args[1:])
	transform, err := functions.NewLabelJoin(t[0], t[1], t[2:])
	return sc.newRelabel(n, transform, err)
}

// newRelabel returns the operator that changes the labels of series, and joins
// those that become the same.
func (sc *scope) newRelabel(n *plan.Call, transform *functions.LabelTransform, err error) (operator, error) {
	if err != nil {
		return nil, err
	}
	inner, err := sc.operator(n.Args[0])
	if err != nil {
		return nil, err
	}
	return &merger{sc: sc, inner: &relabel{inner, transform}}, nil
}

type relabel struct {
	operator
	transform *functions.LabelTransform
}

func (r *relabel) next(s *series) (bool, error) {
	ok, err := r.operator.next(s)
	if !ok || err != nil {
		return false, err
	}
	var named bool
	if s.metric, named = r.transform.Apply(s.metric); named {
		s.dropName = false
	}
	return true, nil
}
