package functions

import (
	"math"

	"github.com/prometheus/prometheus/util/kahansum"
)

// add adds a value to a sum with Neumaier's compensation: to the bit what
// kahansum.Inc does, which chooses between two orders of subtraction by which of the
// two is greater. Knuth's two-sum needs no choice, so that sums that do not depend on
// each other are computed side by side, and it finds the same: the error of an
// addition is a float, and both are exact. They are not where an intermediate result
// overflows, so the value and the new sum have to be tame, else nothing counts.
//
// The conversions keep compilers from fusing operations, with those of the caller too.
func add(v, sum, c float64) (newSum, newC float64) {
	v = float64(v)
	t := float64(sum + v)
	z := float64(t - sum)
	return t, float64(c) + float64(float64(sum-float64(t-z))+float64(v-z))
}

// isTame reports whether a float is no NaN, not infinite, and far below the greatest.
func isTame(f float64) bool { return math.Abs(f) < 0x1p1020 }

// areTame reports whether sums of the values, of their squares, and of their products
// with times are tame, however many there are.
func areTame(values []float64) bool {
	for _, v := range values {
		if !(math.Abs(v) < 0x1p400) {
			return false
		}
	}
	return true
}

// compensated is a sum and its compensation.
type compensated struct{ sum, c float64 }

// add adds any value.
func (s *compensated) add(v float64) {
	if sum, c := add(v, s.sum, s.c); isTame(sum) && isTame(v) {
		s.sum, s.c = sum, c
		return
	}
	s.sum, s.c = kahansum.Inc(v, s.sum, s.c)
}

// addTame adds a value, both being tame.
func (s *compensated) addTame(v float64) { s.sum, s.c = add(v, s.sum, s.c) }

// addAll adds values. tame says that all are, and their sum with them.
func (s *compensated) addAll(values []float64, tame bool) {
	if !tame {
		for _, v := range values {
			s.add(v)
		}
		return
	}
	sum, c := s.sum, s.c
	for _, v := range values {
		sum, c = add(v, sum, c)
	}
	s.sum, s.c = sum, c
}

// addEach adds to each of the sums a value.
func addEach(sums, cs, values []float64) {
	cs, values = cs[:len(sums)], values[:len(sums)]
	for i, v := range values {
		sum, c := add(v, sums[i], cs[i])
		if !isTame(sum) || !isTame(v) {
			sum, c = kahansum.Inc(v, sums[i], cs[i])
		}
		sums[i], cs[i] = sum, c
	}
}
