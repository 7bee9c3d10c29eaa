package rules

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/alerting/state"
	"github.com/gnomonhq/gnomon/alerting/template"
)

// The series that alerting rules write, and their label.
const (
	alertsMetric   = "ALERTS"
	forStateMetric = "ALERTS_FOR_STATE"
	stateLabel     = "alertstate"
)

// alertingRule makes alerts of the result of its expression.
type alertingRule struct {
	*ruleCore

	hold          time.Duration
	keepFiringFor time.Duration
	annotations   labels.Labels
	shared        *shared
	logger        *slog.Logger
	// restored is false until the alerts of a former process were taken over.
	// Before that nothing is written, lest it hide what is to be taken over.
	restored bool
	// templates are the compiled labels and annotations while the rule has
	// alerts.
	templates *ruleTemplates

	// alerts is guarded because the API reads it.
	alerts struct {
		sync.Mutex
		state.Set
	}
}

// ruleTemplates are in the order of the rule's labels and annotations.
type ruleTemplates struct {
	labels, annotations []*template.Template
}

func (r *alertingRule) evaluate(ctx context.Context, e *evaluation) (alerting.Vector, error) {
	vector, err := e.queryFor(ctx, r.query)
	if err != nil {
		return nil, err
	}
	seen := r.observe(ctx, vector, e)
	r.alerts.Lock()
	defer r.alerts.Unlock()
	policy := state.Policy{For: r.hold, KeepFiringFor: r.keepFiringFor, Limit: e.limit}
	if err := r.alerts.Step(policy, seen, e.slot); err != nil {
		return nil, err
	}
	if !r.restored {
		return nil, nil
	}
	return r.seriesLocked(e.queryTime()), nil
}

// observe applies the rule's labels and annotations to a vector.
func (r *alertingRule) observe(ctx context.Context, vector alerting.Vector, e *evaluation) []state.Observation {
	if len(vector) == 0 {
		r.templates = nil
		return nil
	}
	r.compile()
	var (
		scope       = template.Scope{Now: e.slot, Query: r.shared.Query, ExternalURL: r.shared.ExternalURL}
		seen        = make([]state.Observation, len(vector))
		b           = labels.NewBuilder(labels.EmptyLabels())
		annotations = labels.NewScratchBuilder(0)
	)
	for i := range vector {
		data := template.DataOf(vector[i], e.externalLabels, r.shared.ExternalURL.String())
		b.Reset(vector[i].Labels)
		b.Del(model.MetricNameLabel)
		n := 0
		r.labels.Range(func(l labels.Label) {
			b.Set(l.Name, r.expand(ctx, r.templates.labels[n], scope, data))
			n++
		})
		b.Set(labels.AlertName, r.name)

		annotations.Reset()
		n = 0
		r.annotations.Range(func(l labels.Label) {
			annotations.Add(l.Name, r.expand(ctx, r.templates.annotations[n], scope, data))
			n++
		})
		seen[i] = state.Observation{Labels: b.Labels(), Annotations: annotations.Labels(), Value: vector[i].V}
	}
	return seen
}

// compile compiles the templates unless they are.
func (r *alertingRule) compile() {
	if r.templates != nil {
		return
	}
	r.templates = &ruleTemplates{}
	r.labels.Range(func(l labels.Label) {
		r.templates.labels = append(r.templates.labels, template.Compile(r.name, l.Value))
	})
	r.annotations.Range(func(l labels.Label) {
		r.templates.annotations = append(r.templates.annotations, template.Compile(r.name, l.Value))
	})
}

// expand returns the expanded template, or a text that says why there is none:
// a faulty template must not hold back the alert.
func (r *alertingRule) expand(ctx context.Context, t *template.Template, scope template.Scope, data template.Data) string {
	r.shared.metrics.expansions.Inc()
	text, err := t.Expand(ctx, scope, data)
	if err != nil {
		r.shared.metrics.expansionFailures.Inc()
		r.logger.Warn("expanding alert template", "err", err, "labels", data.Labels)
		return fmt.Sprintf("<error expanding template: %s>", err)
	}
	return text
}

// seriesLocked returns the samples of ALERTS and ALERTS_FOR_STATE at t.
func (r *alertingRule) seriesLocked(t time.Time) alerting.Vector {
	active := r.alerts.Active()
	vector := make(alerting.Vector, 0, 2*len(active))
	b := labels.NewBuilder(labels.EmptyLabels())
	for i := range active {
		a := &active[i]
		b.Reset(a.Labels)
		b.Set(model.MetricNameLabel, forStateMetric)
		forState := b.Labels()
		b.Set(model.MetricNameLabel, alertsMetric)
		b.Set(stateLabel, a.State.String())
		vector = append(vector,
			alerting.Sample{Labels: b.Labels(), T: t.UnixMilli(), V: 1},
			alerting.Sample{Labels: forState, T: t.UnixMilli(), V: float64(a.ActiveAt.Unix())},
		)
	}
	return vector
}

// notify hands over the alerts that are due at now.
func (r *alertingRule) notify(ctx context.Context, now time.Time, interval time.Duration) {
	r.alerts.Lock()
	due := r.alerts.Due(now, r.shared.ResendDelay, interval)
	r.alerts.Unlock()
	if len(due) > 0 {
		r.shared.Notify(ctx, r.query, due)
	}
}

// adopt takes over the alerts of a rule that was stopped.
func (r *alertingRule) adopt(from *alertingRule) {
	from.alerts.Lock()
	defer from.alerts.Unlock()
	r.alerts.Set, from.alerts.Set = from.alerts.Set, state.Set{}
	r.restored = from.restored
}

func (r *alertingRule) status(withAlerts bool) RuleStatus {
	s := r.coreStatus()
	s.Alerting = true
	s.Duration, s.KeepFiringFor, s.Annotations = r.hold, r.keepFiringFor, r.annotations
	s.State = state.Unknown
	r.alerts.Lock()
	defer r.alerts.Unlock()
	if !s.LastEvaluation.IsZero() {
		s.State = r.alerts.Max()
	}
	if withAlerts {
		s.Alerts = r.alerts.Active()
	}
	return s
}
