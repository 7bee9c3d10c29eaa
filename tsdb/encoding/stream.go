package encoding

import (
	"encoding/binary"
	"math/bits"
)

// Predictors of an integer stream; they never change.
const (
	predictFrame = iota
	predictDelta
	predictDeltaMin
	predictDelta2
	predictGrid
	predictNeighbour

	predictors    = predictNeighbour + 1
	predictorMask = 0x07
)

// Flags beside the predictor; they never change.
const (
	streamEmpty      = 0x08 // All residuals are 0 and not stored.
	streamDivided    = 0x10 // A divisor follows.
	streamDuplicate  = 0x20 // The blocks are those of an earlier column.
	streamExceptions = 0x40 // Of the floats: they follow the stream.
)

// maxChain is how many columns must be decoded, at most, before a column that is told by its
// neighbour.
const maxChain = 32

// stream is how n integers are stored: the first one, and n-1 residuals in blocks.
type stream struct {
	predictor uint8
	flags     uint8
	first     int64
	param     int64  // Least value or delta, first delta or step; distance of the neighbour.
	divisor   int64  // 1 if there is none.
	duplicate int    // Distance of the column with the blocks.
	blocks    []byte // Their headers.
}

// streamPlan is how integers will be stored, and what that costs.
type streamPlan struct {
	stream
	size int // Bytes of head and payload.
	rows int
	plan []block
	// residuals are in the memory of the planner, with room for as many as are packed together. Of
	// a sparse column, they are those at its changes.
	residuals []uint64
	changes   []int32
}

// headSize is the length of the head without the headers of blocks.
func (s *stream) headSize() int {
	size := 1 + uvarintLen(bits.Len64(zigzag(s.first)))
	if s.flags&streamDivided != 0 {
		size += uvarintLen(bits.Len64(uint64(s.divisor)))
	}
	switch s.predictor {
	case predictDelta:
	case predictNeighbour:
		size++
	default:
		size += uvarintLen(bits.Len64(zigzag(s.param)))
	}
	return size
}

// append appends the head of a planned stream and its payload. distance is that of the
// neighbour. It returns where the flags and the headers of the blocks stand.
func (p *streamPlan) append(head, payload []byte, distance int, memory *packing) (h, pl []byte, flagsAt, blocksAt int) {
	flagsAt = len(head)
	head = appendSvarint(append(head, p.predictor|p.flags), p.first)
	if p.flags&streamDivided != 0 {
		head = binary.AppendUvarint(head, uint64(p.divisor))
	}
	switch p.predictor {
	case predictDelta:
	case predictNeighbour:
		head = binary.AppendUvarint(head, uint64(distance))
	default:
		head = appendSvarint(head, p.param)
	}
	blocksAt = len(head)
	if p.flags&streamEmpty != 0 {
		return head, payload, flagsAt, blocksAt
	}
	from := 1
	for _, b := range p.plan {
		n := min(blockRows, p.rows-from)
		head = appendBlockHead(head, b)
		if p.changes != nil {
			payload = p.appendSparse(payload, b, from, n, memory)
		} else {
			payload = memory.appendBlock(payload, b, p.residuals[from-1:][:n])
		}
		from += n
	}
	return head, payload, flagsAt, blocksAt
}
