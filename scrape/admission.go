package scrape

import (
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

var errNoMetricName = fmt.Errorf("missing metric name (%s label)", model.MetricNameLabel)

// errLabelLimit marks the errors of the limits on labels.
var errLabelLimit = errors.New("label limit exceeded")

// labelLimitError is an error of the limits on labels. It reads as in
// Prometheus.
type labelLimitError string

func (e labelLimitError) Error() string        { return string(e) }
func (e labelLimitError) Is(target error) bool { return target == errLabelLimit }

// labelLimits are the limits on the labels of a series; 0 is no limit.
type labelLimits struct {
	labels, nameLength, valueLength int
}

// admission turns the labels that a target exposes into those of the stored
// series: it adds those of the target, relabels, and checks. It is used by one
// goroutine.
type admission struct {
	target      labels.Labels
	honorLabels bool
	relabelling []*relabel.Config
	scheme      model.ValidationScheme
	limits      labelLimits
	builder     *labels.Builder
}

// admit returns the labels to be stored, none if relabelling drops the series.
func (a *admission) admit(exposed labels.Labels) (labels.Labels, error) {
	a.builder.Reset(exposed)
	if a.honorLabels {
		a.target.Range(func(l labels.Label) {
			if !exposed.Has(l.Name) {
				a.builder.Set(l.Name, l.Value)
			}
		})
	} else {
		a.override(exposed)
	}
	if !relabel.ProcessBuilder(a.builder, a.relabelling...) {
		return labels.EmptyLabels(), nil
	}
	ls := a.builder.Labels()
	if ls.IsEmpty() {
		return ls, nil
	}
	if !ls.Has(model.MetricNameLabel) {
		return ls, errNoMetricName
	}
	if !ls.IsValid(a.scheme) {
		return ls, fmt.Errorf("invalid metric name or label names: %s", ls)
	}
	if name, twice := ls.HasDuplicateLabelNames(); twice {
		return ls, fmt.Errorf("label name %q is not unique: invalid sample", name)
	}
	return ls, a.limits.check(ls)
}

// override sets the labels of the target. Exposed labels of the same name are
// kept with a prefix.
func (a *admission) override(exposed labels.Labels) {
	var conflicts []labels.Label
	a.target.Range(func(l labels.Label) {
		if value := exposed.Get(l.Name); value != "" {
			conflicts = append(conflicts, labels.Label{Name: l.Name, Value: value})
		}
		a.builder.Set(l.Name, l.Value)
	})
	// The shorter name first, so that the result does not depend on the order.
	slices.SortStableFunc(conflicts, func(a, b labels.Label) int { return len(a.Name) - len(b.Name) })
	for _, l := range conflicts {
		name := model.ExportedLabelPrefix + l.Name
		for a.builder.Get(name) != "" {
			name = model.ExportedLabelPrefix + name
		}
		a.builder.Set(name, l.Value)
	}
}

func (limits labelLimits) check(ls labels.Labels) error {
	metric := ls.Get(model.MetricNameLabel)
	if n := ls.Len(); limits.labels > 0 && n > limits.labels {
		return labelLimitError(fmt.Sprintf("label_limit exceeded (metric: %.50s, number of labels: %d, limit: %d)", metric, n, limits.labels))
	}
	if limits.nameLength == 0 && limits.valueLength == 0 {
		return nil
	}
	return ls.Validate(func(l labels.Label) error {
		if n := len(l.Name); limits.nameLength > 0 && n > limits.nameLength {
			return labelLimitError(fmt.Sprintf("label_name_length_limit exceeded (metric: %.50s, label name: %.50s, length: %d, limit: %d)",
				metric, l.Name, n, limits.nameLength))
		}
		if n := len(l.Value); limits.valueLength > 0 && n > limits.valueLength {
			return labelLimitError(fmt.Sprintf("label_value_length_limit exceeded (metric: %.50s, label name: %.50s, value: %.50q, length: %d, limit: %d)",
				metric, l.Name, l.Value, n, limits.valueLength))
		}
		return nil
	})
}

// syntheticLabels returns the labels of a synthetic series of the target.
func syntheticLabels(name string, target labels.Labels) labels.Labels {
	lb := labels.NewBuilder(target)
	lb.Set(model.MetricNameLabel, name)
	return lb.Labels()
}
