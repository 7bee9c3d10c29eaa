// Package parse reads the exposition formats: the text format by position, and
// OpenMetrics, protobuf and the conversion of classic histograms through
// Prometheus's parsers.
//
// # The idea
//
// The bodies of a target differ from one scrape to the next in their numbers,
// and in little else. A [Layout] knows the last body as a chain of lines. For
// each line it has a 64-bit hash of the bytes before the number, their length,
// the column of the series, and which line came next. Parsing a body walks the
// chain: if the bytes at hand have the length and the hash of the line that is
// expected, only the number is read, and stored in the row at the line's column.
//
// A line that is not the expected one is scanned up to its number and looked up
// by its hash. If it is known, the chain is joined there, so lines that moved,
// appeared or vanished cost one look-up each and the order heals itself. If it is
// not known it is parsed in full: its labels go through [Options.Admit], which
// relabels them and checks the limits, and it becomes a new line. Comment lines
// are lines like others; HELP and TYPE feed [Families].
//
// # What is trusted
//
// Equality of hashes stands for equality of bytes. The hash is the runtime's
// seeded one (hash/maphash), with a seed per layout that never leaves the
// process, so whoever writes an exposition cannot construct collisions, and two
// different lines are taken for one another with a probability of 2^-64 per
// comparison. Bytes that were never parsed in full are never accepted.
//
// # Errors
//
// The grammar in this package is strict and knows the plain forms only. What it
// does not accept is given to Prometheus's parser, which decides: it reads the
// exotic forms (quoted names, line breaks in label values) and words the errors.
// So whatever Prometheus refuses is refused here, with the same words after the
// number of the line. A body with an error yields nothing.
//
// # Use
//
// For each body: [Layout.Parse] into a [Scrape], then [Layout.Commit], which asks
// for the columns of new series and completes the row, or [Layout.Abort] if
// something went wrong. A Layout and a Scrape are each used by one goroutine at
// a time; a Scrape can serve many layouts one after the other, and should, since
// it holds the buffers. [Families] can be read by any goroutine at any time.
package parse
