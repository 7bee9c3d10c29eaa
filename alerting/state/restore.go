package state

import (
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// Record is what a former process left behind of an alert: the last sample of
// its ALERTS_FOR_STATE series.
type Record struct {
	// Labels are the alert's.
	Labels labels.Labels
	// ActiveAt is the value of the sample: since when the alert was active.
	ActiveAt time.Time
	// LastSeen is the timestamp of the sample: when the alert was last
	// evaluated, which is about when the process ended.
	LastSeen time.Time
}

// Restored decides since when an alert counts as active at now, given the
// record of a former process, and false if the record is not to be used. The
// time while nobody evaluated does not count towards the rule's for duration,
// and a restored alert never fires sooner than grace after now unless it was
// firing already:
//
//   - it was firing: it keeps its time and fires on;
//   - it was pending and the for duration is shorter than grace: it begins
//     anew, which is not sooner than it would have to wait anyway;
//   - less than grace of the for duration remained: it fires in grace;
//   - else it goes on where it was.
func Restored(r Record, now time.Time, hold, grace time.Duration) (time.Time, bool) {
	remaining := hold - r.LastSeen.Sub(r.ActiveAt)
	switch {
	case remaining <= 0:
		return r.ActiveAt, true
	case hold < grace:
		return time.Time{}, false
	case remaining < grace:
		return now.Add(grace - hold), true
	default:
		return r.ActiveAt.Add(now.Sub(r.LastSeen)), true
	}
}

// Restore sets since when alerts of the set are active. record returns what is
// known of the alert with the given labels, and false if that is nothing. It
// returns the number of alerts that were restored; their states follow with
// the next step.
func (s *Set) Restore(now time.Time, hold, grace time.Duration, record func(labels.Labels) (Record, bool)) int {
	restored := 0
	for _, a := range s.ordered {
		r, ok := record(a.Labels)
		if !ok {
			continue
		}
		if activeAt, ok := Restored(r, now, hold, grace); ok {
			a.ActiveAt = activeAt
			restored++
		}
	}
	return restored
}

// Continued returns which of the alerts in the records fire on at now although
// the evaluations since the start have not seen them, because they fired when
// the former process ended and KeepFiringFor has not passed since. The former
// process may have been keeping them already; nothing tells, so that a restart
// can prolong the time once.
func (s *Set) Continued(p Policy, now time.Time, records []Record) []Record {
	var continued []Record
	for _, r := range records {
		s.buf = r.Labels.Bytes(s.buf)
		_, known := s.byKey[string(s.buf)]
		if !known && r.LastSeen.Sub(r.ActiveAt) >= p.For && now.Sub(r.LastSeen) < p.KeepFiringFor {
			continued = append(continued, r)
		}
	}
	return continued
}

// Continue adds the alert of a record that Continued returned, firing since
// now. Its value is not known and is NaN.
func (s *Set) Continue(r Record, annotations labels.Labels, now time.Time) {
	s.observe(&Observation{Labels: r.Labels, Annotations: annotations, Value: math.NaN()}, now)
	a := s.ordered[len(s.ordered)-1]
	a.State, a.ActiveAt, a.FiredAt, a.KeepFiringSince = Firing, r.ActiveAt, now, r.LastSeen
}
