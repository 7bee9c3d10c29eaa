package head

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// stripReader reads the pieces of a strip, one after the other.
type stripReader struct {
	run   *stripRun
	at    int
	wider widerColumns
}

// first returns the piece of row 0: the columns that are not 0, their widths and their
// values.
func (r *stripReader) first(s *strip) (word uint64, wider widerColumns, values []byte) {
	r.run, r.at = s.runs, firstWidths
	word = binary.LittleEndian.Uint64(r.run.data)
	if word == 0 {
		return 0, wider, nil
	}
	for i := range wider {
		wider[i] = binary.LittleEndian.Uint64(r.run.data[firstWidths+8*i:])
	}
	r.at = firstValues + wider.size(word)
	return word, wider, r.run.data[firstValues:r.at]
}

// begin goes to the values of the next piece.
func (r *stripReader) begin() {
	for r.at == len(r.run.data) || r.run.data[r.at] == nextRun {
		r.run, r.at = r.run.next, 0
	}
	n := int(r.run.data[r.at])
	r.at++
	for _, b := range r.run.data[r.at : r.at+n] {
		r.wider.set(int(b&63), b>>6)
	}
	r.at += n
}

// float returns the value of one of the changed columns, v being the one before.
func (w *widerColumns) float(values []byte, changed, bit uint64, v float64) float64 {
	below := changed & (bit - 1)
	if (w[0]|w[1]|w[2])&bit == 0 {
		return v + float64(int8(values[bits.OnesCount64(below&^(w[0]|w[1]|w[2]))]))
	}
	l := w.layout(changed)
	switch {
	case w[0]&bit != 0:
		at := l.at16 + 2*bits.OnesCount64(below&w[0])
		return v + float64(int16(binary.LittleEndian.Uint16(values[at:])))
	case w[1]&bit != 0:
		at := l.at32 + 4*bits.OnesCount64(below&w[1])
		return v + float64(int32(binary.LittleEndian.Uint32(values[at:])))
	default:
		at := l.atWhole + 8*bits.OnesCount64(below&w[2])
		return math.Float64frombits(binary.LittleEndian.Uint64(values[at:]))
	}
}

// changedAt returns the columns that changed in a row.
func (s *strip) changedAt(row int) uint64 {
	if words := s.changed[row/changedRows].Load(); words != nil {
		return words[row%changedRows]
	}
	return 0
}

// column fills dst, rows of a window, with the floats of a column.
func (s *strip) column(dst []float64, column uint32) {
	bit, v := uint64(1)<<column, 0.0
	r := stripReader{}
	if word, wider, values := r.first(s); word&bit != 0 {
		v = wider.float(values, word, bit, 0)
	}
	data, at := r.run.data, r.at // those of r, while it needs not be asked
	for from := 0; from < len(dst); from += changedRows {
		rows := dst[from:min(from+changedRows, len(dst))]
		words := s.changed[from/changedRows].Load()
		if words == nil {
			fill(rows, v)
			continue
		}
		for i, changed := range words[:len(rows)] {
			if changed != 0 {
				if uint(at) < uint(len(data)) && data[at] == 0 {
					at++
				} else {
					r.at = at
					r.begin()
					data, at = r.run.data, r.at
				}
				if changed&bit != 0 {
					v = r.wider.float(data[at:], changed, bit, v)
				}
				at += r.wider.size(changed)
			}
			rows[i] = v
		}
	}
}

// stripBuffer is the decoded floats of a strip.
type stripBuffer struct {
	first   [64]float64 // of row 0
	columns [64][windowRows]float64
}

// changing returns the columns that change in the first rows.
func (s *strip) changing(rows int) (changing uint64) {
	for from := 0; from < rows; from += changedRows {
		if words := s.changed[from/changedRows].Load(); words != nil {
			for _, word := range words[:min(rows-from, changedRows)] {
				changing |= word
			}
		}
	}
	return changing
}

// decode decodes the first rows: row 0, and the columns that change, which it
// returns.
func (s *strip) decode(dst *stripBuffer, rows int) (changing uint64) {
	d := stripDecoder{dst: dst}
	word, wider, values := d.first(s)
	wider.apply(&d.current, word, values)
	dst.first = d.current
	if changing = s.changing(rows); changing == 0 {
		return 0
	}
	for row := range rows {
		if changed := s.changedAt(row); changed != 0 {
			d.row(row, changed)
		}
	}
	for word := changing; word != 0; word &= word - 1 {
		d.fill(bits.TrailingZeros64(word), rows)
	}
	return changing
}

// stripDecoder decodes all columns of a strip.
type stripDecoder struct {
	stripReader
	dst     *stripBuffer
	current [64]float64
	filled  [64]uint8 // rows that are there
}

// fill fills a column up to a row.
func (d *stripDecoder) fill(c, to int) {
	column := d.dst.columns[c][d.filled[c]:to]
	for i := range column {
		column[i] = d.current[c]
	}
	d.filled[c] = uint8(to)
}

// row decodes the values of a row.
func (d *stripDecoder) row(row int, changed uint64) {
	for word := changed; word != 0; word &= word - 1 {
		d.fill(bits.TrailingZeros64(word), row)
	}
	d.begin()
	end := d.at + d.wider.size(changed)
	d.wider.apply(&d.current, changed, d.run.data[d.at:end])
	d.at = end
}

// apply brings floats up to date from the values of a piece.
func (w *widerColumns) apply(floats *[64]float64, changed uint64, values []byte) {
	for word := changed &^ (w[0] | w[1] | w[2]); word != 0; word &= word - 1 {
		floats[bits.TrailingZeros64(word)] += float64(int8(values[0]))
		values = values[1:]
	}
	for word := changed & w[0]; word != 0; word &= word - 1 {
		floats[bits.TrailingZeros64(word)] += float64(int16(binary.LittleEndian.Uint16(values)))
		values = values[2:]
	}
	for word := changed & w[1]; word != 0; word &= word - 1 {
		floats[bits.TrailingZeros64(word)] += float64(int32(binary.LittleEndian.Uint32(values)))
		values = values[4:]
	}
	for word := changed & w[2]; word != 0; word &= word - 1 {
		floats[bits.TrailingZeros64(word)] = math.Float64frombits(binary.LittleEndian.Uint64(values))
		values = values[8:]
	}
}
