package head

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

// strip is 64 columns of a window: the first row, and what later ones changed.
//
// It is a list of stripRuns with pieces, each of which lies in one run as a whole.
// Numbers are little-endian. The first piece is row 0:
//
//	8 bytes   the columns whose float is not 0; if there are any:
//	24 bytes  the columns of width16, width32 and widthWhole
//	          their values
//
// Every later row that changed something has a word of changed and a piece:
//
//	1 byte    how many columns become wider, or nextRun: the piece is the first of
//	          the next run, and so it is at the end of a run
//	1 byte    for each of them: the column in 6 bits, its width in the 2 above
//	          the values of the columns that changed
//
// Values are those of the columns of each width, in the order of the widths, then
// of the columns. A value is what was added to the one before, which is 0 at first,
// in 1, 2 or 4 bytes, signed, or itself, in 8. In row 1 all columns are at width8. An
// addition is only written if the sum is the value to the bit.
//
// Since readers go by the words of the rows that they see (see window), they do
// not come to a piece that is being written.
type strip struct {
	// changed has, by row, the columns whose float differs from the last one: in
	// pieces of changedRows rows, nil while none of these has any.
	changed [windowRows / changedRows]atomic.Pointer[changedWords]
	// runs is the first run. It is set before row 0 is published.
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
	data []byte // of one of stripRunSizes
}

// stripRunSizes are the sizes of runs: a strip has one of each, then of the last, in
// which the longest piece has room, 1 + 64 + 64·8 bytes.
var stripRunSizes = [...]int{64, 128, 256, 640}

const nextRun = 255

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
	stripRuns    [len(stripRunSizes)]sync.Pool // by size
	stripChanged = sync.Pool{New: func() any { return new(changedWords) }}
)

// newStripRun returns a run that is larger than one of so many bytes, if there are
// larger ones, and has room for a piece.
func newStripRun(before, piece int) *stripRun {
	i := 0
	for i < len(stripRunSizes)-1 && (stripRunSizes[i] <= before || stripRunSizes[i] < piece) {
		i++
	}
	if run, ok := stripRuns[i].Get().(*stripRun); ok {
		return run
	}
	return &stripRun{data: make([]byte, stripRunSizes[i])}
}

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

// size returns how long the values of a piece are.
func (w *widerColumns) size(changed uint64) int {
	n := bits.OnesCount64(changed)
	if changed&(w[0]|w[1]|w[2]) == 0 {
		return n
	}
	return n + bits.OnesCount64(changed&w[0]) + 3*bits.OnesCount64(changed&w[1]) + 7*bits.OnesCount64(changed&w[2])
}

// begin adds row 0: the floats of the columns, those that are missing being 0. It
// returns how many bytes it took.
func (s *strip) begin(floats []float64) int {
	var word uint64
	var wider widerColumns
	for c, v := range floats {
		if math.Float64bits(v) != 0 {
			word |= 1 << c
			if width := widthOf(0, v); width > width8 {
				wider.set(c, width)
			}
		}
	}
	size := firstValues
	if word == 0 {
		size = firstWidths
	}
	size += wider.size(word)
	s.last = newStripRun(0, size)
	s.runs, s.used = s.last, size
	piece := s.last.data[:size]
	binary.LittleEndian.PutUint64(piece, word)
	if word != 0 {
		for i, columns := range wider {
			binary.LittleEndian.PutUint64(piece[firstWidths+8*i:], columns)
		}
		wider.put(piece[firstValues:], word, zeros[:], floats)
	}
	return size
}

// Where the widths and the values of row 0 begin in its piece.
const firstWidths, firstValues = 8, 32

var zeros [64]float64

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
	var widened [64]byte
	n := 0
	for {
		size := 1 + n + s.wider.size(changed)
		if room := len(s.last.data) - s.used; room < size {
			if room > 0 {
				s.last.data[s.used] = nextRun
			}
			s.last.next = newStripRun(len(s.last.data), size)
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
		stripRuns[slices.Index(stripRunSizes[:], len(run.data))].Put(run)
		run = next
	}
	s.runs, s.last, s.wider = nil, nil, widerColumns{}
}
