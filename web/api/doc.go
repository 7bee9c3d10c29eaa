// Package api serves Prometheus's HTTP API, version 1: queries, series and
// labels, targets, rules and alerts, the state of the server, and the
// administration of the database. It is not the server: package web owns the
// listeners, the route prefix, readiness and everything outside of /api/v1.
//
// # Compatibility
//
// Responses equal Prometheus's byte for byte where clients look: the envelope,
// names and order of fields, the formatting of numbers, texts and types of
// errors, status codes, warnings and infos. The tests hold them against the
// upstream handlers on the same data. Where the order of upstream's answer
// depends on the iteration of a map, ours is sorted. Requests that upstream
// misunderstands are refused instead:
//
//   - a query string or form that does not parse is bad_data everywhere, where
//     upstream drops what it cannot parse;
//   - form bodies are bounded, as is the number of tokens of an expression,
//     since the depth of the parser's recursion is that of the expression;
//   - times that are not finite or do not fit into milliseconds, and steps
//     below one millisecond, are bad_data.
//
// # Parts
//
// [API] has one handler per endpoint, in one file per family. What the handlers
// need from the rest of the server is declared here as interfaces and plain
// structs: [Engine], [Targets], [Rules], [Alertmanagers], [TSDB], [TSDBAdmin].
// Only the wiring knows who implements them. A part that is nil in [Options]
// makes its endpoints answer with errorType execution.
//
// Responses are appended to a pooled buffer without reflection and leave it in
// pieces, so that a large result is never in memory twice.
//
// All handlers can be used by any number of goroutines.
package api
