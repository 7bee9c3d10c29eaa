// Package storagetest holds the conformance suite of the storage contract and a
// map-based model of a store.
//
// [Run] drives any [storage.Store] through the contract: what a row and a
// transaction do, what a querier sees, what is refused and why, what survives a
// restart. An implementation runs it in one test of its own. [Model] is the
// smallest store that passes: maps under one lock, no compression, no files. It
// defines what the suite means, serves other rooms' tests as a store, and is
// the twin that random operations compare a real store with ([RunRandom]).
package storagetest
