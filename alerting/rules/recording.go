package rules

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/alerting"
)

// ErrDuplicateLabels refuses a result of a recording rule of which two elements
// would be the same series.
var ErrDuplicateLabels = errors.New("vector contains metrics with the same labelset after applying rule labels")

// recordingRule writes the result of its expression under a new name.
type recordingRule struct {
	*ruleCore

	last relabelled
}

// relabelled remembers which labels the last result had and what became of
// them. Most results have the series of the one before in the same order.
type relabelled struct {
	in, out []labels.Labels
}

func (r *recordingRule) evaluate(ctx context.Context, e *evaluation) (alerting.Vector, error) {
	vector, err := e.queryFor(ctx, r.query)
	if err != nil {
		return nil, err
	}
	if changed := r.relabel(vector); changed && hasDuplicates(vector) {
		r.last = relabelled{}
		return nil, ErrDuplicateLabels
	}
	if e.limit > 0 && len(vector) > e.limit {
		return nil, fmt.Errorf("exceeded limit of %d with %d series", e.limit, len(vector))
	}
	return vector, nil
}

// relabel puts the name and the labels of the rule into the samples. It reports
// false if the series are the first ones of the last result, so that what held
// for the labels of that still holds.
func (r *recordingRule) relabel(vector alerting.Vector) (changed bool) {
	b := labels.NewBuilder(labels.EmptyLabels())
	last := &r.last
	for i := range vector {
		in := vector[i].Labels
		if i < len(last.in) && labels.Equal(in, last.in[i]) {
			vector[i].Labels = last.out[i]
			continue
		}
		changed = true
		b.Reset(in)
		b.Set(model.MetricNameLabel, r.name)
		r.labels.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
		vector[i].Labels = b.Labels()
		if i == len(last.in) {
			last.in, last.out = append(last.in, in), append(last.out, vector[i].Labels)
		} else {
			last.in[i], last.out[i] = in, vector[i].Labels
		}
	}
	clear(last.in[len(vector):])
	clear(last.out[len(vector):])
	last.in, last.out = last.in[:len(vector)], last.out[:len(vector)]
	return changed
}

func (r *recordingRule) status(bool) RuleStatus { return r.coreStatus() }

// hasDuplicates reports whether two samples have the same labels.
func hasDuplicates(vector alerting.Vector) bool {
	if len(vector) < 2 {
		return false
	}
	var buf []byte
	seen := make(map[string]struct{}, len(vector))
	for i := range vector {
		buf = vector[i].Labels.Bytes(buf)
		if _, ok := seen[string(buf)]; ok {
			return true
		}
		seen[string(buf)] = struct{}{}
	}
	return false
}
