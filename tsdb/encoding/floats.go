package encoding

import (
	"encoding/binary"
	"math"
)

// Kinds of a float column; they never change.
const (
	kindConstantBits = iota
	kindConstantDecimal
	kindDecimal
	kindMultiple
	kindOrderedBits

	kindMask        = 0x07
	kindExceptions  = 0x08
	kindExponentBit = 4
)

// AppendFloats appends a column of floats: any bits, at most MaxRows of them.
func AppendFloats(dst []byte, values []float64) []byte {
	checkRows(len(values))
	if isConstant(values) {
		return appendConstant(dst, values)
	}
	sc := getScratch()
	defer putScratch(sc)

	e, decimals := chooseExponent(values)
	if decimals > len(values)/2 {
		sc.best = appendDecimals(sc.best[:0], values, kindDecimal, e, sc)
	} else {
		sc.best = sc.best[:0]
	}
	if lower := lowerExponent(values, e); lower >= 0 {
		sc.try = appendDecimals(sc.try[:0], values, kindDecimal, lower, sc)
		sc.keepSmaller()
	}
	// Decimals without exceptions and with few digits are never beaten by bits.
	if decimals == len(values) && e <= 6 {
		return append(dst, sc.best...)
	}
	if decimals < len(values) {
		if e, n := chooseMultiple(values); n > 0 {
			sc.try = appendDecimals(sc.try[:0], values, kindMultiple, e, sc)
			sc.keepSmaller()
		}
	}
	sc.try = appendOrdered(sc.try[:0], values, sc)
	sc.keepSmaller()
	return append(dst, sc.best...)
}

// keepSmaller makes the try the best if it is smaller.
func (sc *scratch) keepSmaller() {
	if len(sc.best) == 0 || len(sc.try) < len(sc.best) {
		sc.best, sc.try = sc.try, sc.best
	}
}

func isConstant(values []float64) bool {
	if len(values) == 0 {
		return true
	}
	first := math.Float64bits(values[0])
	for _, v := range values[1:] {
		if math.Float64bits(v) != first {
			return false
		}
	}
	return true
}

func appendColumnHeader(dst []byte, kind, exponent, n int) []byte {
	dst = append(dst, byte(kind|exponent<<kindExponentBit))
	return binary.AppendUvarint(dst, uint64(n))
}

func appendConstant(dst []byte, values []float64) []byte {
	if len(values) == 0 {
		return appendColumnHeader(dst, kindConstantBits, 0, 0)
	}
	if e := minExponent(values[0], 0); e >= 0 {
		m, _ := decimalAt(values[0], e)
		if zigzag(m) < 1<<49 { // Up to 7 bytes; otherwise the bits are as short.
			return appendSvarint(appendColumnHeader(dst, kindConstantDecimal, e, len(values)), m)
		}
	}
	dst = appendColumnHeader(dst, kindConstantBits, 0, len(values))
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(values[0]))
}

// appendDecimals appends a column of kind decimal or multiple; what does not fit is an exception.
func appendDecimals(dst []byte, values []float64, kind, e int, sc *scratch) []byte {
	sc.ints, sc.exception = growSlice(sc.ints[:0], len(values)), sc.exception[:0]
	at := decimalAt
	if kind == kindMultiple {
		at = multipleAt
	}
	prev, row := int64(0), 0
	if kind == kindDecimal && e == 0 {
		// As far as possible without calls: most columns are integers to the end.
		for ; row < len(values); row++ {
			m, ok := integerAt(values[row])
			if !ok {
				break
			}
			sc.ints[row] = m
			prev = m
		}
	}
	for ; row < len(values); row++ {
		m, ok := at(values[row], e)
		if !ok {
			sc.exception = append(sc.exception, row)
			m = prev
		}
		sc.ints[row] = m
		prev = m
	}
	// Exceptions at the start repeat the first value that is none, so that they cost nothing
	// in the stream.
	lead := 0
	for lead < len(sc.exception) && sc.exception[lead] == lead {
		lead++
	}
	for i := range min(lead, len(values)-1) {
		sc.ints[i] = sc.ints[min(lead, len(values)-1)]
	}
	if len(sc.exception) > 0 {
		kind |= kindExceptions
	}
	dst = appendInts(appendColumnHeader(dst, kind, e, len(values)), sc.ints, sc)
	return appendFloatExceptions(dst, values, sc.exception)
}

func appendFloatExceptions(dst []byte, values []float64, rows []int) []byte {
	if len(rows) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(rows)))
	next := 0
	for _, row := range rows {
		dst = binary.AppendUvarint(dst, uint64(row-next))
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(values[row]))
		next = row + 1
	}
	return dst
}

func appendOrdered(dst []byte, values []float64, sc *scratch) []byte {
	sc.ints = sc.ints[:0]
	for _, v := range values {
		sc.ints = append(sc.ints, orderedBits(v))
	}
	return appendInts(appendColumnHeader(dst, kindOrderedBits, 0, len(values)), sc.ints, sc)
}

// columnHeader is the head of a float column.
type columnHeader struct {
	kind       int
	exponent   int
	exceptions bool
	rows       int
}

