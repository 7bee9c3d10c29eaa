// Package compact decides which blocks to join, and joins them.
//
// [Plan] is a pure function of the blocks there are. [Merge] reads blocks and
// writes the one that takes their place, series by series: it holds one series
// in memory, and the block's writer those of a frame. The higher the level, the
// harder it compresses. It lets other goroutines run between series. None of it
// knows who owns the blocks or when to act.
package compact
