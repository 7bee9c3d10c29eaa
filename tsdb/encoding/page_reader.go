package encoding

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"
)

// columnPlace is where a column of a page begins.
type columnPlace struct {
	head, payload uint32
	rows          uint32
	told          bool // Another column is told by its differences.
}

// Page is the heads of columns that lie together: what one must know to decode any of them
// from the payload. It does not change, and any number of goroutines may use it.
type Page struct {
	heads       []byte
	columns     []columnPlace
	payloadSize int
}

// OpenPage reads what PageWriter.AppendHeads wrote. It keeps heads, which must not be changed
// any more.
func OpenPage(heads []byte) (*Page, error) {
	n, src, err := readUvarint(heads, "number of columns")
	if err != nil {
		return nil, err
	}
	// A head takes a byte at least.
	if n > MaxPageColumns || n > uint64(len(src)) {
		return nil, corruptf("page: %d columns in %d bytes", n, len(src))
	}
	p := &Page{columns: make([]columnPlace, 0, n)}
	rest, err := p.read(src, int(n))
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, corruptf("page: %d bytes behind the last head", len(rest))
	}
	return p, nil
}

// read reads the heads of n columns.
func (p *Page) read(src []byte, n int) (rest []byte, err error) {
	p.heads, p.columns, p.payloadSize = src, p.columns[:0], 0
	rest = src
	before := -1
	var c column
	for number := range n {
		place := columnPlace{head: uint32(len(src) - len(rest)), payload: uint32(p.payloadSize)}
		if rest, err = c.read(rest, before); err != nil {
			return nil, err
		}
		place.rows, before = uint32(c.rows), c.rows
		p.columns = append(p.columns, place)
		neighbour := c.neighbour()
		if c.duplicate() > number || neighbour > number {
			return nil, corruptf("page: column %d refers to one before the first", number)
		}
		if neighbour > 0 {
			p.columns[number-neighbour].told = true
		}
		if p.payloadSize += c.payload; p.payloadSize > math.MaxUint32 {
			return nil, corruptf("page: payload of %d bytes", p.payloadSize)
		}
	}
	p.heads = src[:len(src)-len(rest)]
	return rest, nil
}

// Columns returns the number of columns.
func (p *Page) Columns() int { return len(p.columns) }

// PayloadSize is the length of the payload of the page.
func (p *Page) PayloadSize() int { return p.payloadSize }

// MemorySize is how many bytes of memory the page holds, the heads that OpenPage was given
// included.
func (p *Page) MemorySize() int {
	return int(unsafe.Sizeof(*p)) + cap(p.heads) + cap(p.columns)*int(unsafe.Sizeof(columnPlace{}))
}

// Rows returns the number of rows of a column of the page.
func (p *Page) Rows(number int) int { return int(p.columns[number].rows) }

// Constant says whether a column of the page is stored as the same bits in every row, and
// gives the value. An empty column is not.
func (p *Page) Constant(number int) (v float64, ok bool) {
	place := p.columns[number]
	if p.heads[place.head]&kindMask > kindConstantDecimal || place.rows == 0 {
		return 0, false
	}
	var c column
	err := p.column(&c, number)
	return c.float(0), err == nil
}

// column reads the head of a column.
func (p *Page) column(c *column, number int) error {
	place := &p.columns[number]
	_, err := c.read(p.heads[place.head:], int(place.rows))
	return err
}

// open reads the head of a column and finds its part of the payload, behind the main stream, and
// where the main stream begins, whose blocks may be those of another column.
func (p *Page) open(c *column, payload []byte, number int) (own, main []byte, err error) {
	if len(payload) < p.payloadSize {
		return nil, nil, corruptf("page: payload of %d bytes, want %d", len(payload), p.payloadSize)
	}
	if err = p.column(c, number); err != nil {
		return nil, nil, err
	}
	main = payload[p.columns[number].payload:]
	own = main[c.mainBytes:]
	if d := c.duplicate(); d > 0 {
		var o column
		if err := p.column(&o, number-d); err != nil {
			return nil, nil, err
		}
		if o.rows != c.rows || o.isConstant() || len(o.main.blocks) == 0 {
			return nil, nil, corruptf("page: column %d has the blocks of column %d, which has none", number, number-d)
		}
		c.main.blocks, main = o.main.blocks, payload[p.columns[number-d].payload:]
	}
	return own, main, nil
}

