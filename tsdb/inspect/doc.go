// Package inspect looks into a data folder for people: which blocks there are,
// what is in them, their samples as text, and whether everything that is on disk
// can be read.
//
//   - [List], [Analyze] and [Verify] read the files as they lie there. They
//     change nothing, and may run beside a server.
//   - [Dump] wants the head as well, and so opens the folder as a server does
//     ([Open]): no server may have it.
//
// What they write is for people and for scripts that cut columns; it is not a
// format. Dump writes what promtool's dump does.
package inspect
