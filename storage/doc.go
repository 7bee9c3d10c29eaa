// Package storage is the contract between the rooms of Gnomon: labels and rows
// in, columns out. It holds no implementation. tsdb implements it; scrape,
// alerting and web write and read through it; package storagetest has the
// conformance suite that every implementation passes and a small map-based
// model that defines what the suite means.
//
// # Writing
//
// A scrape produces about a thousand samples at one instant. They enter as one
// [Row] of a [Group]: the group's series are its columns, the row has one
// timestamp and one value per column. What does not arrive in rows (samples
// with timestamps of their own, remote writes of single samples, back-filled
// data) enters through an [Appender], sample by sample.
//
// The identity of a series is its label set, nothing else. The same series may
// be a column of several groups, at the same time or one after the other, and
// may get single samples as well: readers see one series with the union of its
// samples.
//
// # Order
//
// The samples of a series are ordered by time and there is at most one per
// timestamp. A sample older than the newest one that its series ever got is out
// of order. A store opened without an out-of-order window refuses it with
// [ErrOutOfOrder]; one with a window takes it if it is at most that much older
// than the newest sample of the whole store, and else refuses it with
// [ErrTooOld]. Writing the newest sample of a series again, or a late one inside
// the window, succeeds and changes nothing if the bits are the same, and is
// refused with [ErrDuplicateSample] if they are not. A refused sample leaves the
// others of its row or transaction alone.
//
// A deletion forgets samples, not the order: what is older than the newest
// deleted sample stays out of order.
//
// # Counter resets
//
// A native histogram is kept with the counter reset hint of [ResetHint], worked
// out from the sample before it. Where a store lost track of that sample (late
// data came in between, a deletion), it says that the hint is unknown.
//
// # Reading
//
// A [Querier] is a snapshot: it sees every row and every transaction that was
// appended before it was opened, whole, and may or may not see later ones, but
// each of them whole or not at all. A series is read as a sequence of [Batch],
// in ascending order of time, not overlapping. Batches that share a timeline
// say so, so that a reader computes window bounds once for all series of a
// target.
//
// # Ownership
//
// Slices passed in belong to the caller, who may reuse them as soon as the call
// returns. Slices handed out in a batch belong to the store: the timestamps are
// immutable until the querier is closed, the values are valid until the next
// call of Next on the same iterator. label sets, once handed out, are immutable
// and live as long as somebody holds them.
//
// # Durability
//
// When AppendRow or Commit returns nil, the samples have been handed to the
// operating system: killing the process loses nothing. Whether losing power
// does is the implementation's option.
//
// # Tenants
//
// A [Store] is one tenant's data. The tenant is a parameter of opening
// ([Opener]), never a global and never a label.
package storage
