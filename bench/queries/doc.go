// Package queries has the queries that engines are compared by, the samples that
// they are asked about, and how one is measured.
//
// It is a module of its own that needs no other, because the engines cannot all be
// linked into one program: Thanos's needs an older Prometheus than we do. Each
// program brings its [Engine]; what is measured is the same code.
package queries
