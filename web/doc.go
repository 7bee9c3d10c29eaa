// Package web is Gnomon's HTTP server: the listeners with their TLS and
// authentication, the route prefix, readiness, the life cycle, and what is
// served outside of the API: federation, metrics, profiles and, until there is
// a user interface, a status page in plain HTML.
//
// The HTTP API itself is in package [github.com/gnomonhq/gnomon/web/api], which
// also declares what the server needs from the other rooms; federation is in
// package federate.
//
// # Life
//
// [New] checks the options and builds the routes. [Server.Listen] opens the
// listeners, so that a port that is taken is known before anything else is
// started. [Server.Run] serves until its context ends and then lets running
// requests finish for a while. Meanwhile [Server.SetReady] says whether the
// storage answers: until it does, what needs the storage answers 503.
//
// All methods of [Server] but Listen and Run can be used by any number of
// goroutines.
package web
