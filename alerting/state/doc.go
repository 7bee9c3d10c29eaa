// Package state is the alert state machine: which alerts of a rule are pending,
// firing or resolved, given what the rule's expression returned just now. It is
// a function of (state, observations, time): no clock is read, no lock taken,
// nothing logged or written, so that every path is reached by a table in a
// test.
//
// One [Set] holds the alerts of one rule. [Set.Step] advances it by one
// evaluation:
//
//	           seen                  seen for Policy.For
//	(absent) ────────▶ pending ──────────────────────────▶ firing ◀──┐
//	    ▲                 │ not seen                     not seen │  │ seen, or not
//	    └─────────────────┘                                       │  │ longer than
//	    ▲                                                         ▼  │ KeepFiringFor
//	    └── ResolvedRetention later ── inactive ◀─────────────────┴──┘
//	                                      │ seen: a new pending alert
//
// [Set.Due] picks the alerts that are to be sent to Alertmanager and remembers
// that they were. [Restored] decides from what a former process recorded since
// when an alert has been active, and [Set.Continued] which alerts fire on that
// nobody has seen since.
//
// What it is not: it neither evaluates expressions nor expands templates (see
// rules and template), and it does not send (see notify).
//
// A Set is used by one goroutine at a time; the alerts it hands out are
// copies.
package state
