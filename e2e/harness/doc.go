// Package harness starts real servers on loopback ports and talks to them the way a user
// does: by flags, files, signals and HTTP.
//
// A [Process] is any program under test, with its output kept and shown when the test
// fails. [Gnomon] is the server itself, which can be killed, stopped and started again in
// its folder. [StartEtcd], [StartAlertmanager] and [StartNodeExporter] start the peers,
// built from the versions that this module's go.mod names as tools; [StartKubernetes]
// starts the API server of e2e/kubeapi. [Load] is a set of scrape targets whose every
// sample can be recomputed.
//
// Everything is bounded: a start, a stop and a wait each fail the test when their time is
// up, and whatever still runs when a test ends is killed.
//
// The package knows nothing of Gnomon's code. Its functions that take a testing.TB end
// the test on failure and belong to the test's own goroutine; the methods of [Load] that
// answer scrapes are safe for concurrent use.
package harness
