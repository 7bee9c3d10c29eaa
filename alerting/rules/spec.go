package rules

import (
	"maps"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// File is a rule file that was read and found in order.
type File struct {
	// Path is where it was read from, as the pattern spelled it.
	Path   string
	Groups []GroupSpec
}

// GroupSpec is one group as the file has it.
type GroupSpec struct {
	Name string
	// Interval is the time between evaluations; 0 is the configured default.
	Interval time.Duration
	// QueryOffset is by how much queries look back from the time of the
	// evaluation; nil is the configured default.
	QueryOffset *time.Duration
	// Limit is the greatest number of series or alerts of a rule; 0 is none.
	Limit int
	// Labels are added to those of every rule of the group.
	Labels map[string]string
	Rules  []RuleSpec
}

// RuleSpec is one rule as the file has it. Exactly one of Record and Alert is
// set.
type RuleSpec struct {
	Record string
	Alert  string
	// Expr is the expression.
	Expr parser.Expr
	// For and KeepFiringFor delay the firing and the resolution of alerts.
	For           time.Duration
	KeepFiringFor time.Duration
	Labels        map[string]string
	Annotations   map[string]string
}

// Name returns the name of the alert or of the recorded series.
func (r *RuleSpec) Name() string {
	if r.Alert != "" {
		return r.Alert
	}
	return r.Record
}

// mergedLabels returns the labels of the rule on top of those of its group.
func (r *RuleSpec) mergedLabels(group map[string]string) labels.Labels {
	merged := make(map[string]string, len(group)+len(r.Labels))
	maps.Copy(merged, group)
	maps.Copy(merged, r.Labels)
	return labels.FromMap(merged)
}
