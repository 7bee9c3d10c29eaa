// Package controller keeps the jobs and rules of the Prometheus Operator's objects up to
// date: it follows the objects of a cluster through [kubernetes.Client], lets an
// [operator.Generator] turn them into jobs and rules, and tells its owner whenever these
// change. What it thinks of an object it writes into the object's status.
//
// An event makes work for the objects that it concerns: those that changed, all of a
// namespace whose labels changed, and those that refer to a Secret or ConfigMap that
// changed. Results of the others are kept. Of Secrets and ConfigMaps, only those that
// an object refers to are read, each by its name.
//
// While the API server is out of reach, everything stays as it was. A kind that may not
// be read or is not installed fails alone.
//
// # Concurrency
//
// One goroutine, that of [Controller.Run], generates and calls the owner; another writes
// statuses. Handlers of events only note what is dirty.
package controller
