// Package template expands the labels and annotations of alerts. The language
// is text/template with the functions and variables that Prometheus documents:
// $labels, $value, $externalLabels and $externalURL, and the functions listed
// in functions.go. Results and error texts equal Prometheus's, column numbers
// included, because people search for them.
//
// [Compile] parses a text once; [Template.Expand] executes it for each alert of
// an evaluation. A text without an action is its own result and costs nothing.
//
// What it is not: HTML. Console pages are not served.
//
// A Template is used by one goroutine at a time.
package template
