package rules

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/alerting/state"
)

// GroupStatus is a copy of what is known about a group.
type GroupStatus struct {
	File, Name string
	Interval   time.Duration
	// QueryOffset is that of the group or the configured default.
	QueryOffset time.Duration
	Limit       int
	// EvaluationTime is how long the last evaluation took.
	EvaluationTime time.Duration
	// LastEvaluation is when it began, zero if there was none.
	LastEvaluation time.Time
	// LastSlot is the nominal time of the last evaluation.
	LastSlot time.Time
	// Rules are in the order of the file.
	Rules []RuleStatus
}

// RuleStatus is a copy of what is known about a rule.
type RuleStatus struct {
	// Alerting is true for an alerting rule; the fields from Duration on are
	// for these only.
	Alerting bool
	Name     string
	// Query is the expression in PromQL's canonical form.
	Query string
	// Labels are those of the group and the rule, not expanded.
	Labels    labels.Labels
	Health    Health
	LastError error
	// EvaluationDuration is how long the last evaluation took, LastEvaluation
	// when it began, zero if there was none.
	EvaluationDuration time.Duration
	LastEvaluation     time.Time

	// Duration is the for duration.
	Duration      time.Duration
	KeepFiringFor time.Duration
	Annotations   labels.Labels
	// State is the greatest among the alerts, Inactive without any, Unknown
	// before the first evaluation.
	State state.State
	// Alerts are the pending and firing ones, in the order in which they were
	// first seen; nil if they were not asked for.
	Alerts []state.Alert
}

// Kind returns "alerting" or "recording", as the API names it.
func (r *RuleStatus) Kind() string {
	if r.Alerting {
		return "alerting"
	}
	return "recording"
}
