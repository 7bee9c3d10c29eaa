// Package scrape fetches the metrics of targets and writes them to a store as
// rows.
//
// # What it is
//
// A [Manager] takes the scrape configurations of a configuration file and the
// target groups that discovery finds for them. For each job it keeps a pool,
// which relabels the discovered targets, and for each target of a pool a loop,
// which scrapes it. A loop
//
//   - wakes at the slots of its target: instants that are a fixed offset, drawn
//     from a hash of the target, from the multiples of the interval. The offset
//     spreads the targets of a server over the interval and is the same after a
//     restart; the external labels seed it, so that the two servers of a pair
//     scrape at different times. A scrape that begins within a tolerance of its
//     slot has the slot as its timestamp, so that timestamps are equidistant;
//   - fetches the body over HTTP;
//   - parses it with package parse, which knows the target's last body and reads
//     nothing of an unchanged line but its number;
//   - and appends one row to the target's group: the scraped samples, a
//     staleness marker for each series that is gone, and the synthetic series
//     (up and its companions).
//
// A scrape that fails, for whatever reason, stores nothing of its body: its row
// has up = 0 and staleness markers for everything the target exposed before.
// Samples that the target itself gave a timestamp are not of the row's instant,
// so they go through an appender, in one transaction per scrape.
//
// It is not a store and not a discovery mechanism, and it does not know where
// target groups come from.
//
// # Reloading
//
// [Manager.ApplyConfig] compares the new configuration with the running one. A
// job that did not change is not touched. In one that changed, loops go on with
// new settings: their offsets, columns and metadata stay, and a target keeps its
// loop even if its interval changes. A target that disappears is retired: its
// series get their staleness markers two intervals later, unless it came back.
//
// # Concurrency
//
// The methods of Manager can be called from any number of goroutines. There is
// one goroutine per target and one per Manager, all of them started below
// [Manager.Run], which waits for them.
package scrape
