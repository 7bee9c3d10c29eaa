package encoding

import (
	"encoding/binary"
	"math"

	"github.com/prometheus/prometheus/model/value"
)

// Parts of the first byte of a column's head; they never change.
const (
	kindMask      = 0x07
	columnRows    = 0x08 // The number of rows follows; else it is that of the column before.
	exponentShift = 4
)

// staleBits are the bits of the marker of a series that ended.
const staleBits = value.StaleNaN

// column is the head of a column.
type column struct {
	form
	rows       int
	constant   uint64 // Of a constant: the float's bits, or the decimal.
	main, ulps stream
	dictionary int
	exceptions []byte // Their rows.
	count      int    // Of exceptions.
	others     int    // Exceptions whose bits are in the payload.

	// Lengths in the payload: of the main stream, 0 of a duplicate, and of all of it.
	mainBytes, payload int
}

func (c *column) isConstant() bool { return c.kind <= kindConstantDecimal }

// tells says that other columns may be told by the differences of its integers, and it by those
// of others.
func (c *column) tells() bool { return c.kind == kindDecimal || c.kind == kindMultiple }

// float is the float that an integer of the column tells. That of a constant column is its
// value, whatever the integer.
func (c *column) float(m int64) float64 {
	switch c.kind {
	case kindConstantBits:
		return math.Float64frombits(c.constant)
	case kindConstantDecimal:
		return FromDecimal(int64(c.constant), int(c.exponent))
	case kindOrderedBits:
		return fromOrderedBits(m)
	case kindMultiple:
		return float64(m) * invPow10[c.exponent]
	default:
		return FromDecimal(m, int(c.exponent))
	}
}

// appendColumnHead appends what every head begins with. before is the number of rows of the
// column before, −1 if there is none.
func appendColumnHead(dst []byte, f form, rows, before int) []byte {
	b := f.kind | f.exponent<<exponentShift
	if rows == before {
		return append(dst, b)
	}
	return binary.AppendUvarint(append(dst, b|columnRows), uint64(rows))
}

// read reads the head of a column; before is as for appendColumnHead. The streams of a
// constant column are not set.
func (c *column) read(src []byte, before int) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, corruptf("column: no header left")
	}
	head := src[0]
	c.kind, c.exponent, c.rows, src = head&kindMask, head>>exponentShift, before, src[1:]
	c.count, c.others, c.mainBytes, c.payload = 0, 0, 0, 0
	if c.kind >= kinds || c.exponent > MaxExponent {
		return nil, corruptf("column: header %#x", head)
	}
	if head&columnRows != 0 {
		if c.rows, src, err = readRows(src, "column"); err != nil {
			return nil, err
		}
	}
	if c.rows < 0 || (c.rows == 0 && c.kind != kindConstantBits) {
		return nil, corruptf("column: %d rows of kind %d", c.rows, c.kind)
	}
	switch {
	case c.rows == 0:
		return src, nil
	case c.kind == kindConstantBits:
		c.constant, rest, err = readUint64(src, "constant")
		return rest, err
	case c.kind == kindConstantDecimal:
		m, rest, err := readSvarint(src, "constant")
		c.constant = uint64(m)
		return rest, err
	}
	return c.readStreams(src)
}

// readStreams reads the head of a column that is not constant.
func (c *column) readStreams(src []byte) (rest []byte, err error) {
	if src, c.mainBytes, err = c.main.read(src, c.rows); err != nil {
		return nil, err
	}
	if c.main.predictor == predictNeighbour && !c.tells() {
		return nil, corruptf("column: neighbour of kind %d", c.kind)
	}
	c.payload = c.mainBytes
	switch c.kind {
	case kindUlps:
		size := 0
		if src, size, err = c.ulps.read(src, c.rows); err != nil {
			return nil, err
		}
		if c.ulps.flags&(streamDuplicate|streamExceptions) != 0 || c.ulps.predictor == predictNeighbour {
			return nil, corruptf("column: ulps of predictor %d and flags %#x", c.ulps.predictor, c.ulps.flags)
		}
		c.payload += size
	case kindDictionary:
		if len(src) == 0 || src[0] == 0 || src[0] > maxDictionary {
			return nil, corruptf("column: size of the dictionary")
		}
		c.dictionary, src = int(src[0]), src[1:]
		c.payload += 8 * c.dictionary
	}
	if c.main.flags&streamExceptions == 0 {
		return src, nil
	}
	count, rest, err := readUvarint(src, "exceptions")
	if err != nil {
		return nil, err
	}
	if count == 0 || count > uint64(c.rows) {
		return nil, corruptf("column: %d exceptions in %d rows", count, c.rows)
	}
	c.exceptions, c.count = rest, int(count)
	for range count {
		var gap uint64
		if gap, rest, err = readUvarint(rest, "exception"); err != nil {
			return nil, err
		}
		c.others += int(gap & 1)
	}
	c.payload += 8 * c.others
	return rest, nil
}

// duplicate is how many columns before this one the column with its blocks is; 0 if it has its
// own.
func (c *column) duplicate() int {
	if c.isConstant() || c.main.flags&streamDuplicate == 0 {
		return 0
	}
	return c.main.duplicate
}

// neighbour is how many columns before this one its neighbour is; 0 if it has none.
func (c *column) neighbour() int {
	if c.isConstant() || c.main.predictor != predictNeighbour {
		return 0
	}
	return int(c.main.param)
}

// appendExceptions appends the rows of exceptions to a head and their bits to a payload.
func appendExceptions(head, payload []byte, values []float64, rows []int) (h, p []byte) {
	head = binary.AppendUvarint(head, uint64(len(rows)))
	next := 0
	for _, row := range rows {
		gap := uint64(row-next) << 1
		next = row + 1
		if b := math.Float64bits(values[row]); b != staleBits {
			gap |= 1
			payload = binary.LittleEndian.AppendUint64(payload, b)
		}
		head = binary.AppendUvarint(head, gap)
	}
	return head, payload
}

// patch puts the exceptions into the values; payload is that behind the main stream.
func (c *column) patch(values []float64, payload []byte) error {
	if c.count == 0 {
		return nil
	}
	payload = payload[c.payload-c.mainBytes-8*c.others:]
	src, row := c.exceptions, uint64(0)
	for range c.count {
		gap, rest, err := readUvarint(src, "exception")
		if err != nil {
			return err
		}
		src = rest
		if gap>>1 >= uint64(len(values)) || row+gap>>1 >= uint64(len(values)) {
			return corruptf("column: exception %d rows after row %d, of %d", gap>>1, row, len(values))
		}
		row += gap >> 1
		bits := uint64(staleBits)
		if gap&1 != 0 {
			if bits, payload, err = readUint64(payload, "exception"); err != nil {
				return err
			}
		}
		values[row] = math.Float64frombits(bits)
		row++
	}
	return nil
}
