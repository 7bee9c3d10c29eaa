// Package encoding turns the values of a column, the timestamps of a timeline and native
// histograms into bytes and back, lossless to the bit: NaN payloads (the staleness marker is
// one), ±Inf, −0 and denormals included.
//
// It knows neither files nor checksums: a package that stores what is encoded here puts a
// checksum over it. Decoding checks everything nevertheless, never panics, and allocates no
// more than the limits below allow, so that bytes from anywhere can be given to it.
//
// A column is a small head, which says what it is, and a payload, which is its packed numbers.
// A column that lies alone is the two of them, one after the other; columns that lie together
// are a page, whose heads are in one place, where they compress well, and whose payloads are in
// another, raw, so that any column can be decoded from where it lies.
//
//   - Columns that lie alone, timelines and histograms: AppendX appends to dst and returns it,
//     DecodeX appends the decoded values to dst and returns the rest of src.
//   - Columns that lie together: a [PageWriter] encodes them, a [Page] is their heads when they
//     are read, and a [Decoder] decodes those that are asked for.
//
// Errors wrap ErrCorrupt; dst is then returned as it was given. The functions, and the methods
// of Page, may be called from any number of goroutines; a PageWriter or a Decoder belongs to
// one. Slices passed in are not kept, but for the heads of a Page, and slices returned share no
// memory with src.
//
// # Limits
//
// A column has at most MaxRows rows, and a page at most MaxPageColumns columns. An encoded
// histogram column has at most MaxHistogramValues numbers. A column that is told by another one
// needs at most 32 columns decoded before it. Because a constant column of any length takes a few bytes,
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
// shorter. The number m of residuals in a block is known from outside. A block has a header, in
// the head of its column, and packed numbers, in the payload. n numbers packed in w bits are
// ceil(n*w/8) bytes: number i at bit i*w, the lowest bit of a byte first, 0 behind the last.
//
//	byte 0   bits 0-5  width w: 0 to 56, or 57, which means 64
//	         bits 6-7  form
//	form 0   plain       the m residuals in w bits
//	form 1   exceptions  byte k, 1 to m; byte x, 1 to 49, w+x at most 64: the low w bits of the m
//	                     residuals; then k exceptions in x+7 bits: the low 7 bits are the number
//	                     of a residual, the others its bits from w upwards
//	form 2   bitmap      byte k, 1 to m: a bit per residual, in ceil(m/8) bytes, that says whether
//	                     it is other than 0; then the k that are, in w bits
//
// Width 64 is of form 0 only. The form and the width are those that take the fewest bytes.
//
// # Integer stream
//
// Of n > 0 integers x, n known from outside. The head has
//
//	byte 0    bits 0-2  predictor
//	          bit 3     empty: all residuals are 0, and there are no blocks
//	          bit 4     a divisor follows
//	          bit 5     duplicate: the blocks are those of an earlier column
//	          bit 6     float exceptions follow the stream
//	          bit 7     0
//	svarint   first, x(0)
//	uvarint   divisor g, if bit 4 is set; otherwise g is 1
//	parameter of the predictor
//	uvarint   if bit 5 is set: how many columns before this one the other is
//	headers of the blocks of n-1 residuals, if neither bit 3 nor bit 5 is set
//
// and the payload has the blocks. Residual r(i) gives x(i), for i from 1:
//
//	predictor     parameter              x(i)
//	0 frame       svarint p              x(0) + g*(p + r)
//	1 delta                              x(i-1) + g*unzigzag(r)
//	2 delta-min   svarint p              x(i-1) + g*(p + r)
//	3 delta²      svarint p              x(i-1) + d(i); d(i) is d(i-1) + g*unzigzag(r), d(0) is g*p
//	4 grid        svarint p              x(0) + g*(i*p + unzigzag(r))
//	5 neighbour   uvarint distance, y    x(i-1) + y(i) - y(i-1) + g*unzigzag(r)
//
// y are the integers of the column that is so many columns before in the page. It has as many
// rows, and is of kind decimal or multiple. The blocks of a duplicate are those of the main
// stream of a column with as many rows, that has some, of any kind. Such references stay in the
// page.
//
// The predictor and the divisor are those that take the fewest bytes, by exact size.
//
// # Column
//
// The head has
//
//	byte 0    bits 0-2  kind
//	          bit 3     the number of rows follows; otherwise it is that of the column before
//	          bits 4-7  decimal exponent e, 0 to 14
//	uvarint   rows n, at most MaxRows, if bit 3 is set
//	kind 0 constant bits     8 bytes, the float's bits; absent if n is 0
//	kind 1 constant decimal  svarint m: the value is m / 10^e
//	kind 2 decimal           integer stream: value i is x(i) / 10^e
//	kind 3 multiple          integer stream: value i is x(i) * 10^-e, 10^-e rounded to a float
//	kind 4 ordered bits      integer stream of the float's bits b, mapped so that the order of
//	                         the integers is the order of the floats: b if the sign bit
//	                         is 0, b ^ 0x7fff_ffff_ffff_ffff otherwise
//	kind 5 ulps              two integer streams, x and u: value i is the float whose ordered
//	                         bits are those of x(i) / 10^e, plus u(i). u has neither a
//	                         neighbour nor a duplicate
//	kind 6 dictionary        integer stream, then byte k, 1 to 64: value i is number x(i) of the
//	                         dictionary
//	exceptions, if bit 6 of the (first) integer stream says so: uvarint count, 1 to n, then for each
//	  uvarint  bit 0: its bits are in the payload; otherwise they are those of the staleness marker
//	           the others: row, minus one more than the row of the exception before (the first:
//	           the row)
//
// and the payload has the blocks of the stream or streams, k times the 8 bytes of a float of the
// dictionary, and 8 bytes for each exception that has its bits there.
//
// A decimal of kind 1 to 3 was checked bit for bit when it was encoded; |x| is at most 2^53, but
// for timelines and histograms, whose integers are columns of kind 1 and 2 and exponent 0 and
// may be any. At the row of an exception the stream repeats the value before.
//
// A column that lies alone, and a timeline, are a head and the payload. A timeline is int64
// milliseconds, in any order; so are start timestamps.
//
// # Page
//
//	heads     uvarint number of columns, at most MaxPageColumns; the heads of the columns
//	payload   the payloads of the columns
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
//	  heads of the columns, and then their payloads, as in a page. Each has r rows:
//	    counter reset hints (0 to 3), integers
//	    integer histograms: zero counts; sums (floats); absolute counts of each bucket, positive
//	      and then negative; counts minus zero counts and buckets
//	    float histograms, floats: counts, zero counts, sums, buckets
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
// The numbers above (kinds, predictors, forms) never change their meaning; a new codec takes a new
// number. The files that store encoded columns carry a version, and an unknown number is
// ErrCorrupt.
//
//	version  introduced                                            golden file
//	1        everything above                                      testdata/golden_v1.txt
package encoding
