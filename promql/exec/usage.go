package exec

import (
	"math/bits"

	"github.com/prometheus/prometheus/model/histogram"
)

// usage counts the samples of a node as Prometheus holds them in memory, which
// keeps the whole result of each operand until the node is done. peak is the
// most at any time and held what the result has; both leave out what was there
// before.
type usage struct{ peak, held int }

// then adds a node that is evaluated while the results of those before are held.
func (u *usage) then(next usage) {
	u.peak = max(u.peak, u.held+next.peak)
	u.held += next.held
}

// hold adds samples to the result.
func (u *usage) hold(n int) {
	u.held += n
	u.peak = max(u.peak, u.held)
}

// check fails a query that has more samples than it may.
func (ev *evaluator) check(u usage) error {
	if u.peak > ev.opts.MaxSamples {
		return ErrTooManySamples
	}
	return nil
}

// histogramSize is what a native histogram counts as in a result.
func histogramSize(h *histogram.FloatHistogram) int { return (h.Size() + 8) / 16 }

// tally counts samples at each step.
type tally struct {
	// all are at each step, some beside at one step.
	all  int
	some []int
	// matrix is the size of all of them in a result.
	matrix int
}

// add counts the values of a series. weighed says that a histogram counts as
// more than one.
func (t *tally) add(s *series, n int, weighed bool) {
	floats := countBits(s.Valid)
	t.matrix += floats
	switch {
	case floats == n:
		t.all++
		return
	case t.some == nil:
		t.some = make([]int, n)
	}
	if floats > 0 {
		for w, word := range s.Valid {
			for ; word != 0; word &= word - 1 {
				t.some[w*64+bits.TrailingZeros64(word)]++
			}
		}
	}
	for i, h := range s.Hists {
		if h == nil {
			continue
		}
		t.some[i]++
		t.matrix += histogramSize(h)
		if weighed {
			t.some[i] += h.Size() / 16
		}
	}
}

func (t *tally) at(i int) int {
	if t.some == nil {
		return t.all
	}
	return t.all + t.some[i]
}

// stepwise returns the usage of a node that looks at its operands step by step:
// in are the samples that it takes at a step, out those that it makes.
func stepwise(operands usage, in, out *tally, n int) usage {
	u, sum := operands, operands.held
	for i := range n {
		u.peak = max(u.peak, sum+in.at(i)+out.at(i))
		sum += out.at(i)
	}
	u.held = out.matrix
	u.peak = max(u.peak, u.held)
	return u
}
