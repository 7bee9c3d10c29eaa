// Package operator turns the objects of the Prometheus Operator into what a server
// scrapes and evaluates, without an operator: ServiceMonitor, PodMonitor, Probe and
// ScrapeConfig become scrape configurations, PrometheusRule becomes a rule file.
//
// The settings are the spec of the Operator's own Prometheus object, so that users move
// by copying it. Job names, relabelling and limits are those that the Operator would
// have generated; testdata/upstream records what it generates, and the tests compare
// with that job by job.
//
// # Pure
//
// Nothing here watches, reads or writes. A [Generator] is a function of settings, an
// object and a [Lookup] for the values of Secrets and ConfigMaps, and the same input
// always has the same output. Whoever runs it watches the objects, and what each
// [Result] says it refers to.
//
//	g, err := operator.New(operator.Options{Namespace: "monitoring", Name: "k8s", Spec: spec})
//	for _, r := range g.Generate(objects, namespaces, lookup) {
//		if r.Rejection != nil { … } // this object only
//		use(r.Jobs, r.Rules)
//	}
//
// # What it promises
//
// A bad object is rejected alone: its result has a reason and a message that names each
// bad field, the others are as if it was not there. Jobs have passed the same decoding
// and validation as a section of a configuration file, and are complete: global limits
// and intervals of the settings are in them, so that nothing of the server's own file
// changes them. Values of Secrets are in the jobs themselves and never on a disk.
//
// # Structure
//
// One file for each kind of object (servicemonitor, podmonitor, probe, scrapeconfig and
// its mechanisms, rules, additional), and one for each thing that they share: selection,
// relabel, credentials, limits, scrapeclass, shard, enforcement. A job is written as a
// section of a configuration file (section) and read as one (job), because that is the
// one form whose defaults and checks are Prometheus's own, and the one that works with
// whatever discovery mechanisms are linked. This package links none.
//
// # Concurrency
//
// A Generator is immutable and can be used by any number of goroutines, if the lookup
// can. It does not change the objects that it is given. Results belong to the caller.
package operator
