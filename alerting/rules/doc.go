// Package rules reads rule files and evaluates their groups: recording rules
// write the result of an expression as new series, alerting rules make alerts
// of it.
//
// [ReadFiles] reads and checks files, and says of every fault where it is. A
// [Manager] runs what it read: one goroutine per group, which evaluates the
// group's rules one after the other, so that a rule sees what the rules before
// it just wrote, once per interval. The instants are aligned to slots that a
// hash of the group's file and name spreads over the interval: they are the
// same on every server and after every restart, and timestamps are exact
// multiples apart however long an evaluation takes. Slots that passed during a
// long evaluation are counted as missed.
//
// Each rule's output is a storage group of its own: the series are its columns,
// an evaluation is a row. A series that vanishes from the result gets a
// staleness marker in that row and its column is released.
//
// [Manager.Update] applies a changed configuration by difference. A group that
// did not change goes on undisturbed, a changed one hands the alerts and the
// output of each rule with the same name and labels on to its successor, and
// the series of a group that is gone end with staleness markers two intervals
// later, so that a group which took over a series is not interrupted.
//
// After a start, alerting rules do not write before their second evaluation,
// when they take over from the ALERTS_FOR_STATE series since when alerts have
// been active.
//
// # Differences from Prometheus
//
// What is evaluated, stored and notified equals what Prometheus does, which a
// test holds over random rules, but for this:
//
//   - An alert that fired when the former process ended goes on firing after a
//     restart even if its for duration is shorter than the grace period, and
//     one that was kept by keep_firing_for goes on for the rest of that.
//   - A label of an alerting rule that expands to nothing is absent from the
//     ALERTS series too, not there with the text of its template.
//   - A group that is changed before its alerts were restored still restores.
//   - New external labels take effect in templates of groups that did not
//     change otherwise.
//   - Faults of a rule file are all reported at once, each with its line.
//
// What it is not: it neither parses PromQL (upstream's parser does), nor
// evaluates it (alerting.QueryFunc), nor delivers alerts (NotifyFunc).
//
// All methods of Manager, and what they return, can be used by any number of
// goroutines. Locks are ordered: Manager.updating, Manager.mu, then those of a
// group, then those of a rule.
package rules
