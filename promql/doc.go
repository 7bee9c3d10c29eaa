// Package promql evaluates PromQL over a storage.Queryable.
//
// [Engine] is what the rest of Gnomon sees: instant and range queries in,
// results, annotations and statistics out. It is safe for concurrent use.
//
// For now the evaluation is borrowed: borrowed.go holds the upstream engine and
// the adapter that shows our storage in upstream's shape, and nothing outside
// of that file knows of it.
package promql
