package block

import (
	"cmp"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// Compare orders series metric-major: by metric name, then by the labels without le, then by
// le as a number. It is the order of the series of a block. The buckets of a histogram lie
// together in it, each after the one that it includes, so that they can be coded against each
// other. Series without le have the order of labels.Compare within a metric.
func Compare(a, b labels.Labels) int {
	if labels.Equal(a, b) { // As a rule, when blocks are merged.
		return 0
	}
	if c := strings.Compare(a.Get(model.MetricNameLabel), b.Get(model.MetricNameLabel)); c != 0 {
		return c
	}
	leA, leB := a.Get(model.BucketLabel), b.Get(model.BucketLabel)
	if leA == "" && leB == "" {
		return labels.Compare(a, b)
	}
	if c := compareWithoutBucket(a, b); c != 0 {
		return c
	}
	return compareBounds(leA, leB)
}

// compareWithoutBucket is labels.Compare of the labels but le.
func compareWithoutBucket(a, b labels.Labels) int {
	var roomA, roomB [24]labels.Label
	listA, listB := withoutBucket(roomA[:0], a), withoutBucket(roomB[:0], b)
	for i := range min(len(listA), len(listB)) {
		if c := cmp.Or(strings.Compare(listA[i].Name, listB[i].Name), strings.Compare(listA[i].Value, listB[i].Value)); c != 0 {
			return c
		}
	}
	return len(listA) - len(listB)
}

func withoutBucket(dst []labels.Label, ls labels.Labels) []labels.Label {
	ls.Range(func(l labels.Label) {
		if l.Name != model.BucketLabel {
			dst = append(dst, l)
		}
	})
	return dst
}

// compareNumbered is Compare of two series that a labelBuilder has.
func compareNumbered(a, b []numberedLabel) int {
	nameA, leA := special(a)
	nameB, leB := special(b)
	if c := strings.Compare(nameA, nameB); c != 0 {
		return c
	}
	for i, j := 0, 0; ; i, j = i+1, j+1 {
		for i < len(a) && a[i].name == model.BucketLabel {
			i++
		}
		for j < len(b) && b[j].name == model.BucketLabel {
			j++
		}
		if i == len(a) || j == len(b) {
			return cmp.Or(cmp.Compare(len(a)-i, len(b)-j), compareBounds(leA, leB))
		}
		if c := compareLabels(&a[i], &b[j]); c != 0 {
			return c
		}
	}
}

func compareLabels(a, b *numberedLabel) int {
	if a.nameNumber != b.nameNumber {
		return strings.Compare(a.name, b.name)
	}
	if a.valueNumber != b.valueNumber {
		return strings.Compare(a.value, b.value)
	}
	return 0
}

// special returns the metric name and the bound of a bucket.
func special(ls []numberedLabel) (name, le string) {
	for i := range ls {
		switch ls[i].name {
		case model.MetricNameLabel:
			name = ls[i].value
		case model.BucketLabel:
			le = ls[i].value
		}
	}
	return name, le
}

// compareBounds orders the values of le: numbers ascend, what is no number comes after them.
// Spellings of the same number differ.
func compareBounds(a, b string) int {
	return cmp.Or(cmp.Compare(bound(a), bound(b)), strings.Compare(a, b))
}

// bound is an upper bound of a bucket; a missing label is below all of them.
func bound(le string) float64 {
	if le == "" {
		return math.Inf(-1)
	}
	v, err := strconv.ParseFloat(le, 64)
	if errors.Is(err, strconv.ErrSyntax) || math.IsNaN(v) {
		return math.Inf(1)
	}
	return v
}
