package head

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// looseRun is where floats without start timestamps wait until there are enough of
// them for a chunk: quick to write and to read, and larger than what it becomes. It
// is in memory only. The samples are ascending; for each of them:
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
	// end came.
	marks []mark
}

// add appends samples of transactions up to txn.
func (r *looseRun) add(times []int64, values []float64, txn uint64) {
	if r.rows == 0 {
		r.looseChunk = looseChunk{mint: times[0], kind: storage.KindFloat, packed: true}
		r.packer, r.marks = packer{last: times[0]}, r.marks[:0]
	}
	for i, t := range times {
		r.data = r.packer.append(r.data, t, values[i])
	}
	r.rows += uint16(len(times))
	r.maxt, r.txn = times[len(times)-1], max(r.txn, txn)
	if m := len(r.marks); m > 0 && r.marks[m-1].txn == txn {
		r.marks[m-1].end = int(r.rows)
		return
	}
	r.marks = append(r.marks, mark{txn, int(r.rows)})
}

// encode appends the run to the chunks as one of them, and empties it.
func (r *looseRun) encode(chunks []looseChunk) []looseChunk {
	room := chunkRooms.Get().(*chunkRoom)
	times, values, err := unpack(room.times[:0], room.values[:0], r.mint, r.data)
	if err == nil {
		chunks = appendChunk(chunks, &storage.Batch{Times: times, Values: values}, r.txn)
	} else {
		chunks = append(chunks, r.looseChunk) // whoever reads it is told
	}
	room.times, room.values = times, values
	chunkRooms.Put(room)
	r.looseChunk = looseChunk{}
	return chunks
}

// filter returns the run with the samples that keep says: see loose.filter.
func (r *looseRun) filter(mint, maxt int64, keep func(t int64, txn uint64) bool) (looseRun, error) {
	if r.rows == 0 || r.maxt < mint || r.mint > maxt {
		return *r, nil
	}
	times, values, err := unpack(nil, nil, r.mint, r.data)
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
			kept.add(times[i:i+1], values[i:i+1], txn)
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
	dst = binary.AppendVarint(dst, step-p.step)
	p.last, p.step = t, step
	bits := math.Float64bits(v)
	if bits == p.bits {
		return binary.AppendVarint(dst, 1)
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
	return binary.AppendVarint(dst, diff)
}

// unpack appends the samples of a packed run that begins at mint.
func unpack(times []int64, values []float64, mint int64, src []byte) ([]int64, []float64, error) {
	last, step, bits, integer := mint, int64(0), uint64(0), int64(0)
	for len(src) > 0 {
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
