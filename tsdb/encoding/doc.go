// Package encoding turns the values of a column, the timestamps of a timeline and native
// histograms into bytes and back, lossless to the bit: NaN payloads (the staleness marker is
// one), ±Inf, −0 and denormals included.
//
// It knows neither files nor checksums: a package that stores what is encoded here puts a
// checksum over it. Decoding checks everything nevertheless, never panics, and allocates no
// more than the limits below allow, so that bytes from anywhere can be given to it.
//
// The functions come in pairs, AppendX and DecodeX. AppendX appends to dst and returns it;
// DecodeX appends the decoded values to dst and returns the rest of src. Errors wrap
// ErrCorrupt; dst is then returned as it was given. All functions may be called from any
// number of goroutines; slices passed in are not kept, and slices returned share no memory
// with src.
//
// # Limits
//
// An encoded vector has at most MaxRows rows. An encoded histogram column has at most
// MaxHistogramValues numbers. Because a constant column of any length takes a few bytes,
// these limits are what bounds the memory of decoding.
//
// # Formats
//
// Numbers are little-endian. "uvarint" is the unsigned variable-length integer of
// encoding/binary; "svarint" is a uvarint of the zigzag form (n<<1 ^ n>>63). Arithmetic on
// integers wraps at 64 bits, in both directions, so there is no overflow.
//
// # Packed block
//
// Residuals are unsigned 64-bit numbers, in blocks of 128; the last block of a stream is
// shorter. The number of residuals is known from outside.
//
//	byte 0      bits 0-5  width w: 0 to 56, or 57, which means 64
//	            bit 6     0
//	            bit 7     exceptions follow the words; not with width 64
//	ceil(m*w/8) bytes     the low w bits of the m residuals, residual i at bit i*w
//	if bit 7 is set:
//	  1 byte              number of exceptions, k, 1 to m
//	  k bytes             their positions, ascending
//	  k uvarints          their bits from w upwards, none of them 0
//
// # Integer stream
//
// Of n > 0 numbers, n known from outside:
//
//	byte 0    mode
//	0 constant   svarint value
//	1 ramp       svarint first, svarint step:       value i is first + i*step
//	2 frame      svarint min, n residuals:          value i is min + residual
//	3 delta      svarint first, n-1 residuals:      value i is value i-1 + unzigzag(residual)
//	4 delta-min  svarint first, svarint min, n-1:   value i is value i-1 + min + residual
//	5 delta²     svarint first, svarint delta, n-2: delta i is delta i-1 + unzigzag(residual)
//	6 grid       svarint first, svarint step, n-1:  value i is first + i*step + unzigzag(residual)
//
// The smallest is taken, by exact size, of the three modes whose residuals have the fewest
// significant bits.
//
// # Times
//
// Timelines, and start timestamps: int64 milliseconds, in any order.
//
//	uvarint n, at most MaxRows
//	integer stream, if n > 0
//
// # Floats
//
//	byte 0      bits 0-2  kind
//	            bit 3     exceptions follow the stream
//	            bits 4-7  decimal exponent e, 0 to 14
//	uvarint n, at most MaxRows
//	kind 0 constant bits     8 bytes, the float's bits; absent if n is 0
//	kind 1 constant decimal  svarint m: the value is float64(m) / 10^e
//	kind 2 decimal           integer stream: value i is float64(m) / 10^e
//	kind 3 multiple          integer stream: value i is float64(m) * 10^-e, 10^-e rounded to a float
//	kind 4 ordered bits      integer stream of the float's bits b, mapped so that the order of
//	                         the integers is the order of the floats: b if the sign bit
//	                         is 0, b ^ 0x7fff_ffff_ffff_ffff otherwise
//	exceptions (kinds 2 and 3): uvarint count k, 1 to n, then k times
//	  uvarint  row, minus one more than the row of the exception before (the first: the row)
//	  8 bytes  the float's bits
//
// A decimal of kind 1 to 3 was checked bit for bit when it was encoded; |m| is at most 2^53.
// At the row of an exception the stream repeats the value before.
//
// # Histogram columns
//
//	byte 0      1 integer, 2 float histograms
//	uvarint n, at most MaxRows
//	runs of rows with equal layout, until n rows:
//	  uvarint rows r, at least 1
//	  layout:
//	    svarint schema
//	    8 bytes zero threshold, a float's bits
//	    spans, positive and then negative: uvarint count, then (svarint offset, uvarint length) each
//	    custom values: uvarint count, then 8 bytes each
//	    uvarint number of positive buckets, uvarint number of negative buckets
//	  integer stream of r counter reset hints (0 to 3)
//	  integer histograms:
//	    integer streams of r counts, r zero counts; floats (as above) of r sums;
//	    an integer stream per bucket, positive and then negative, of absolute counts
//	  float histograms:
//	    floats of r counts, of r zero counts, of r sums, and of each bucket
//
// # Single histogram
//
// For the log, where there is no column yet:
//
//	byte 0      bits 0-1  1 integer, 2 float
//	            bits 2-3  counter reset hint
//	layout      as above
//	integer:    uvarint count, uvarint zero count, 8 bytes sum,
//	            an svarint per bucket: positive and then negative, as in the histogram (differences)
//	float:      8 bytes each: count, zero count, sum, buckets
//
// # Versions
//
// The numbers above (kinds, modes) never change their meaning; a new codec takes a new
// number. The files that store encoded columns carry a version, and an unknown number is
// ErrCorrupt.
//
//	version  introduced                                            golden file
//	1        everything above                                      testdata/golden_v1.txt
package encoding
