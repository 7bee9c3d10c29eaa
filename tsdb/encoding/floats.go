package encoding

import "sync"

// aloneWriters and aloneDecoders are for columns that lie alone.
var (
	aloneWriters  = sync.Pool{New: func() any { return &PageWriter{alone: true} }}
	aloneDecoders = sync.Pool{New: func() any { return new(Decoder) }}
)

// maxPooledRows keeps a rare large column from pinning its working memory.
const maxPooledRows = 1 << 14

// release gives a writer of columns that lie alone back.
func (w *PageWriter) release() {
	if cap(w.chooser.integers) <= maxPooledRows && cap(w.payload) <= 8*maxPooledRows {
		aloneWriters.Put(w)
	}
}

func (d *Decoder) release() {
	d.Reset()
	aloneDecoders.Put(d)
}

// AppendFloats appends a column of floats that lies alone, its head and then its payload: any
// bits, at most MaxRows of them.
func AppendFloats(dst []byte, values []float64) []byte {
	checkRows(len(values))
	if isConstant(values) {
		return appendConstant(dst, values, -1)
	}
	w := aloneWriters.Get().(*PageWriter)
	w.Reset()
	w.AppendFloats(values, -1)
	dst = append(append(dst, w.page.heads...), w.payload...)
	w.release()
	return dst
}

// readAlone reads the head of a column that lies alone. The payload is what follows, and then
// the rest.
func (c *column) readAlone(src []byte) (payload, rest []byte, err error) {
	if payload, err = c.read(src, -1); err != nil {
		return nil, nil, err
	}
	if c.duplicate() > 0 || c.neighbour() > 0 || len(payload) < c.payload {
		return nil, nil, corruptf("column: refers to another, or %d bytes left, want %d", len(payload), c.payload)
	}
	return payload, payload[c.payload:], nil
}

// DecodeFloats appends to dst what AppendFloats wrote, and returns the rest of src.
func DecodeFloats(dst []float64, src []byte) (values []float64, rest []byte, err error) {
	d := aloneDecoders.Get().(*Decoder)
	defer d.release()
	c := &d.column
	payload, rest, err := c.readAlone(src)
	if err != nil {
		return dst, nil, err
	}
	if values, err = d.decode(dst, c, payload[c.mainBytes:], payload); err != nil {
		return dst, nil, err
	}
	return values, rest, nil
}

// Constant says whether the column that src begins with has the same bits in every row, and
// gives the value and the number of rows, without decoding the column. A column that is not
// encoded as a constant, or is corrupt, or empty, is not ok.
func Constant(src []byte) (v float64, rows int, ok bool) {
	if len(src) == 0 || src[0]&kindMask > kindConstantDecimal {
		return 0, 0, false
	}
	var c column
	if _, err := c.read(src, -1); err != nil || c.rows == 0 {
		return 0, 0, false
	}
	return c.float(0), c.rows, true
}

// FloatRows returns the number of rows of the float column that src begins with.
func FloatRows(src []byte) (int, error) {
	var c column
	_, err := c.read(src, -1)
	return c.rows, err
}
