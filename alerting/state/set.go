package state

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// ResolvedRetention is how long a resolved alert is kept and sent again, so
// that an Alertmanager that was unreachable or restarted still learns of it.
const ResolvedRetention = 15 * time.Minute

// ErrDuplicateLabels refuses observations of which two have the same labels:
// they would be the same alert.
var ErrDuplicateLabels = errors.New("vector contains metrics with the same labelset after applying alert labels")

// LimitError refuses an evaluation that left more alerts active than the limit
// of the rule's group.
type LimitError struct {
	Limit, Alerts int
}

// Error gives both numbers.
func (e *LimitError) Error() string {
	return fmt.Sprintf("exceeded limit of %d with %d alerts", e.Limit, e.Alerts)
}

// Policy is what a rule says about its alerts. It may differ from step to step,
// as it does after a reload.
type Policy struct {
	// For is how long an alert is pending before it fires; 0 fires at once.
	For time.Duration
	// KeepFiringFor is how long an alert fires on after it was last seen.
	KeepFiringFor time.Duration
	// Limit is the greatest number of active alerts; 0 is no limit.
	Limit int
}

// Observation is one element of the vector that the rule's expression returned,
// with the rule's labels and annotations applied.
type Observation struct {
	Labels      labels.Labels
	Annotations labels.Labels
	Value       float64
}

// Set is the alerts of one rule: the pending and firing ones and those resolved
// not long ago. The zero value is empty. It is used by one goroutine at a time.
type Set struct {
	byKey map[string]*Alert
	// ordered has the alerts in the order in which they were first seen.
	ordered []*Alert
	// round counts the steps.
	round uint64
	buf   []byte
}

// Step advances the alerts by one evaluation at now that saw the observations.
// With ErrDuplicateLabels nothing changed. After a *LimitError the set is
// empty, so that neither notifications nor memory grow without bound.
func (s *Set) Step(p Policy, seen []Observation, now time.Time) error {
	s.round++
	if err := s.checkDuplicates(seen); err != nil {
		return err
	}
	for i := range seen {
		s.observe(&seen[i], now)
	}
	active := 0
	kept := s.ordered[:0]
	for _, a := range s.ordered {
		if a.round != s.round && !s.unseen(a, p, now) {
			delete(s.byKey, a.key)
			continue
		}
		kept = append(kept, a)
		if a.State == Inactive {
			continue
		}
		active++
		hold(a, p, now)
	}
	clear(s.ordered[len(kept):])
	s.ordered = kept
	if p.Limit > 0 && active > p.Limit {
		s.Clear()
		return &LimitError{Limit: p.Limit, Alerts: active}
	}
	return nil
}

// checkDuplicates fails if two observations have the same labels.
func (s *Set) checkDuplicates(seen []Observation) error {
	if len(seen) < 2 {
		return nil
	}
	keys := make(map[string]struct{}, len(seen))
	for i := range seen {
		s.buf = seen[i].Labels.Bytes(s.buf)
		if _, ok := keys[string(s.buf)]; ok {
			return ErrDuplicateLabels
		}
		keys[string(s.buf)] = struct{}{}
	}
	return nil
}

// observe records that an alert was seen: an active one gets the new value and
// annotations, an unknown or resolved one begins as pending.
func (s *Set) observe(o *Observation, now time.Time) {
	s.buf = o.Labels.Bytes(s.buf)
	a, ok := s.byKey[string(s.buf)]
	switch {
	case !ok:
		a = &Alert{key: string(s.buf)}
		if s.byKey == nil {
			s.byKey = make(map[string]*Alert)
		}
		s.byKey[a.key] = a
		s.ordered = append(s.ordered, a)
		fallthrough
	case a.State == Inactive:
		*a = Alert{State: Pending, Labels: o.Labels, ActiveAt: now, key: a.key}
	}
	a.Value, a.Annotations = o.Value, o.Annotations
	a.KeepFiringSince = time.Time{}
	a.round = s.round
}

// unseen advances an alert that the evaluation did not see and reports whether
// it is to be kept. An alert that is not kept is not touched.
func (s *Set) unseen(a *Alert, p Policy, now time.Time) bool {
	switch {
	case a.State == Pending:
		return false
	case !a.ResolvedAt.IsZero() && now.Sub(a.ResolvedAt) > ResolvedRetention:
		return false
	case a.State == Inactive:
		return true
	}
	if p.KeepFiringFor > 0 {
		if a.KeepFiringSince.IsZero() {
			a.KeepFiringSince = now
		}
		if now.Sub(a.KeepFiringSince) < p.KeepFiringFor {
			return true
		}
	}
	a.State, a.ResolvedAt = Inactive, now
	return true
}

// hold moves an active alert between pending and firing. Back to pending it
// goes only when a reload or a restoration made its remaining time grow.
func hold(a *Alert, p Policy, now time.Time) {
	held := now.Sub(a.ActiveAt) >= p.For
	switch {
	case a.State == Pending && held:
		a.State, a.FiredAt = Firing, now
	case a.State == Firing && !held:
		a.State = Pending
		a.FiredAt, a.LastSentAt, a.KeepFiringSince = time.Time{}, time.Time{}, time.Time{}
	}
}

// Clear forgets all alerts.
func (s *Set) Clear() {
	clear(s.byKey)
	clear(s.ordered)
	s.ordered = s.ordered[:0]
}

// Len returns the number of alerts, resolved ones included.
func (s *Set) Len() int { return len(s.ordered) }

// Max returns the greatest state among the alerts, Inactive if there is none.
func (s *Set) Max() State {
	greatest := Inactive
	for _, a := range s.ordered {
		greatest = max(greatest, a.State)
	}
	return greatest
}

// Active returns copies of the pending and firing alerts, in the order in which
// they were first seen.
func (s *Set) Active() []Alert {
	var active []Alert
	for _, a := range s.ordered {
		if a.State != Inactive {
			active = append(active, *a)
		}
	}
	return active
}

// Due returns copies of the alerts that are to be sent at now, firing and
// resolved, and records that they were. An alert is sent when it begins to
// fire, when it was resolved, and again every resendDelay. An Alertmanager
// considers it resolved when it hears nothing for four times the greater of
// resendDelay and interval, the evaluation interval: that allows for two
// evaluations or deliveries to fail.
func (s *Set) Due(now time.Time, resendDelay, interval time.Duration) []Alert {
	var due []Alert
	for _, a := range s.ordered {
		if !a.needsSending(now, resendDelay) {
			continue
		}
		a.LastSentAt = now
		a.ValidUntil = now.Add(4 * max(interval, resendDelay))
		due = append(due, *a)
	}
	return due
}
