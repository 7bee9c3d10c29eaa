package encoding

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"
)

// PageWriter encodes columns that lie together. It belongs to one goroutine; the zero value is
// ready, and Reset makes it so again with the memory that it has.
type PageWriter struct {
	page    Page // What was appended: its heads grow.
	payload []byte

	chooser chooser
	seen    map[uint64]int32 // By the hash of their bytes: columns whose streams others may use.
	links   []link
	// last are the integers of the column appended last, if it has any that a neighbour may use.
	last       neighbour
	lastColumn int
	spare      []int64
	decoder    Decoder
	alone      bool // There will be one column only.
}

// link is how a column hangs together with others.
type link struct {
	depth uint8 // How many columns must be decoded before.
	same  int32 // The first column with the same differences, if it is told by that; or itself.
}

// maxPagePayload leaves room, in offsets of 32 bits, for the largest column.
const maxPagePayload = 1 << 30

// hashSeed is for duplicates within a page, which are compared byte for byte after.
var hashSeed = maphash.MakeSeed()

// Reset forgets all columns.
func (w *PageWriter) Reset() {
	w.page.heads, w.page.columns = w.page.heads[:0], w.page.columns[:0]
	w.payload, w.links = w.payload[:0], w.links[:0]
	w.last = neighbour{}
	w.decoder.Reset()
	clear(w.seen)
}

// Columns returns the number of columns.
func (w *PageWriter) Columns() int { return len(w.page.columns) }

// Size returns the lengths of heads and payload so far.
func (w *PageWriter) Size() (heads, payload int) { return len(w.page.heads), len(w.payload) }

// AppendHeads appends the heads of the columns so far: what OpenPage takes.
func (w *PageWriter) AppendHeads(dst []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(w.Columns())), w.page.heads...)
}

// Payload returns the payload of the columns so far. It is valid until the next call of
// another method, and not to be changed.
func (w *PageWriter) Payload() []byte { return w.payload }

// AppendFloats adds a column, of any bits and at most MaxRows rows, and returns its number in
// the page. neighbour is the number of a column that moves like this one in the same rows, as
// the next lower bucket of a histogram does; −1 if there is none. It is only a hint: the column
// is told by the neighbour's differences if that is smaller. AppendFloats panics if a limit is
// passed, or neighbour is not a column: a page is to be ended long before it has a gigabyte.
func (w *PageWriter) AppendFloats(values []float64, neighbour int) int {
	checkRows(len(values))
	w.begin(len(values), neighbour)
	if isConstant(values) {
		w.last.integers = nil
		w.page.heads = appendConstant(w.page.heads, values, w.rowsBefore())
		return w.end()
	}
	n := w.neighbour(neighbour)
	w.chooser.choose(values, n)
	return w.endPlanned(values, neighbour)
}

// appendIntegers is AppendFloats for integers, which decoder.integers gives back: they need
// not be floats.
func (w *PageWriter) appendIntegers(values []int64, neighbour int, grid bool) int {
	checkRows(len(values))
	w.begin(len(values), neighbour)
	if c := &w.chooser; len(values) > 0 {
		c.integers = append(c.integers[:0], values...)
		c.form, c.exceptions = form{kindDecimal, 0}, c.exceptions[:0]
		n := w.neighbour(neighbour)
		if len(n.integers) != len(values) || n.form != c.form {
			n.integers = nil
		}
		c.main = c.planner.plan(c.integers, n.integers, grid)
		if c.main.flags&streamEmpty == 0 || c.main.predictor != predictDeltaMin || c.main.param != 0 {
			return w.endPlanned(nil, neighbour)
		}
		w.last.integers = nil
		w.page.heads = appendColumnHead(w.page.heads, form{kindConstantDecimal, 0}, len(values), w.rowsBefore())
		w.page.heads = appendSvarint(w.page.heads, values[0])
		return w.end()
	}
	w.last.integers = nil
	w.page.heads = appendConstant(w.page.heads, nil, w.rowsBefore())
	return w.end()
}

// begin begins a column.
func (w *PageWriter) begin(rows, neighbour int) {
	if w.Columns() == MaxPageColumns || len(w.payload) > maxPagePayload || neighbour >= w.Columns() {
		panic("encoding: too much in a page, or a neighbour that is not there")
	}
	w.page.columns = append(w.page.columns, columnPlace{
		head: uint32(len(w.page.heads)), payload: uint32(len(w.payload)), rows: uint32(rows),
	})
}

// rowsBefore is the number of rows of the column before the one begun.
func (w *PageWriter) rowsBefore() int {
	if n := len(w.page.columns); n > 1 {
		return int(w.page.columns[n-2].rows)
	}
	return -1
}

// end ends a column that needs no other.
func (w *PageWriter) end() int {
	number := w.Columns() - 1
	w.links = append(w.links, link{same: int32(number)})
	return number
}

