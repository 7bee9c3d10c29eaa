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

// intShape is what one pass over integers finds out for the choice of a predictor.
type intShape struct {
	least              int64 // But for the first.
	minDelta, maxDelta int64
	divisor            int64 // Of all deltas, 1 or more.
	changes            int   // Deltas that are not 0.
}

// shapeOf returns the shape of two integers or more.
func shapeOf(x []int64) intShape {
	prev := x[0]
	s := intShape{least: x[1], minDelta: x[1] - prev, maxDelta: x[1] - prev}
	most, divisor := x[1], uint64(0)
	for _, v := range x[1:] {
		d := v - prev
		s.least, most = min(s.least, v), max(most, v)
		s.minDelta, s.maxDelta = min(s.minDelta, d), max(s.maxDelta, d)
		s.changes += int(uint64(d|-d) >> 63)
		if divisor != 1 && d != 0 {
			divisor = commonDivisor(divisor, uint64(max(d, -d)))
		}
		prev = v
	}
	s.divisor = max(1, int64(divisor))
	// Wrapped deltas are not multiples of what they seem to be.
	if span := uint64(max(most, x[0])) - uint64(min(s.least, x[0])); span >= 1<<62 {
		s.divisor = 1
	}
	return s
}

func commonDivisor(a, b uint64) uint64 {
	for a != 0 {
		a, b = b%a, a
	}
	return b
}

// divide makes x multiples of the divisor, counted from the first.
func (s *intShape) divide(x []int64) {
	first, divisor := x[0], s.divisor
	for i, v := range x {
		x[i] = (v - first) / divisor
	}
	s.least = (s.least - first) / divisor
	s.minDelta /= divisor
	s.maxDelta /= divisor
}

// gridStep is the average distance.
func gridStep(x []int64) int64 {
	n := int64(len(x))
	return (x[n-1] - x[0]) / (n - 1)
}

// streamPlan is how integers will be stored, and what that costs.
type streamPlan struct {
	stream
	size int // Bytes of head and payload.
	// x are the integers, divided; neighbour are those of the neighbour.
	x, neighbour []int64
	plan         []block
}

// planner chooses predictors. Its memory is used again by the next choice.
type planner struct {
	packing
	plans  [predictors][]block
	counts [predictors][65]uint8
}

// plan finds the cheapest predictor for one integer or more. neighbour are the integers of
// the column before, as many, or nil. x is changed, and used by the plan. grid says to try
// that too.
func (p *planner) plan(x, neighbour []int64, grid bool) streamPlan {
	out := streamPlan{x: x, stream: stream{predictor: predictDeltaMin, flags: streamEmpty, first: x[0], divisor: 1}}
	if len(x) == 1 {
		out.size = out.headSize()
		return out
	}
	s := shapeOf(x)
	if s.minDelta == s.maxDelta {
		out.param = s.minDelta
		out.size = out.headSize()
		return out
	}
	var beside streamPlan
	if neighbour != nil {
		beside = p.planNeighbour(x, neighbour)
	}
	if s.divisor > 1 {
		out.flags |= streamDivided
		out.divisor = s.divisor
		s.divide(x)
	}
	out.flags &^= streamEmpty
	out.size = -1
	var sizes [predictors]int
	if s.changes <= len(x)/16 && !grid {
		sizes = p.measureSparse(x, &s)
	} else {
		sizes = p.measure(x, &s, grid)
	}
	for predictor, size := range sizes[:predictNeighbour] {
		if size == 0 {
			continue // Not tried.
		}
		c := out
		c.predictor = uint8(predictor)
		switch predictor {
		case predictFrame:
			c.param = s.least - x[0]
		case predictDeltaMin:
			c.param = s.minDelta
		case predictDelta2:
			c.param = x[1] - x[0]
		case predictGrid:
			c.param = gridStep(x)
		}
		c.size = size + c.headSize()
		if out.size < 0 || c.size < out.size {
			out = c
		}
	}
	out.plan = p.plans[out.predictor]
	if neighbour != nil && beside.size < out.size {
		// The neighbour's integers are not divided.
		if s.divisor > 1 {
			for i, y := range x {
				x[i] = beside.first + y*s.divisor
			}
		}
		return beside
	}
	return out
}

// planNeighbour measures the deltas less those of the neighbour.
func (p *planner) planNeighbour(x, neighbour []int64) streamPlan {
	out := streamPlan{
		x: x, neighbour: neighbour,
		stream: stream{predictor: predictNeighbour, first: x[0], param: 1, divisor: 1},
	}
	const q = predictNeighbour
	p.plans[q] = p.plans[q][:0]
	size, same := 0, true
	apart := x[0] - neighbour[0]
	for from := 1; from < len(x); from += blockRows {
		counts := &p.counts[q]
		*counts = [65]uint8{}
		end := min(from+blockRows, len(x))
		for i, v := range x[from:end] {
			now := v - neighbour[from+i]
			counts[bits.Len64(zigzag(now-apart))]++
			apart = now
		}
		b, s := planBlock(counts, end-from)
		p.plans[q] = append(p.plans[q], b)
		size += s
		same = same && int(counts[0]) == end-from
	}
	if same {
		out.flags |= streamEmpty
		size = 0
	}
	out.plan = p.plans[q]
	out.size = size + out.headSize()
	return out
}

