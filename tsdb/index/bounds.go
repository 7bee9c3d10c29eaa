package index

import (
	"cmp"
	"errors"
	"math"
	"strconv"
	"strings"
)

// CompareBounds orders the values of le: numbers ascend, what is no number comes after them. A
// missing label, "", is below all of them. Spellings of the same number differ.
func CompareBounds(a, b string) int {
	return cmp.Or(cmp.Compare(Bound(a), Bound(b)), strings.Compare(a, b))
}

// Bound is the number that CompareBounds goes by first.
func Bound(le string) float64 {
	if le == "" {
		return math.Inf(-1)
	}
	v, err := strconv.ParseFloat(le, 64)
	if errors.Is(err, strconv.ErrSyntax) || math.IsNaN(v) {
		return math.Inf(1)
	}
	return v
}