// neighbour returns the integers of a column, or others with the same differences.
func (w *PageWriter) neighbour(number int) neighbour {
	switch {
	case number < 0 || w.links[number].depth >= maxChain:
		return neighbour{}
	case w.last.integers != nil && number == w.lastColumn:
		return w.last
	}
	c := &w.decoder.column
	_, main, err := w.page.open(c, w.payload, number)
	if err != nil || !c.tells() {
		return neighbour{}
	}
	integers, _, err := w.decoder.keep(&w.page, w.payload, number, main)
	if err != nil {
		return neighbour{}
	}
	return neighbour{c.form, integers}
}

// endPlanned writes the column that the chooser has planned.
func (w *PageWriter) endPlanned(values []float64, neighbour int) int {
	c := &w.chooser
	number := w.Columns() - 1
	heads := appendColumnHead(w.page.heads, c.form, c.main.rows, w.rowsBefore())
	if len(c.exceptions) > 0 {
		c.main.flags |= streamExceptions
	}
	if c.main.predictor == predictNeighbour {
		neighbour = int(w.links[neighbour].same)
	}
	heads, payload, flagsAt, blocksAt := c.main.append(heads, w.payload, number-neighbour, &c.planner.packing)
	heads, payload = w.shareStream(heads, payload, flagsAt, blocksAt)
	switch c.kind {
	case kindUlps:
		heads, payload, _, _ = c.ulps.append(heads, payload, 0, &c.planner.packing)
	case kindDictionary:
		heads = append(heads, byte(len(c.dictionary)))
		for _, b := range c.dictionary {
			payload = binary.LittleEndian.AppendUint64(payload, b)
		}
	}
	if len(c.exceptions) > 0 {
		heads, payload = appendExceptions(heads, payload, values, c.exceptions)
	}
	w.page.heads, w.payload = heads, payload
	w.keep()
	w.end()
	if c.main.predictor == predictNeighbour {
		w.links[number].depth = w.links[neighbour].depth + 1
		if c.main.flags&streamEmpty != 0 {
			w.links[number].same = int32(neighbour)
		}
	}
	return number
}

// keep makes the integers of the column planned last those of a neighbour.
func (w *PageWriter) keep() {
	c := &w.chooser
	w.last.integers = nil
	if w.alone || (c.kind != kindDecimal && c.kind != kindMultiple) {
		return
	}
	c.expand()
	w.last = neighbour{c.form, c.integers}
	w.lastColumn = w.Columns() - 1
	c.integers, w.spare = w.spare, c.integers
}

// shareStream looks for a column with the same blocks as the one begun, and leaves them out if
// there is one.
func (w *PageWriter) shareStream(heads, payload []byte, flagsAt, blocksAt int) (h, p []byte) {
	if blocksAt == len(heads) || w.alone {
		return heads, payload
	}
	number := w.Columns() - 1
	at := &w.page.columns[number]
	blocks, packed := heads[blocksAt:], payload[at.payload:]
	hash := maphash.Bytes(hashSeed, packed) ^ uint64(at.rows)
	earlier, ok := w.seen[hash]
	if !ok {
		if w.seen == nil {
			w.seen = make(map[uint64]int32)
		}
		w.seen[hash] = int32(number)
		return heads, payload
	}
	place := w.page.columns[earlier]
	var c column
	if err := w.page.column(&c, int(earlier)); err != nil || place.rows != at.rows || !bytes.Equal(c.main.blocks, blocks) ||
		!bytes.Equal(w.payload[place.payload:int(place.payload)+c.mainBytes], packed) {
		return heads, payload
	}
	heads[flagsAt] |= streamDuplicate
	return binary.AppendUvarint(heads[:blocksAt], uint64(number-int(earlier))), payload[:at.payload]
}

// isConstant says that all values have the same bits.
func isConstant(values []float64) bool {
	if len(values) == 0 {
		return true
	}
	first := math.Float64bits(values[0])
	for len(values) >= 8 {
		v := (*[8]float64)(values)
		different := (math.Float64bits(v[0]) ^ first) | (math.Float64bits(v[1]) ^ first) |
			(math.Float64bits(v[2]) ^ first) | (math.Float64bits(v[3]) ^ first) |
			(math.Float64bits(v[4]) ^ first) | (math.Float64bits(v[5]) ^ first) |
			(math.Float64bits(v[6]) ^ first) | (math.Float64bits(v[7]) ^ first)
		if different != 0 {
			return false
		}
		values = values[8:]
	}
	for _, v := range values {
		if math.Float64bits(v) != first {
			return false
		}
	}
	return true
}

// appendConstant appends the head of a column of equal values, or of none.
func appendConstant(dst []byte, values []float64, before int) []byte {
	if len(values) == 0 {
		return appendColumnHead(dst, form{kindConstantBits, 0}, 0, before)
	}
	if e := minExponent(values[0], 0); e >= 0 {
		m, _ := decimalAt(values[0], e)
		if zigzag(m) < 1<<49 { // Up to 7 bytes; otherwise the bits are as short.
			return appendSvarint(appendColumnHead(dst, form{kindConstantDecimal, uint8(e)}, len(values), before), m)
		}
	}
	dst = appendColumnHead(dst, form{kindConstantBits, 0}, len(values), before)
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(values[0]))
}
