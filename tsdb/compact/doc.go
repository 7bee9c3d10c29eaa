// Package compact decides which blocks to join, and joins them.
//
// [Plan] is a pure function of the blocks there are. [Merge] reads blocks and
// writes the one that takes their place, series by series, holding one series
// in memory at a time. Neither knows who owns the blocks or when to act.
package compact
