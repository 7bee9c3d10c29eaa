// Package rollup makes and reads rollups: blocks that have, instead of the
// samples of a series, a bucket for each five minutes or each hour.
//
// A bucket (storage.Bucket) has what range functions need to know of the samples
// with end-resolution < t <= end: how many there are, the first and the last with
// their times, least and greatest value, the sum, and the sum of the values before
// counter resets. Buckets next to each other merge into one without loss but for
// the rounding of sums, which is why a coarser rollup can be made of a finer one,
// and a window be put together from hours, five minutes and, at its edges,
// samples.
//
//	survey  which times rollups know everything of: a pure function of the blocks
//	plan    from where to read windows: a pure function of that
//	due     which rollup to make next: another one
//	cells   buckets of windows, filled in order of time
//	codec   buckets as bytes
//	read    series of several places, put together
//	write   a rollup as a block
//
// # What a rollup knows
//
// The meta.json of a rollup names, as its sources, the blocks of level 1 whose
// samples went into it, directly or through a finer rollup. Blocks of samples name
// their sources with the ranges: one that overlaps the rollup and is unknown to it
// came later. Where it reaches, samples are read, and the rollup is made anew. A source that is in no block any
// more is gone by retention: up to there the rollup is all there is. A deletion
// marks the rollup like any block; a bucket of which a part was deleted is read
// from the samples or, if they are gone, is left out.
//
// # Native histograms
//
// are counted, not rolled up: their sums are exact only as long as layouts do not
// change, and a query that finds one in a bucket reads samples instead.
//
// # Format
//
// A rollup is a block (package block) with resolutionMillis in its meta.json,
// times of minTime to maxTime-1, both of them aligned to the resolution plus one,
// and chunks of kind 3 only, without presence and start timestamps. The timeline
// of a chunk has the ends of its buckets. Its values, all with as many rows:
//
//	encoding.AppendTimes of
//	  float samples
//	  histogram samples
//	  first time minus the begin of the bucket
//	  end of the bucket minus last time
//	for each of first, last, least, greatest value, values before resets, sum:
//	  byte    255, or the number of an earlier column of this list, counted from 0,
//	          that has the same values, to the bit
//	  if 255: encoding.AppendFloats
//
// A bucket without float samples has zeros but for its histogram samples.
//
// # Versions
//
//	version  introduced           golden file
//	1        everything above     testdata/golden_v1.txt
//
// # Concurrency
//
// State and Plan are immutable. Set, Encoder and Decoder belong to one goroutine.
package rollup
