// Package kubernetes finds targets in Kubernetes. It serves upstream's
// kubernetes_sd_configs with upstream's labels, and watches each object once however
// many jobs ask for it.
//
// Upstream's mechanism lists and watches for every configuration that differs from the
// others, and keeps whole objects: twenty jobs that look for pods in twenty ways hold
// twenty copies of every pod. Here
//
//   - a cluster is one API server with one set of credentials,
//   - a watch follows the objects of one resource, namespace and selector of a cluster,
//     and keeps the fields that become labels (trim.go),
//   - a feed turns the objects of some watches into target groups. Upstream's own
//     builders do that, which take the watches as their informers, so that labels are
//     theirs,
//   - a [Discovery] is what a job runs: it takes part in the feeds of its namespaces.
//
// Watches and feeds exist while somebody uses them. A [Mechanism] has all of them, and is
// shared by all discovery managers of a process.
//
// # Failures
//
// While the API server is out of reach, the targets stay as they were. The metrics
// gnomon_sd_kubernetes_watch_up and ..._last_contact_timestamp_seconds and
// [Mechanism.Sources] tell since when. client-go repeats what failed after 0.8 to 30
// seconds and lists anew when its place in the history of the server is gone. A resource
// or namespace that may not be read fails alone.
//
// # Concurrency
//
// [Mechanism] is safe for concurrent use. Lock order: the mechanism's before those of
// feeds; none is held while something is sent.
package kubernetes
