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
}

func (r *recordingRule) evaluate(ctx context.Context, e *evaluation) (alerting.Vector, error) {
	vector, err := e.queryFor(ctx, r.query)
	if err != nil {
		return nil, err
	}
	b := labels.NewBuilder(labels.EmptyLabels())
	for i := range vector {
		b.Reset(vector[i].Labels)
		b.Set(model.MetricNameLabel, r.name)
		r.labels.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
		vector[i].Labels = b.Labels()
	}
	if hasDuplicates(vector) {
		return nil, ErrDuplicateLabels
	}
	if e.limit > 0 && len(vector) > e.limit {
		return nil, fmt.Errorf("exceeded limit of %d with %d series", e.limit, len(vector))
	}
	return vector, nil
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
