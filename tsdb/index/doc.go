// Package index finds series by their labels.
//
// [Postings] is what head and block both offer: for a label, the bitmap of the series that
// have it. [Select], [LabelNames] and [LabelValues] evaluate matchers over it.
// [MemPostings] is the head's implementation, over a [Symbols] table that holds each label
// string once. [LabelSets] holds label sets as symbols, in two parts that series share, and
// [Order] puts them in order; a [Table] finds any of these by its hash. The block's
// implementation of Postings lies with its file format in package block.
//
// The index knows series as uint32 numbers, dense and chosen by its owner, and nothing
// about their samples.
//
// # Concurrency
//
// Symbols, LabelSets and MemPostings may be used from any number of goroutines, readers and writers.
// Readers of one label name do not disturb writers of another, and a regular expression is
// matched against a snapshot of the values, outside of any lock. A series that is being
// added is found by a Select entirely or not at all: Add puts it into the set of all series
// last, Remove takes it out first, and Select starts from that set.
//
// Bitmaps that are returned belong to the caller.
package index
