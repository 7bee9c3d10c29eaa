package encoding

import "math/bits"

// planner chooses predictors. Its memory is used again by the next choice.
type planner struct {
	packing
	deltas []int64
	tries  [2]candidate
	best   int // Of tries; the other one is free.
	// counts are the bit lengths of the residuals of a block, in two halves: one counter after the
	// other in the same place would wait for the one before.
	counts [2][65]uint8
}

// candidate is what the residuals of a predictor take.
type candidate struct {
	predictor uint8
	param     int64
	blocks    []block
	residuals []uint64
}

// plan finds the cheapest predictor for one integer or more. neighbour are the integers of
// the column before, as many, or nil. grid says to try that too. The plan is valid until the next
// one.
func (p *planner) plan(x, neighbour []int64, grid bool) streamPlan {
	out := streamPlan{rows: len(x), stream: stream{predictor: predictDeltaMin, flags: streamEmpty, first: x[0], divisor: 1}}
	if len(x) == 1 {
		out.size = out.headSize()
		return out
	}
	least, most := p.subtract(x)
	if least == most {
		out.param = least
		out.size = out.headSize()
		return out
	}
	out.flags, out.size = 0, -1
	if neighbour != nil && p.tryNeighbour(&out, x, neighbour) {
		return out
	}
	g := divisorOf(x, p.deltas)
	if g.divisor > 1 {
		for i, d := range p.deltas {
			p.deltas[i] = g.quotient(d)
		}
		least = g.quotient(least)
	}
	p.planAlone(&out, x, least, &g)
	if grid {
		p.tryGrid(&out, x, &g)
	}
	return out
}

// subtract finds the deltas of two integers or more, and their bounds.
func (p *planner) subtract(x []int64) (least, most int64) {
	if cap(p.deltas) < len(x) {
		p.deltas = make([]int64, len(x), max(len(x), 2*blockRows))
	}
	deltas := p.deltas[:len(x)-1]
	p.deltas = deltas
	prev := x[0]
	least = x[1] - prev
	most = least
	for i, v := range x[1:] {
		d := v - prev
		deltas[i] = d
		least, most = min(least, d), max(most, d)
		prev = v
	}
	return least, most
}

// planAlone tries the predictors that are worth it and look at no other column.
func (p *planner) planAlone(out *streamPlan, x []int64, least int64, g *division) {
	if least >= 0 {
		// If the integers do not fall, then deltas are as short as what a frame has, and need no
		// sign; if they do, then deltas with a sign are as short, all in all, as those above the least.
		p.tryDeltaMin(out, least, g)
		if s := p.sample(x, least, 0, g); s.deltas2 < s.deltas {
			p.tryDelta2(out, g)
		}
		return
	}
	low, _ := bounds(x[1:])
	s := p.sample(x, 0, low, g)
	// A bit a number is as much as the sample may be off.
	near := min(s.frame, s.deltas, s.deltas2) + sampled
	if s.frame <= near {
		p.tryFrame(out, x, low, g)
	}
	if s.deltas <= near {
		p.tryDelta(out, g)
	}
	if s.deltas2 <= near {
		p.tryDelta2(out, g)
	}
}

// sampled is of how many residuals the lengths are looked at.
const sampled = 32

// lengths are sums of the bit lengths of residuals.
type lengths struct{ frame, deltas, deltas2 int }

// sample returns the lengths of some residuals from all over the column: above the low integer; of
// the deltas, above the least or, if that is 0, in zigzag form; and of their differences.
func (p *planner) sample(x []int64, least, low int64, g *division) (s lengths) {
	step := (len(p.deltas) + sampled - 1) / sampled
	for i := step; i < len(p.deltas); i += step {
		d := p.deltas[i]
		s.frame += bits.Len64(uint64(g.quotient(x[i+1] - low)))
		s.deltas += bits.Len64(zigzag(d - least))
		s.deltas2 += bits.Len64(zigzag(d - p.deltas[i-1]))
	}
	return s
}

func bounds(x []int64) (least, most int64) {
	least, most = x[0], x[0]
	for _, v := range x[1:] {
		least, most = min(least, v), max(most, v)
	}
	return least, most
}

