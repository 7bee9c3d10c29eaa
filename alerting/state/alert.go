package state

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// State is the state of an alert or the greatest state of a rule's alerts. The
// order of the constants is the order of severity.
type State uint8

// The states of alerts.
const (
	// Unknown is the state of a rule that was not evaluated yet. No alert has
	// it.
	Unknown State = iota
	// Inactive is the state of an alert that was resolved.
	Inactive
	// Pending is the state of an alert that has not been active for the rule's
	// for duration yet.
	Pending
	// Firing is the state of an alert that is sent to Alertmanagers.
	Firing
)

// String returns the name of the state as the API and the alertstate label
// have it.
func (s State) String() string {
	switch s {
	case Inactive:
		return "inactive"
	case Pending:
		return "pending"
	case Firing:
		return "firing"
	default:
		return "unknown"
	}
}

// Alert is one instance of an alerting rule. Its labels are its identity.
type Alert struct {
	State State
	// Labels identify the alert within its rule; alertname is one of them.
	Labels labels.Labels
	// Annotations are as of the last evaluation that saw the alert.
	Annotations labels.Labels
	// Value is that of the last evaluation that saw the alert, 0 if it was a
	// native histogram.
	Value float64
	// ActiveAt is when the alert was first seen. After a restoration it is
	// what makes the remaining time of the for duration come out right and may
	// be later than that.
	ActiveAt time.Time
	// FiredAt is when the alert began to fire, zero if it does not.
	FiredAt time.Time
	// ResolvedAt is when the alert was resolved, zero if it was not.
	ResolvedAt time.Time
	// KeepFiringSince is when an alert that fires on was last not seen any
	// more, zero if it is seen.
	KeepFiringSince time.Time
	// LastSentAt is when the alert was last sent, zero if never.
	LastSentAt time.Time
	// ValidUntil is when an Alertmanager that hears nothing more of the alert
	// is to consider it resolved.
	ValidUntil time.Time

	// key is the binary form of Labels under which the set has the alert.
	key string
	// round is the last step that saw the alert.
	round uint64
}

// needsSending reports whether the alert is to be sent at now.
func (a *Alert) needsSending(now time.Time, resendDelay time.Duration) bool {
	if a.State == Pending {
		return false
	}
	if a.ResolvedAt.After(a.LastSentAt) {
		return true
	}
	return a.LastSentAt.Add(resendDelay).Before(now)
}
