package head

import (
	"encoding/binary"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
)

// strip is what changed in 64 columns, row by row, from the second row on.
//
// A row that changed something has a word of changed and a piece in the list of
// stripRuns. A piece lies in one run as a whole:
//
//	1 byte  how many columns become wider, or nextRun: the piece is the first of
//	        the next run, and so it is at the end of a run
//	1 byte  for each of them: the column in 6 bits, its width in the 2 above
//	        the changed values of the columns of each width, in the order of the widths,
//	        then of the columns
//
// Widths are those of the constants width8 to widthWhole: a value is what was
// added to the one before, in 1, 2 or 4 bytes (little-endian, signed), or itself,
// in 8. A window begins with all columns at width8. An addition is only written if
// the sum is the value to the bit.
//
// Since readers go by the words of the rows that they see (see window), they do
// not come to a piece that is being written.
type strip struct {
	// changed has, by row, the columns whose float differs from the last one: in
	// pieces of changedRows rows, nil while none of these has any.
	changed [windowRows / changedRows]atomic.Pointer[changedWords]
	// runs is the first run. It is set before a row is published that has a piece.
	runs *stripRun

	// The writer's: where the next piece goes, and how wide the columns are.
	last  *stripRun
	used  int
	wider widerColumns
}

const changedRows = 30

type changedWords [changedRows]uint64

// stripRun is a run of pieces. next is set before a row is published that has a
// piece there.
type stripRun struct {
	next *stripRun
	data [stripRunBytes]byte
}

const (
	// stripRunBytes is more than the longest piece takes, 1 + 64 + 64·8 bytes.
	stripRunBytes = 632
	nextRun       = 255
)

// How a column's values are written.
const (
	width8 uint8 = iota
	width16
	width32
	widthWhole
)

// widerColumns has the columns of each width above width8.
type widerColumns [3]uint64

func (w *widerColumns) set(column int, width uint8) {
	for i := range w {
		w[i] &^= 1 << column
	}
	w[width-1] |= 1 << column
}

var (
	stripRuns    = sync.Pool{New: func() any { return new(stripRun) }}
	stripChanged = sync.Pool{New: func() any { return new(changedWords) }}
)

// pieceLayout says where the values of each width begin in a piece, counted from
// its first value, and where it ends.
type pieceLayout struct{ at16, at32, atWhole, end int }

func (w *widerColumns) layout(changed uint64) pieceLayout {
	n16, n32, nWhole := bits.OnesCount64(changed&w[0]), bits.OnesCount64(changed&w[1]), bits.OnesCount64(changed&w[2])
	var l pieceLayout
	l.at16 = bits.OnesCount64(changed) - n16 - n32 - nWhole
	l.at32 = l.at16 + 2*n16
	l.atWhole = l.at32 + 4*n32
	l.end = l.atWhole + 8*nWhole
	return l
}

// changedAt returns the columns that changed in a row.
func (s *strip) changedAt(row int) uint64 {
	if words := s.changed[row/changedRows].Load(); words != nil {
		return words[row%changedRows]
	}
	return 0
}

// add adds a row: what changed, the value of each of these columns before, and the
// values of all columns. It returns how many bytes it took.
func (s *strip) add(row int, changed uint64, before, latest []float64) int {
	words := s.changed[row/changedRows].Load()
	if words == nil {
		words = stripChanged.Get().(*changedWords)
		*words = changedWords{}
		s.changed[row/changedRows].Store(words)
	}
	words[row%changedRows] = changed
	if s.last == nil {
		s.last = stripRuns.Get().(*stripRun)
		s.runs, s.used = s.last, 0
	}
	var widened [64]byte
	n := 0
	for {
		size := 1 + n + s.wider.layout(changed).end
		if s.used+size > stripRunBytes {
			if s.used < stripRunBytes {
				s.last.data[s.used] = nextRun
			}
			s.last.next = stripRuns.Get().(*stripRun)
			s.last, s.used = s.last.next, 0
		}
		piece := s.last.data[s.used : s.used+size]
		piece[0] = byte(n)
		copy(piece[1:], widened[:n])
		if s.wider.put(piece[1+n:], changed, before, latest) {
			s.used += size
			return size + 8
		}
		n = s.wider.widen(widened[:0], changed, before, latest)
	}
}

// put writes the values of a piece. It returns false if one does not fit the width
// of its column.
func (w *widerColumns) put(piece []byte, changed uint64, before, latest []float64) bool {
	l := w.layout(changed)
	piece = piece[:l.end]
	var differs uint64 // not 0 if a sum is not the value
	at := 0
	for word := changed &^ (w[0] | w[1] | w[2]); word != 0; word &= word - 1 {
		p, v := change(word, changed, before, latest)
		d := int8(int64(v - p))
		differs |= math.Float64bits(p+float64(d)) ^ math.Float64bits(v)
		piece[at] = byte(d)
		at++
	}
	at = l.at16
	for word := changed & w[0]; word != 0; word &= word - 1 {
		p, v := change(word, changed, before, latest)
		d := int16(int64(v - p))
		differs |= math.Float64bits(p+float64(d)) ^ math.Float64bits(v)
		binary.LittleEndian.PutUint16(piece[at:], uint16(d))
		at += 2
	}
	at = l.at32
	for word := changed & w[1]; word != 0; word &= word - 1 {
		p, v := change(word, changed, before, latest)
		d := int32(int64(v - p))
		differs |= math.Float64bits(p+float64(d)) ^ math.Float64bits(v)
		binary.LittleEndian.PutUint32(piece[at:], uint32(d))
		at += 4
	}
	at = l.atWhole
	for word := changed & w[2]; word != 0; word &= word - 1 {
		_, v := change(word, changed, before, latest)
		binary.LittleEndian.PutUint64(piece[at:], math.Float64bits(v))
		at += 8
	}
	return differs == 0
}

