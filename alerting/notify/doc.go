// Package notify delivers alerts to Alertmanagers: it adds the external labels,
// applies alert relabelling, queues alerts for each discovered Alertmanager and
// posts them in batches to its API v2.
//
// The queues and the sender are upstream's notifier, whose wire format is by
// definition what Alertmanager expects. This package owns its life: it ends
// with a context, and it bounds the time that is spent on delivering what is
// queued when the server stops, which upstream does not.
//
// What it is not: it does not decide which alerts are due (see state) and does
// not discover (the discovery manager sends it target groups).
//
// The methods of [Manager] can be used by any number of goroutines. It must end
// after the rule manager, whose last alerts it would lose otherwise.
package notify