// Decoder decodes columns of pages. It belongs to one goroutine; the zero value is ready. It
// remembers the last column that others are told by, so that the buckets of a histogram are
// decoded one after the other without decoding each several times. The page and its payload
// must therefore be as they are until another page is given to it, or Reset is called.
type Decoder struct {
	main, second streamDecoder
	column       column // What is decoded.

	page       *Page // Of the integers kept; nil if there are none.
	number     int   // Their column.
	integersOf []int64
	before     column // What is decoded for their sake.
	chain      [maxChain + 1]int
}

// Reset lets go of the last page.
func (d *Decoder) Reset() {
	d.page = nil
	d.main.src, d.main.blocks = nil, nil
	d.second.src, d.second.blocks = nil, nil
	d.column, d.before = column{}, column{}
}

// Floats appends to dst the values of a column of the page. payload is that of the page, or
// longer.
func (d *Decoder) Floats(dst []float64, p *Page, payload []byte, number int) ([]float64, error) {
	c := &d.column
	own, main, err := p.open(c, payload, number)
	if err != nil {
		return dst, err
	}
	if c.neighbour() == 0 && !(p.columns[number].told && c.tells()) {
		return d.decode(dst, c, own, main)
	}
	integers, offset, err := d.keep(p, payload, number, main)
	if err != nil {
		return dst, err
	}
	values := growSlice(dst, c.rows)
	c.convert(values[len(dst):], integers, offset)
	if err := c.patch(values[len(dst):], own); err != nil {
		return dst, err
	}
	return values, nil
}

// integers is Floats for a column of integers.
func (d *Decoder) integers(dst []int64, p *Page, payload []byte, number int) ([]int64, error) {
	c := &d.column
	_, main, err := p.open(c, payload, number)
	if err != nil {
		return dst, err
	}
	values := growSlice(dst, c.rows)
	out := values[len(dst):]
	if c.neighbour() == 0 && !(p.columns[number].told && c.tells()) {
		if err := d.ints(out, c, main); err != nil {
			return dst, err
		}
		return values, nil
	}
	integers, offset, err := d.keep(p, payload, number, main)
	if err != nil {
		return dst, err
	}
	for i, m := range integers {
		out[i] = m + offset
	}
	return values, nil
}

// ints decodes the integers of a column that needs no other. Their number is that of the rows.
func (d *Decoder) ints(out []int64, c *column, main []byte) error {
	if c.isConstant() {
		for i := range out {
			out[i] = int64(c.constant)
		}
		return nil
	}
	d.main.reset(&c.main, main, len(out))
	return d.main.all(out)
}

// decode appends the values of a column that needs no other. own is its payload behind the
// main stream, and main begins with that.
func (d *Decoder) decode(dst []float64, c *column, own, main []byte) ([]float64, error) {
	values := growSlice(dst, c.rows)
	out := values[len(dst):]
	if c.isConstant() {
		fill(out, c.float(0))
		return values, nil
	}
	d.main.reset(&c.main, main, c.rows)
	var err error
	switch c.kind {
	case kindUlps:
		err = d.withUlps(out, c, own)
	case kindDictionary:
		err = d.fromDictionary(out, c, own)
	default:
		err = d.main.floats(out, c)
	}
	if err == nil {
		err = c.patch(out, own)
	}
	if err != nil {
		return dst, err
	}
	return values, nil
}

// withUlps decodes decimals and how many floats each value is away from its.
func (d *Decoder) withUlps(out []float64, c *column, own []byte) error {
	d.second.reset(&c.ulps, own, c.rows)
	p := pow10[c.exponent]
	ints, ulps := &d.main.integers, &d.second.integers
	for len(out) > 0 {
		n, err := d.main.next(ints[:])
		if err != nil {
			return err
		}
		if _, err := d.second.next(ulps[:]); err != nil {
			return err
		}
		for i, m := range ints[:n] {
			out[i] = fromOrderedBits(orderedBits(float64(m)/p) + ulps[i])
		}
		out = out[n:]
	}
	return nil
}

