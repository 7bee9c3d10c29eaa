package block

import (
	"cmp"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	idx "github.com/gnomonhq/gnomon/tsdb/index"
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
	return idx.CompareBounds(leA, leB)
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