// measure plans the blocks of every predictor worth it and returns their sizes, 0 for one that
// is not. x has two integers or more that are not evenly spaced.
func (p *planner) measure(x []int64, s *intShape, grid bool) (sizes [predictors]int) {
	for q := range p.plans {
		if q != predictNeighbour {
			p.plans[q] = p.plans[q][:0]
		}
	}
	// If the integers do not fall, then deltas are as short as what a frame has, and need no
	// sign; if they do, then deltas with a sign are as short, all in all, as those above the least.
	rising := s.minDelta >= 0
	try := [predictors]bool{predictFrame: !rising, predictDelta: !rising, predictDeltaMin: rising, predictDelta2: true, predictGrid: grid}
	expected, step := x[0], int64(0)
	if grid {
		step = gridStep(x)
	}
	for from := 1; from < len(x); from += blockRows {
		end := min(from+blockRows, len(x))
		prev := x[from-1]
		delta := x[1] - x[0]
		if from > 1 {
			delta = prev - x[from-2]
		}
		if rising {
			p.countRising(x[from:end], prev, delta, s)
		} else {
			p.countAny(x[from:end], prev, delta, s)
		}
		if grid {
			expected = p.countGrid(x[from:end], expected, step)
		}
		for q, yes := range try {
			if yes {
				b, size := planBlock(&p.counts[q], end-from)
				p.plans[q] = append(p.plans[q], b)
				sizes[q] += size
			}
		}
	}
	return sizes
}

// measureSparse is measure for integers that seldom change: then the deltas are the smallest, and
// take a few bytes each, and neither their second differences nor a frame is worth the look.
func (p *planner) measureSparse(x []int64, s *intShape) (sizes [predictors]int) {
	predictor := predictDelta
	if s.minDelta == 0 {
		predictor = predictDeltaMin
	}
	p.plans[predictor] = p.plans[predictor][:0]
	counts := &p.counts[predictor]
	for from := 1; from < len(x); from += blockRows {
		end := min(from+blockRows, len(x))
		*counts = [65]uint8{}
		prev, zeroes := x[from-1], end-from
		for _, v := range x[from:end] {
			if v == prev {
				continue
			}
			r := uint64(v - prev)
			if predictor == predictDelta {
				r = zigzag(v - prev)
			}
			counts[bits.Len64(r)]++
			zeroes--
			prev = v
		}
		counts[0] = uint8(zeroes)
		b, size := planBlock(counts, end-from)
		p.plans[predictor] = append(p.plans[predictor], b)
		sizes[predictor] += size
	}
	return sizes
}

// countRising counts the bit lengths of a block of residuals of integers that do not fall.
func (p *planner) countRising(x []int64, prev, delta int64, s *intShape) {
	p.counts[predictDeltaMin], p.counts[predictDelta2] = [65]uint8{}, [65]uint8{}
	ofMin, of2 := &p.counts[predictDeltaMin], &p.counts[predictDelta2]
	least := s.minDelta
	for _, v := range x {
		d := v - prev
		ofMin[bits.Len64(uint64(d-least))]++
		of2[bits.Len64(zigzag(d-delta))]++
		prev, delta = v, d
	}
}

// countAny is countRising for any integers.
func (p *planner) countAny(x []int64, prev, delta int64, s *intShape) {
	p.counts[predictFrame], p.counts[predictDelta] = [65]uint8{}, [65]uint8{}
	p.counts[predictDelta2] = [65]uint8{}
	ofFrame, ofDelta, of2 := &p.counts[predictFrame], &p.counts[predictDelta], &p.counts[predictDelta2]
	least := s.least
	for _, v := range x {
		d := v - prev
		ofFrame[bits.Len64(uint64(v-least))]++
		ofDelta[bits.Len64(zigzag(d))]++
		of2[bits.Len64(zigzag(d-delta))]++
		prev, delta = v, d
	}
}

// countGrid is countRising for the distance to a regular grid. It returns where that stands.
func (p *planner) countGrid(x []int64, expected, step int64) int64 {
	counts := &p.counts[predictGrid]
	*counts = [65]uint8{}
	for _, v := range x {
		expected += step
		counts[bits.Len64(zigzag(v-expected))]++
	}
	return expected
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
	for i, b := range p.plan {
		head = appendBlockHead(head, b)
		n := p.residuals(&memory.numbers, 1+i*blockRows)
		payload = memory.appendBlock(payload, b, n)
	}
	return head, payload, flagsAt, blocksAt
}

// residuals computes a block of residuals, of the integers from from on.
func (p *streamPlan) residuals(dst *[blockRows]uint64, from int) int {
	x := p.x[from:min(from+blockRows, len(p.x))]
	prev := p.x[from-1]
	switch p.predictor {
	case predictFrame:
		least := p.x[0] + p.param
		for i, v := range x {
			dst[i] = uint64(v - least)
		}
	case predictDelta:
		for i, v := range x {
			dst[i] = zigzag(v - prev)
			prev = v
		}
	case predictDeltaMin:
		for i, v := range x {
			dst[i] = uint64(v - prev - p.param)
			prev = v
		}
	case predictDelta2:
		delta := p.param
		if from > 1 {
			delta = prev - p.x[from-2]
		}
		for i, v := range x {
			dst[i] = zigzag(v - prev - delta)
			prev, delta = v, v-prev
		}
	case predictGrid:
		expected := p.x[0] + int64(from)*p.param
		for i, v := range x {
			dst[i] = zigzag(v - expected)
			expected += p.param
		}
	case predictNeighbour:
		neighbour := p.neighbour[from : from+len(x)]
		apart := prev - p.neighbour[from-1]
		for i, v := range x {
			now := v - neighbour[i]
			dst[i] = zigzag(now - apart)
			apart = now
		}
	}
	return len(x)
}