func readColumnHeader(src []byte) (h columnHeader, rest []byte, err error) {
	if len(src) == 0 {
		return h, nil, corruptf("float column: no header left")
	}
	h.kind = int(src[0] & kindMask)
	h.exponent = int(src[0] >> kindExponentBit)
	h.exceptions = src[0]&kindExceptions != 0
	isDecimal := h.kind == kindDecimal || h.kind == kindMultiple
	if h.kind > kindOrderedBits || h.exponent > MaxExponent ||
		(h.exceptions && !isDecimal) || (h.exponent > 0 && !isDecimal && h.kind != kindConstantDecimal) {
		return h, nil, corruptf("float column: header %#x", src[0])
	}
	h.rows, rest, err = readRows(src[1:], "float column")
	if err == nil && h.rows == 0 && h.kind != kindConstantBits {
		err = corruptf("float column: no rows of kind %d", h.kind)
	}
	return h, rest, err
}

// readConstant reads the value of a constant column of one row or more.
func readConstant(h columnHeader, src []byte) (v float64, rest []byte, err error) {
	if h.kind == kindConstantBits {
		u, rest, err := readUint64(src, "constant")
		return math.Float64frombits(u), rest, err
	}
	m, rest, err := readSvarint(src, "constant")
	return float64(m) / pow10[h.exponent], rest, err
}

// Constant says whether the column that src begins with has the same bits in every row, and
// gives the value and the number of rows, without decoding the column. A column that is not
// encoded as a constant, or is corrupt, or empty, is not ok.
func Constant(src []byte) (v float64, rows int, ok bool) {
	h, src, err := readColumnHeader(src)
	if err != nil || h.rows == 0 || h.kind > kindConstantDecimal {
		return 0, 0, false
	}
	v, _, err = readConstant(h, src)
	return v, h.rows, err == nil
}

// FloatRows returns the number of rows of the float column that src begins with.
func FloatRows(src []byte) (int, error) {
	h, _, err := readColumnHeader(src)
	return h.rows, err
}

// DecodeFloats appends to dst what AppendFloats wrote, and returns the rest of src.
func DecodeFloats(dst []float64, src []byte) (values []float64, rest []byte, err error) {
	h, src, err := readColumnHeader(src)
	if err != nil {
		return dst, nil, err
	}
	if h.rows == 0 {
		return dst, src, nil
	}
	if h.kind <= kindConstantDecimal {
		v, src, err := readConstant(h, src)
		if err != nil {
			return dst, nil, err
		}
		values = growSlice(dst, h.rows)
		fill(values[len(dst):], v)
		return values, src, nil
	}
	sc := getScratch()
	defer putScratch(sc)
	if err := sc.reader.reset(src, h.rows); err != nil {
		return dst, nil, err
	}
	values = growSlice(dst, h.rows)
	if err := decodeRows(values[len(dst):], h, &sc.reader); err != nil {
		return dst, nil, err
	}
	rest = sc.reader.src
	if h.exceptions {
		if rest, err = readFloatExceptions(values[len(dst):], rest); err != nil {
			return dst, nil, err
		}
	}
	return values, rest, nil
}

func fill(dst []float64, v float64) {
	for i := range dst {
		dst[i] = v
	}
}

// decodeRows decodes a stream into floats, a block at a time.
func decodeRows(dst []float64, h columnHeader, r *intReader) error {
	var block [blockRows]int64
	for len(dst) > 0 {
		ints := block[:min(blockRows, len(dst))]
		if err := r.next(ints); err != nil {
			return err
		}
		convert(dst[:len(ints)], ints, h)
		dst = dst[len(ints):]
	}
	return nil
}

// convert turns the integers of a block into floats. len(dst) is len(ints).
func convert(dst []float64, ints []int64, h columnHeader) {
	dst = dst[:len(ints)]
	switch {
	case h.kind == kindOrderedBits:
		for i, o := range ints {
			dst[i] = fromOrderedBits(o)
		}
	case h.exponent == 0:
		for i, m := range ints {
			dst[i] = float64(m)
		}
	case h.kind == kindDecimal:
		p := pow10[h.exponent]
		for i, m := range ints {
			dst[i] = float64(m) / p
		}
	default:
		p := invPow10[h.exponent]
		for i, m := range ints {
			dst[i] = float64(m) * p
		}
	}
}

func readFloatExceptions(values []float64, src []byte) (rest []byte, err error) {
	k, src, err := readUvarint(src, "float exceptions")
	if err != nil {
		return nil, err
	}
	if k == 0 || k > uint64(len(values)) {
		return nil, corruptf("float column: %d exceptions in %d rows", k, len(values))
	}
	row := uint64(0)
	for range k {
		var gap, b uint64
		if gap, src, err = readUvarint(src, "float exception"); err != nil {
			return nil, err
		}
		if gap >= uint64(len(values)) || row+gap >= uint64(len(values)) {
			return nil, corruptf("float column: exception %d rows after row %d, of %d", gap, row, len(values))
		}
		row += gap
		if b, src, err = readUint64(src, "float exception"); err != nil {
			return nil, err
		}
		values[row] = math.Float64frombits(b)
		row++
	}
	return src, nil
}
