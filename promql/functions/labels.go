package functions

import (
	"fmt"
	"strings"

	"github.com/facette/natsort"
	"github.com/grafana/regexp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

const typeLabel = model.MetricTypeLabel

// hasCounterSuffix reports whether a metric is named like a counter.
func hasCounterSuffix(name string) bool {
	return strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "_sum") ||
		strings.HasSuffix(name, "_count") || strings.HasSuffix(name, "_bucket")
}

// LabelTransform is label_replace or label_join: what it makes of a label set.
type LabelTransform struct {
	dst string
	// value returns the new value of dst, or that the set stays as it is.
	value   func(labels.Labels) (string, bool)
	builder *labels.Builder
}

// NewLabelReplace returns the transform of label_replace, or what is wrong with
// its arguments.
func NewLabelReplace(dst, replacement, src, pattern string) (*LabelTransform, error) {
	re, err := regexp.Compile("^(?s:" + pattern + ")$")
	if err != nil {
		return nil, fmt.Errorf("invalid regular expression in label_replace(): %s", pattern)
	}
	if !model.UTF8Validation.IsValidLabelName(dst) {
		return nil, fmt.Errorf("invalid destination label name in label_replace(): %s", dst)
	}
	return newLabelTransform(dst, func(ls labels.Labels) (string, bool) {
		v := ls.Get(src)
		match := re.FindStringSubmatchIndex(v)
		if match == nil {
			return "", false
		}
		return string(re.ExpandString(nil, replacement, v, match)), true
	}), nil
}

// NewLabelJoin returns the transform of label_join, or what is wrong with its
// arguments.
func NewLabelJoin(dst, separator string, src []string) (*LabelTransform, error) {
	for _, name := range src {
		if !model.UTF8Validation.IsValidLabelName(name) {
			return nil, fmt.Errorf("invalid source label name in label_join(): %s", name)
		}
	}
	if !model.UTF8Validation.IsValidLabelName(dst) {
		return nil, fmt.Errorf("invalid destination label name in label_join(): %s", dst)
	}
	values := make([]string, len(src))
	return newLabelTransform(dst, func(ls labels.Labels) (string, bool) {
		for i, name := range src {
			values[i] = ls.Get(name)
		}
		return strings.Join(values, separator), true
	}), nil
}

func newLabelTransform(dst string, value func(labels.Labels) (string, bool)) *LabelTransform {
	return &LabelTransform{dst, value, labels.NewBuilder(labels.EmptyLabels())}
}

// Apply returns the new labels of a series. named says that the call gave the
// series its name, which is then kept whatever the operand said.
func (t *LabelTransform) Apply(ls labels.Labels) (out labels.Labels, named bool) {
	v, ok := t.value(ls)
	if !ok {
		return ls, false
	}
	t.builder.Reset(ls)
	return t.builder.Set(t.dst, v).Labels(), t.dst == model.MetricNameLabel
}

// CompareLabels orders two series as sort_by_label does: by the labels of the
// names in natural order, then by all. sort_by_label_desc is the reverse. The
// natural order is not transitive for everything: to get Prometheus's, sort a
// vector in its order with slices.SortFunc.
func CompareLabels(a, b labels.Labels, names []string) int {
	for _, name := range names {
		va, vb := a.Get(name), b.Get(name)
		switch {
		case va == vb:
		case natsort.Compare(va, vb):
			return -1
		default:
			return 1
		}
	}
	return labels.Compare(a, b)
}

// AbsentLabels returns the labels of the result of absent and absent_over_time
// for their argument: those that its matchers fix.
func AbsentLabels(arg parser.Expr) labels.Labels {
	var matchers []*labels.Matcher
	switch n := arg.(type) {
	case *parser.VectorSelector:
		matchers = n.LabelMatchers
	case *parser.MatrixSelector:
		matchers = n.VectorSelector.(*parser.VectorSelector).LabelMatchers
	}
	b := labels.NewBuilder(labels.EmptyLabels())
	fixed := map[string]bool{}
	for _, m := range matchers {
		switch {
		case m.Name == model.MetricNameLabel:
		case m.Type == labels.MatchEqual && !fixed[m.Name]:
			b.Set(m.Name, m.Value)
			fixed[m.Name] = true
		default:
			// A second matcher of any kind leaves the value open.
			b.Del(m.Name)
		}
	}
	return b.Labels()
}