// fromDictionary decodes places in a dictionary, which begins own.
func (d *Decoder) fromDictionary(out []float64, c *column, own []byte) error {
	if len(own) < 8*c.dictionary {
		return corruptf("column: dictionary is cut off")
	}
	ints := &d.main.integers
	for len(out) > 0 {
		n, err := d.main.next(ints[:])
		if err != nil {
			return err
		}
		for i, m := range ints[:n] {
			if uint64(m) >= uint64(c.dictionary) {
				return corruptf("column: place %d in a dictionary of %d", m, c.dictionary)
			}
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(own[8*m:]))
		}
		out = out[n:]
	}
	return nil
}

// keep decodes the integers of the column that d.column is, whose stream begins main, and keeps
// them; for one whose differences are those of its neighbour, the neighbour's, which it returns
// with the offset. They are valid until the next call.
func (d *Decoder) keep(p *Page, payload []byte, number int, main []byte) (integers []int64, offset int64, err error) {
	c := &d.column
	if c.main.predictor != predictNeighbour {
		// The first of a histogram.
		d.page = nil
		d.integersOf = growSlice(d.integersOf[:0], c.rows)
		d.main.reset(&c.main, main, c.rows)
		if err := d.main.all(d.integersOf); err != nil {
			return nil, 0, err
		}
		d.page, d.number = p, number
		return d.integersOf, 0, nil
	}
	neighbour := number - c.neighbour()
	if err := d.decodeChain(p, payload, neighbour, c.rows); err != nil {
		return nil, 0, err
	}
	if c.main.flags&streamEmpty != 0 {
		return d.integersOf, c.main.first - d.integersOf[0], nil
	}
	d.page = nil
	d.main.reset(&c.main, main, c.rows)
	if err := d.main.all(d.integersOf); err != nil {
		return nil, 0, err
	}
	d.page, d.number = p, number
	return d.integersOf, 0, nil
}

// decodeChain decodes the integers of a column of so many rows, and first of those it is told by.
func (d *Decoder) decodeChain(p *Page, payload []byte, number, rows int) error {
	// Back to the column at hand, or to one that needs no other.
	chain := d.chain[:0]
	for at := number; d.page != p || at != d.number || len(d.integersOf) != rows; {
		c := &d.before
		if err := p.column(c, at); err != nil {
			return err
		}
		if !c.tells() || c.rows != rows || len(chain) == cap(chain) {
			return corruptf("page: a column of %d rows is told by column %d of kind %d and %d rows", rows, at, c.kind, c.rows)
		}
		chain = append(chain, at)
		distance := c.neighbour()
		if distance == 0 {
			break
		}
		at -= distance
	}
	if len(chain) == 0 {
		return nil
	}
	d.page = nil
	d.integersOf = growSlice(d.integersOf[:0], rows)
	for i := len(chain) - 1; i >= 0; i-- {
		_, main, err := p.open(&d.before, payload, chain[i])
		if err != nil {
			return err
		}
		d.main.reset(&d.before.main, main, rows)
		if err := d.main.all(d.integersOf); err != nil {
			return err
		}
	}
	d.page, d.number = p, number
	return nil
}

// convert turns integers, and what is added to each, into floats. Both have the same length.
func (c *column) convert(dst []float64, ints []int64, offset int64) {
	dst = dst[:len(ints)]
	switch {
	case c.kind == kindOrderedBits:
		for i, o := range ints {
			dst[i] = fromOrderedBits(o + offset)
		}
	case c.exponent == 0:
		for i, m := range ints {
			dst[i] = float64(m + offset)
		}
	case c.kind == kindMultiple:
		p := invPow10[c.exponent]
		for i, m := range ints {
			dst[i] = float64(m+offset) * p
		}
	default:
		p := pow10[c.exponent]
		for i, m := range ints {
			dst[i] = float64(m+offset) / p
		}
	}
}

// fill sets all of dst. Copying what is set already is faster than one after the other.
func fill(dst []float64, v float64) {
	n := min(16, len(dst))
	for i := range dst[:n] {
		dst[i] = v
	}
	for n < len(dst) {
		n += copy(dst[n:], dst[:n])
	}
}

// growSlice lengthens s by n elements whose content is not defined.
func growSlice[T any](s []T, n int) []T {
	return slices.Grow(s, n)[:len(s)+n]
}