// tryNeighbour tries the deltas less those of the neighbour. It reports whether they are the
// same, which nothing is smaller than.
func (p *planner) tryNeighbour(out *streamPlan, x, neighbour []int64) (same bool) {
	r := p.begin(predictNeighbour, 1, len(x)-1)
	neighbour = neighbour[:len(x)]
	prev, all := neighbour[0], uint64(0)
	for i, d := range p.deltas {
		v := neighbour[i+1]
		u := zigzag(d - (v - prev))
		prev = v
		r[i] = u
		all |= u
	}
	if all == 0 {
		out.stream = stream{predictor: predictNeighbour, flags: streamEmpty, first: x[0], param: 1, divisor: 1}
		out.size = out.headSize()
		return true
	}
	p.end(out, &division{divisor: 1})
	return false
}

func (p *planner) tryDelta(out *streamPlan, g *division) {
	r := p.begin(predictDelta, 0, len(p.deltas))
	for i, d := range p.deltas {
		r[i] = zigzag(d)
	}
	p.end(out, g)
}

func (p *planner) tryDeltaMin(out *streamPlan, least int64, g *division) {
	r := p.begin(predictDeltaMin, least, len(p.deltas))
	for i, d := range p.deltas {
		r[i] = uint64(d - least)
	}
	p.end(out, g)
}

func (p *planner) tryDelta2(out *streamPlan, g *division) {
	prev := p.deltas[0]
	r := p.begin(predictDelta2, prev, len(p.deltas))
	for i, d := range p.deltas {
		r[i] = zigzag(d - prev)
		prev = d
	}
	p.end(out, g)
}

func (p *planner) tryFrame(out *streamPlan, x []int64, least int64, g *division) {
	r := p.begin(predictFrame, g.quotient(least-x[0]), len(x)-1)
	if g.divisor == 1 {
		for i, v := range x[1:] {
			r[i] = uint64(v - least)
		}
	} else {
		for i, v := range x[1:] {
			r[i] = uint64(g.quotient(v - least))
		}
	}
	p.end(out, g)
}

func (p *planner) tryGrid(out *streamPlan, x []int64, g *division) {
	n := int64(len(p.deltas))
	step := g.quotient(x[n]-x[0]) / n
	r := p.begin(predictGrid, step, len(p.deltas))
	apart := int64(0) // Of the integer and the grid.
	for i, d := range p.deltas {
		apart += d - step
		r[i] = zigzag(apart)
	}
	p.end(out, g)
}

// begin returns the memory for the n residuals of a predictor.
func (p *planner) begin(predictor uint8, param int64, n int) []uint64 {
	c := &p.tries[1-p.best]
	c.predictor, c.param = predictor, param
	if cap(c.residuals) < n+7 {
		c.residuals = make([]uint64, n+7, max(n+7, 2*blockRows))
	}
	c.residuals = c.residuals[:n]
	return c.residuals
}

// end takes the predictor begun if it is the smallest so far.
func (p *planner) end(out *streamPlan, g *division) {
	c := &p.tries[1-p.best]
	s := stream{predictor: c.predictor, param: c.param, first: out.first, divisor: g.divisor}
	if g.divisor > 1 {
		s.flags = streamDivided
	}
	size := s.headSize()
	c.blocks = c.blocks[:0]
	for r := c.residuals; len(r) > 0; {
		n := min(blockRows, len(r))
		b, bytes := p.planBlock(r[:n])
		c.blocks = append(c.blocks, b)
		size += bytes
		r = r[n:]
	}
	if out.size < 0 || size < out.size {
		out.stream, out.size, out.plan, out.residuals = s, size, c.blocks, c.residuals
		p.best = 1 - p.best
	}
}

// planBlock finds the form and width of a block with the smallest exact size.
func (p *planner) planBlock(residuals []uint64) (b block, size int) {
	p.counts = [2][65]uint8{}
	even, odd := &p.counts[0], &p.counts[1]
	r, all := residuals, uint64(0)
	for len(r) >= 2 {
		all |= r[0] | r[1]
		even[bits.Len64(r[0])]++
		odd[bits.Len64(r[1])]++
		r = r[2:]
	}
	if len(r) > 0 {
		all |= r[0]
		even[bits.Len64(r[0])]++
	}
	widest := bits.Len64(all)
	for w := range even[:widest+1] {
		even[w] += odd[w]
	}
	return planCounts(even, len(residuals), widest)
}
