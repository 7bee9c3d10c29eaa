// Package folder has the commands of the program that work on data folders:
// taking over that of a Prometheus, giving it back, and looking into our own.
//
// They are an application of their own beside that of the server, so that a
// command cannot change what a flag of the server means. The package only
// wires: packages takeover and tsdb/inspect do the work.
package folder
