package head

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// looseRun is where floats without start timestamps are put, and stay until there are
// enough of them for a chunk that all readers see: quick to write and to read, and
// larger than what it becomes. It is in memory only. The samples are ascending, in
// their times and in their transactions; for each of them:
//
//	time   varint: by how much the difference to the time before (of the first
//	       sample: to mint) exceeds the difference before that one, at first 0
//	value  varint: 0, and 8 bytes little endian follow, the bits;
//	       1, the bits of the value before, at first 0;
//	       else the difference to the last integer that was told by one, at first
//	       0, to which 2 is added unless it is negative
//
// An integer is what encoding.Decimal takes to be one at exponent 0. A varint is
// that of encoding/binary, signed.
type looseRun struct {
	// looseChunk is the run as readers take it. They keep it: its data is written
	// only behind what was there.
	looseChunk
	packer packer
	// marks says with which transaction, or an earlier one, the samples up to an
	// end came. That is exact for samples that not all readers see.
	marks []mark
}

// mark says that the samples up to end came with transaction txn, or earlier.
type mark struct {
	txn uint64
	end int
}

// markRows is about how many samples have one mark, once all readers see them.
const markRows = 16

// firstRunBytes is the room of a run to begin with.
const firstRunBytes = 64

// add appends a sample. All readers see the transactions up to settled.
func (r *looseRun) add(t int64, v float64, txn, settled uint64) {
	if r.rows == 0 {
		r.looseChunk = looseChunk{mint: t, kind: storage.KindFloat, packed: true, data: make([]byte, 0, firstRunBytes)}
		r.packer, r.marks = packer{last: t}, r.marks[:0]
	}
	r.data = r.packer.append(r.data, t, v)
	r.rows++
	r.maxt, r.txn = t, txn
	n := len(r.marks) - 1
	if n >= 0 && r.marks[n].txn == txn {
		r.marks[n].end++
		return
	}
	if n > 0 && r.marks[n].txn <= settled && r.marks[n].end-r.start(n-1) <= markRows {
		r.marks[n-1] = r.marks[n]
		r.marks = r.marks[:n]
	}
	r.marks = append(r.marks, mark{txn, int(r.rows)})
}

// start returns where the samples of a mark begin.
func (r *looseRun) start(m int) int {
	if m == 0 {
		return 0
	}
	return r.marks[m-1].end
}

// view returns what a reader of transaction txn sees of the run.
func (r *looseRun) view(txn uint64) looseChunk {
	if r.txn <= txn {
		return r.looseChunk
	}
	c := r.looseChunk
	c.rows = 0
	for _, m := range r.marks {
		if m.txn > txn {
			break
		}
		c.rows, c.txn = uint16(m.end), m.txn
	}
	if c.rows == 0 {
		return c
	}
	room := chunkRooms.Get().(*chunkRoom)
	defer chunkRooms.Put(room)
	var err error
	room.times, room.values, err = unpack(room.times[:0], room.values[:0], &c)
	if err == nil { // else whoever reads it is told
		c.maxt = room.times[len(room.times)-1]
	}
	return c
}

// filter returns the run with the samples that keep says: see loose.filter.
func (r *looseRun) filter(mint, maxt int64, keep func(t int64, txn uint64) bool) (looseRun, error) {
	if r.rows == 0 || r.maxt < mint || r.mint > maxt {
		return *r, nil
	}
	times, values, err := unpack(nil, nil, &r.looseChunk)
	if err != nil {
		return *r, err
	}
	var kept looseRun
	m := 0
	for i := range times {
		for i >= r.marks[m].end {
			m++
		}
		if txn := r.marks[m].txn; keep(times[i], txn) {
			kept.add(times[i], values[i], txn, 0)
		}
	}
	if kept.rows == r.rows {
		return *r, nil
	}
	return kept, nil
}

// packer is what packing the next sample needs to know.
type packer struct {
	last, step, integer int64
	bits                uint64
}

// append packs a sample.
func (p *packer) append(dst []byte, t int64, v float64) []byte {
	step := t - p.last
	dst = appendVarint(dst, step-p.step)
	p.last, p.step = t, step
	bits := math.Float64bits(v)
	if bits == p.bits {
		return appendVarint(dst, 1)
	}
	p.bits = bits
	m, ok := encoding.Decimal(v, 0)
	if !ok {
		return binary.LittleEndian.AppendUint64(append(dst, 0), bits)
	}
	diff := m - p.integer
	p.integer = m
	if diff >= 0 {
		diff += 2
	}
	return appendVarint(dst, diff)
}

// appendVarint is binary.AppendVarint, for which most are short.
func appendVarint(dst []byte, n int64) []byte {
	if n >= -0x40 && n < 0x40 {
		return append(dst, byte(n<<1^n>>63))
	}
	return binary.AppendVarint(dst, n)
}

// unpack appends the samples of a packed chunk.
func unpack(times []int64, values []float64, c *looseChunk) ([]int64, []float64, error) {
	last, step, bits, integer := c.mint, int64(0), uint64(0), int64(0)
	src := c.data
	for range c.rows {
		d, n := binary.Varint(src)
		if n <= 0 {
			return times, values, fmt.Errorf("%w: time of a packed sample", encoding.ErrCorrupt)
		}
		step += d
		last += step
		src = src[n:]
		d, n = binary.Varint(src)
		if n <= 0 || (d == 0 && len(src) < n+8) {
			return times, values, fmt.Errorf("%w: value of a packed sample", encoding.ErrCorrupt)
		}
		src = src[n:]
		switch d {
		case 0:
			bits, src = binary.LittleEndian.Uint64(src), src[8:]
		case 1:
		default:
			if integer += d; d > 0 {
				integer -= 2
			}
			bits = math.Float64bits(float64(integer))
		}
		times, values = append(times, last), append(values, math.Float64frombits(bits))
	}
	return times, values, nil
}
