// Package machine serves the metrics of the machine that the server runs on:
// the collectors of the node exporter, linked as a library, on a page of their
// own registry. A first run then has something to show, and dashboards made
// for the node exporter work without one.
//
// # What it is not
//
// It is no replacement of a node exporter on other machines, and it takes no
// settings: every collector runs as the node exporter's defaults have it. Who
// wants others runs a node exporter and scrapes that.
//
// # Where it works
//
// On Linux. Elsewhere, and with the build tag no_machine, [Available] is false
// and [New] returns [ErrNotBuiltIn]; nothing of the node exporter is linked.
//
// # Failures
//
// Collectors fail for harmless reasons, such as a kernel without the file they
// read. That shows in node_scrape_collector_success and, for who wants to know
// more, in the log at level debug. One that panics is not called again. One
// that hangs costs its page after a while ([Options].Timeout), and pages in
// progress are bounded ([Options].MaxRequests), hanging ones included.
//
// # Process-wide state
//
// The node exporter keeps its settings in the flags of kingpin.CommandLine and
// its collectors in package variables. The first [New] sets those flags to
// their defaults, without looking at the arguments of the process; a program
// that uses this package must not parse kingpin.CommandLine itself. Loggers
// of collectors are those of the first New.
//
// # Concurrency
//
// A [Machine] may be used from several goroutines.
package machine
