// Package etcd discovers scrape targets and Alertmanagers from keys in etcd
// (etcd_sd_configs).
//
// Every key under a prefix holds a target group as JSON, a list of them, or one plain
// host:port. The package reads all keys at one revision, follows the changes from the
// next one on, and turns each key into one target group, so that a changed key costs
// that key only.
//
// # What it promises
//
// Targets change only when etcd says so. While etcd is away, has no leader, refuses the
// login or has compacted the revision that is followed, the known targets stay; when it
// is back, the difference is applied and nothing else. A value that cannot be read
// affects its own key only, keeps the targets that the key had before, is logged once
// and counted.
//
// # Structure
//
//   - [SDConfig] is the configuration section; its init registers it with upstream's
//     discovery, so that linking the package is all it takes.
//   - [Template] names the parts of a key; parser reads values; state holds what is
//     known and computes what changed. They are pure: no clock, goroutine or socket.
//   - [Discovery] is the shell around them: it connects, lists, watches and retries.
//
// It is not a client library, and it never writes to etcd.
//
// # Concurrency
//
// A Discovery runs in the one goroutine that calls Run, which owns its state. What
// metrics need is published through atomics. Groups that were sent are never modified
// again; their receivers share them.
package etcd