// change returns the value of the lowest column of word before and after.
func change(word, changed uint64, before, latest []float64) (p, v float64) {
	return before[bits.OnesCount64(changed&(word&-word-1))], latest[bits.TrailingZeros64(word)]
}

// widen makes columns as wide as their values need. It appends what a piece says of
// them to dst, and returns how many they are.
func (w *widerColumns) widen(dst []byte, changed uint64, before, latest []float64) int {
	for word := changed; word != 0; word &= word - 1 {
		c := bits.TrailingZeros64(word)
		width := w.of(c)
		if needed := widthOf(change(word, changed, before, latest)); needed > width {
			w.set(c, needed)
			dst = append(dst, byte(c)|needed<<6)
		}
	}
	return len(dst)
}

// of returns the width of a column.
func (w *widerColumns) of(column int) uint8 {
	for i, columns := range w {
		if columns>>column&1 != 0 {
			return uint8(i + 1)
		}
	}
	return width8
}

// widthOf returns how wide a change is.
func widthOf(p, v float64) uint8 {
	d := int64(v - p)
	switch want := math.Float64bits(v); want {
	case math.Float64bits(p + float64(int8(d))):
		return width8
	case math.Float64bits(p + float64(int16(d))):
		return width16
	case math.Float64bits(p + float64(int32(d))):
		return width32
	}
	return widthWhole
}

// reset empties the strip. No reader has it.
func (s *strip) reset() {
	for i := range s.changed {
		if words := s.changed[i].Load(); words != nil {
			stripChanged.Put(words)
			s.changed[i].Store(nil)
		}
	}
	for run := s.runs; run != nil; {
		next := run.next
		run.next = nil
		stripRuns.Put(run)
		run = next
	}
	s.runs, s.last, s.wider = nil, nil, widerColumns{}
}

// stripReader reads the pieces of a strip, one after the other.
type stripReader struct {
	run   *stripRun
	at    int
	wider widerColumns
}

// begin goes to the values of the next piece.
func (r *stripReader) begin() {
	if r.at == stripRunBytes || r.run.data[r.at] == nextRun {
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

// size returns how long the values of a piece are.
func (w *widerColumns) size(changed uint64) int {
	n := bits.OnesCount64(changed)
	if changed&(w[0]|w[1]|w[2]) == 0 {
		return n
	}
	return n + bits.OnesCount64(changed&w[0]) + 3*bits.OnesCount64(changed&w[1]) + 7*bits.OnesCount64(changed&w[2])
}

// column fills dst, rows of a window, with the floats of a column, v being the one
// of row 0.
func (s *strip) column(dst []float64, column uint32, v float64) {
	bit := uint64(1) << column
	r := stripReader{}
	data, at := &noPieces, 0 // those of r, while it needs not be asked
	for from := 0; from < len(dst); from += changedRows {
		rows := dst[from:min(from+changedRows, len(dst))]
		words := s.changed[from/changedRows].Load()
		if words == nil {
			fill(rows, v)
			continue
		}
		for i, changed := range words[:len(rows)] {
			if changed != 0 {
				if uint(at) < stripRunBytes && data[at] == 0 {
					at++
				} else {
					if r.run == nil {
						r.run = s.runs
					} else {
						r.at = at
					}
					r.begin()
					data, at = &r.run.data, r.at
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

// noPieces is the data of no run.
var noPieces = [stripRunBytes]byte{nextRun}

// stripBuffer is the decoded floats of a strip, by column.
type stripBuffer [64][windowRows]float64

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

// decode fills dst with the first rows of the columns that change, and returns
// which they are. base are the floats of row 0 of the columns that have any but 0.
func (s *strip) decode(dst *stripBuffer, base []float64, rows int) (changing uint64) {
	changing = s.changing(rows)
	if changing == 0 {
		return 0
	}
	d := stripDecoder{dst: dst}
	copy(d.current[:], base)
	d.run = s.runs
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
	column := d.dst[c][d.filled[c]:to]
	for i := range column {
		column[i] = d.current[c]
	}
	d.filled[c] = uint8(to)
}

// row decodes the values of a row.
func (d *stripDecoder) row(row int, changed uint64) {
	d.begin()
	l := d.wider.layout(changed)
	values := d.run.data[d.at : d.at+l.end]
	d.at += l.end
	at := 0
	for word := changed &^ (d.wider[0] | d.wider[1] | d.wider[2]); word != 0; word &= word - 1 {
		c := bits.TrailingZeros64(word)
		d.fill(c, row)
		d.current[c] += float64(int8(values[at]))
		at++
	}
	at = l.at16
	for word := changed & d.wider[0]; word != 0; word &= word - 1 {
		c := bits.TrailingZeros64(word)
		d.fill(c, row)
		d.current[c] += float64(int16(binary.LittleEndian.Uint16(values[at:])))
		at += 2
	}
	at = l.at32
	for word := changed & d.wider[1]; word != 0; word &= word - 1 {
		c := bits.TrailingZeros64(word)
		d.fill(c, row)
		d.current[c] += float64(int32(binary.LittleEndian.Uint32(values[at:])))
		at += 4
	}
	at = l.atWhole
	for word := changed & d.wider[2]; word != 0; word &= word - 1 {
		c := bits.TrailingZeros64(word)
		d.fill(c, row)
		d.current[c] = math.Float64frombits(binary.LittleEndian.Uint64(values[at:]))
		at += 8
	}
}
