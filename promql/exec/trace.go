package exec

import (
	"time"

	"github.com/gnomonhq/gnomon/promql/plan"
)

// Trace measures the vectors of a plan while it runs. It is used by one query.
type Trace struct{ nodes map[plan.Node]*Measured }

// Measured is what a node came to, the nodes below it included.
type Measured struct {
	// Time is that of the query's goroutine, which waits for others that compute
	// series.
	Time time.Duration
	// Series were yielded, and Samples entered the evaluation.
	Series, Samples int64
	// Bytes is the most that the query held while the node was being evaluated.
	Bytes int64
}

// Of returns what was measured of a node, nil if it is no vector.
func (t *Trace) Of(n plan.Node) *Measured { return t.nodes[n] }

// traced measures an operator.
type traced struct {
	operator
	sc *scope
	m  *Measured
}

// operator returns the operator of a node that is a vector.
func (sc *scope) operator(n plan.Node) (operator, error) {
	t := sc.opts.Trace
	if t == nil {
		return sc.newOperator(n)
	}
	if t.nodes == nil {
		t.nodes = map[plan.Node]*Measured{}
	}
	m := &Measured{}
	t.nodes[n] = m
	began := time.Now()
	op, err := sc.newOperator(n)
	m.Time = time.Since(began)
	return &traced{operator: op, sc: sc, m: m}, err
}

func (t *traced) next(s *series) (bool, error) {
	began, before := time.Now(), t.sc.counts.TotalSamples
	ok, err := t.operator.next(s)
	t.m.Time += time.Since(began)
	t.m.Samples += t.sc.counts.TotalSamples - before
	t.m.Bytes = max(t.m.Bytes, t.sc.memory.Bytes())
	if ok {
		t.m.Series++
	}
	return ok, err
}
