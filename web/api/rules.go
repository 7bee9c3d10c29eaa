package api

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// Rules knows the rules and their alerts. It is used by any number of
// goroutines.
type Rules interface {
	// RuleGroups returns the rule groups in the order of the configuration. The
	// alerts of the alerting rules are left out unless withAlerts is true.
	RuleGroups(withAlerts bool) []RuleGroup
}

// RuleGroup is a rule group with the outcome of its last evaluation.
type RuleGroup struct {
	Name, File string
	Interval   time.Duration
	// Limit is the greatest number of series or alerts that a rule may yield;
	// 0 is no limit.
	Limit int
	Rules []Rule
	// EvaluationTime is how long the last evaluation took and LastEvaluation
	// when it began; zero if there was none.
	EvaluationTime time.Duration
	LastEvaluation time.Time
}

// RuleKind says what a rule does.
type RuleKind uint8

// The kinds of rules.
const (
	RecordingRule RuleKind = iota
	AlertingRule
)

// Rule is a recording or an alerting rule.
type Rule struct {
	Kind RuleKind
	// Name is the name of the recorded metric or of the alert.
	Name string
	// Query is the expression as the parser prints it.
	Query  string
	Labels labels.Labels
	// Health is "ok", "err" or "unknown", LastError the error of the last
	// evaluation.
	Health, LastError string
	// EvaluationTime is how long the last evaluation took and LastEvaluation
	// when it began; zero if there was none.
	EvaluationTime time.Duration
	LastEvaluation time.Time

	// What follows is of alerting rules only.

	// State is "inactive", "pending", "firing" or "unknown".
	State string
	// HoldDuration is the rule's for, KeepFiringFor its keep_firing_for.
	HoldDuration, KeepFiringFor time.Duration
	Annotations                 labels.Labels
	// Alerts are the active alerts.
	Alerts []Alert
}

// Alert is an active alert.
type Alert struct {
	Labels, Annotations labels.Labels
	// State is "pending" or "firing".
	State    string
	ActiveAt time.Time
	// KeepFiringSince is when the expression stopped yielding the alert; zero
	// if it has not.
	KeepFiringSince time.Time
	Value           float64
}
