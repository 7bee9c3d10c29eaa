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
	for number := range n {
		place := columnPlace{head: uint32(len(src) - len(rest)), payload: uint32(p.payloadSize)}
		var c column
		if c, rest, err = readColumn(rest, before); err != nil {
			return nil, err
		}
		place.rows, before = uint32(c.rows), c.rows
		p.columns = append(p.columns, place)
		if c.main.duplicate > number || (c.main.predictor == predictNeighbour && c.main.param > int64(number)) {
			return nil, corruptf("page: column %d refers to one before the first", number)
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
	c, err := p.column(number)
	return c.value(), err == nil
}

// column reads the head of a column.
func (p *Page) column(number int) (column, error) {
	place := p.columns[number]
	c, _, err := readColumn(p.heads[place.head:], int(place.rows))
	return c, err
}

// open reads the head of a column and finds its part of the payload, and that of its main
// stream, whose blocks may be those of another column.
func (p *Page) open(payload []byte, number int) (c column, own, main []byte, err error) {
	if len(payload) < p.payloadSize {
		return c, nil, nil, corruptf("page: payload of %d bytes, want %d", len(payload), p.payloadSize)
	}
	if c, err = p.column(number); err != nil {
		return c, nil, nil, err
	}
	own = payload[p.columns[number].payload:]
	main = own
	if c.main.flags&streamDuplicate != 0 {
		of := number - c.main.duplicate
		o, err := p.column(of)
		if err != nil {
			return c, nil, nil, err
		}
		if o.rows != c.rows || o.main.blocks == nil {
			return c, nil, nil, corruptf("page: column %d has the blocks of column %d, which has none", number, of)
		}
		c.main.blocks, main = o.main.blocks, payload[p.columns[of].payload:]
	}
	return c, own[c.mainBytes:], main, nil
}

// Decoder decodes columns of pages. It belongs to one goroutine; the zero value is ready. It
// remembers the last column, so that the buckets of a histogram are decoded one after the
// other without decoding each several times. Do not change what it was given before the next
// page is given to it, or Reset is called.
type Decoder struct {
	main, second streamDecoder
	integersOf   []int64
	ulps         []int64
	page         *Page
	// What integersOf holds: the integers of column number, whose differences are those of
	// column same as well.
	number, same int
	chain        [maxChain + 1]int
}

// Reset lets go of the last page.
func (d *Decoder) Reset() { d.page = nil; d.main.src, d.main.blocks = nil, nil }

// Floats appends to dst the values of a column of the page. payload is that of the page, or
// longer.
func (d *Decoder) Floats(dst []float64, p *Page, payload []byte, number int) ([]float64, error) {
	c, own, main, err := p.open(payload, number)
	if err != nil {
		return dst, err
	}
	if c.main.predictor != predictNeighbour || c.isConstant() {
		return d.decode(dst, &c, own, main)
	}
	integers, err := d.integers(p, payload, number)
	if err != nil {
		return dst, err
	}
	values := growSlice(dst, c.rows)
	c.convert(values[len(dst):], integers)
	if err := c.patch(values[len(dst):], own); err != nil {
		return dst, err
	}
	return values, nil
}

// decode appends the values of a column that needs no other. own is its payload behind the
// main stream, and main begins with that.
func (d *Decoder) decode(dst []float64, c *column, own, main []byte) ([]float64, error) {
	values := growSlice(dst, c.rows)
	out := values[len(dst):]
	if c.isConstant() {
		fill(out, c.value())
		return values, nil
	}
	err := d.floats(out, c, own, main)
	if err == nil && c.count > 0 {
		err = c.patch(out, own)
	}
	if err != nil {
		return dst, err
	}
	return values, nil
}

// floats decodes a column that needs no other.
func (d *Decoder) floats(out []float64, c *column, own, main []byte) error {
	d.main.reset(c.main, main, c.rows)
	switch c.kind {
	case kindUlps:
		return d.withUlps(out, c, own)
	case kindDictionary:
		return d.fromDictionary(out, c, own)
	}
	var ints [blockRows]int64
	for len(out) > 0 {
		n, err := d.main.next(ints[:])
		if err != nil {
			return err
		}
		c.convert(out[:n], ints[:n])
		out = out[n:]
	}
	return nil
}

// withUlps decodes decimals and how many floats each value is away from its.
func (d *Decoder) withUlps(out []float64, c *column, own []byte) error {
	d.second.reset(c.ulps, own, c.rows)
	p := pow10[c.exponent]
	var ints, ulps [blockRows]int64
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
	var ints [blockRows]int64
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

// integers returns the integers of a column: those of a decimal before it is divided. They
// are valid until the next call.
func (d *Decoder) integers(p *Page, payload []byte, number int) ([]int64, error) {
	// Back to a column that needs no other, or whose differences are at hand.
	chain := d.chain[:0]
	rows := p.Rows(number)
	for at := number; ; {
		if d.page == p && (at == d.number || at == d.same) && len(d.integersOf) == rows && len(chain) > 0 {
			break
		}
		c, err := p.column(at)
		if err != nil {
			return nil, err
		}
		usable := c.kind == kindDecimal || c.kind == kindMultiple || (c.kind == kindConstantDecimal && at == number)
		if !usable || c.rows != rows || len(chain) == cap(chain) {
			return nil, corruptf("page: column %d is told by column %d of kind %d and %d rows", number, at, c.kind, c.rows)
		}
		chain = append(chain, at)
		if c.kind == kindConstantDecimal || c.main.predictor != predictNeighbour {
			break
		}
		at -= int(c.main.param)
	}
	d.page = nil
	d.integersOf = growSlice(d.integersOf[:0], rows)
	for i := len(chain) - 1; i >= 0; i-- {
		c, _, main, err := p.open(payload, chain[i])
		if err != nil {
			return nil, err
		}
		if c.kind == kindConstantDecimal {
			for i := range d.integersOf {
				d.integersOf[i] = int64(c.constant)
			}
		} else {
			d.main.reset(c.main, main, rows)
			if err := d.main.integers(d.integersOf); err != nil {
				return nil, err
			}
		}
		d.number, d.same = chain[i], chain[i]
		if c.main.predictor == predictNeighbour && c.main.flags&streamEmpty != 0 {
			d.same -= int(c.main.param)
		}
	}
	d.page = p
	return d.integersOf, nil
}

// convert turns integers into floats. Both have the same length.
func (c *column) convert(dst []float64, ints []int64) {
	dst = dst[:len(ints)]
	switch {
	case c.kind == kindOrderedBits:
		for i, o := range ints {
			dst[i] = fromOrderedBits(o)
		}
	case c.exponent == 0:
		for i, m := range ints {
			dst[i] = float64(m)
		}
	case c.kind == kindMultiple:
		p := invPow10[c.exponent]
		for i, m := range ints {
			dst[i] = float64(m) * p
		}
	default:
		p := pow10[c.exponent]
		for i, m := range ints {
			dst[i] = float64(m) / p
		}
	}
}

func fill(dst []float64, v float64) {
	for i := range dst {
		dst[i] = v
	}
}

// growSlice lengthens s by n elements whose content is not defined.
func growSlice[T any](s []T, n int) []T {
	return slices.Grow(s, n)[:len(s)+n]
}
