// Package federate serves /federate: the newest sample of every series that is
// asked for, in an exposition format, for another server to scrape. It does not
// evaluate anything: what should be aggregated is a recording rule's.
//
// The formats are those of Prometheus: text, and protobuf for clients that
// prefer it. Native histograms have no text form and are left out of it, but
// for those with custom buckets, which become classic ones.
package federate
