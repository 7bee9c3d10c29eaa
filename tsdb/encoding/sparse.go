package encoding

import (
	"math"
	"math/bits"
)

// changes are the rows of a column at which its value is another one than in the row before: all
// there is to look at in a column that seldom changes.
type changes struct {
	rows   []int32 // Ascending; the first row is one.
	values []float64
}

// find finds the changes of one value or more. It reports false, and gives up early, if there are too
// many for that to be worth it.
func (c *changes) find(values []float64) bool {
	const look = 32 // Rows, between two looks at the number.
	allowed := len(values) / 8
	if cap(c.rows) < allowed+look+2 {
		c.rows, c.values = make([]int32, allowed+look+2), make([]float64, allowed+look+2)
	}
	rows, found := c.rows[:cap(c.rows)], c.values[:cap(c.values)]
	rows[0], found[0] = 0, values[0]
	last, k := math.Float64bits(values[0]), 1
	for from := 1; from < len(values); from += look {
		part := values[from:min(from+look, len(values))]
		if k > allowed {
			return false
		}
		rows, found := rows[k:k+look+1], found[k:k+look+1]
		n := 0
		for i, v := range part {
			// Without a branch: the next one overwrites what is no change.
			b := math.Float64bits(v)
			x := b ^ last
			last = b
			rows[n&(look-1)], found[n&(look-1)] = int32(from+i), v
			n += int((x | -x) >> 63)
		}
		k += n
	}
	c.rows, c.values = rows[:k], found[:k]
	return k-1 <= allowed
}

// chooseSparse is choose for a column with few changes that are all told by decimals. It reports
// false if the column is not such.
func (c *chooser) chooseSparse(values []float64) bool {
	if !c.changes.find(values) {
		return false
	}
	e := c.scanDecimals(c.changes.values)
	if e < 0 || e > surelyDecimal || len(c.exceptions) > 0 {
		return false
	}
	c.main = c.planner.planSparse(c.integers, c.changes.rows, len(values))
	c.size = 2 + c.main.size
	return true
}

// planSparse is plan for x that are all different from the one before, at some rows of n. In rows
// between, an integer is that of the row before.
//
// The deltas are the smallest, and take a few bytes each; neither their differences nor a frame is
// worth the look.
func (p *planner) planSparse(x []int64, rows []int32, n int) streamPlan {
	least, _ := p.subtract(x)
	g := divisorOf(x, p.deltas)
	out := streamPlan{rows: n, changes: rows[1:], stream: stream{predictor: predictDelta, first: x[0], divisor: g.divisor}}
	if g.divisor > 1 {
		out.flags = streamDivided
	}
	r := p.begin(predictDelta, 0, len(p.deltas))
	if least >= 0 {
		out.predictor = predictDeltaMin
		for i, d := range p.deltas {
			r[i] = uint64(g.quotient(d))
		}
	} else {
		for i, d := range p.deltas {
			r[i] = zigzag(g.quotient(d))
		}
	}
	out.residuals = r
	out.size = out.headSize()
	blocks := p.tries[1-p.best].blocks[:0]
	for from := 1; from < n; from += blockRows {
		count, size := min(blockRows, n-from), 0
		k := 0
		counts, all := &p.counts[0], uint64(0)
		*counts = [65]uint8{}
		for k < len(r) && int(rows[1+k]) < from+count {
			counts[bits.Len64(r[k])]++
			all |= r[k]
			k++
		}
		counts[0] = uint8(count - k)
		r, rows = r[k:], rows[k:]
		var b block
		b, size = planCounts(counts, count, bits.Len64(all))
		blocks = append(blocks, b)
		out.size += size
	}
	p.tries[1-p.best].blocks, out.plan = blocks, blocks
	return out
}

// appendSparse appends the payload of a block of n residuals, which begins at a row of a sparse
// column.
func (p *streamPlan) appendSparse(dst []byte, b block, from, n int, memory *packing) []byte {
	k := 0
	for k < len(p.changes) && int(p.changes[k]) < from+n {
		k++
	}
	rows, residuals := p.changes[:k], p.residuals[:k]
	p.changes, p.residuals = p.changes[k:], p.residuals[k:]
	switch {
	case b.form == formBitmap:
		var bitmap [blockRows / 64]uint64
		for _, row := range rows {
			i := int(row) - from
			bitmap[i/64&1] |= 1 << (i % 64)
		}
		dst = appendBitmap(dst, &bitmap, n)
		return appendPacked(dst, memory.numbers[:], copy(memory.numbers[:], residuals), int(b.width))
	case b.sparse():
		for i, row := range rows {
			memory.second[i%blockRows] = residuals[i]<<exceptionRowBits | uint64(int(row)-from)
		}
		return appendPacked(dst, memory.second[:], k, int(b.extra)+exceptionRowBits)
	}
	all := memory.numbers[:n]
	clear(all)
	for i, row := range rows {
		all[int(row)-from] = residuals[i]
	}
	return memory.appendBlock(dst, b, all)
}

// expand makes the integers of a sparse column those of all its rows.
func (c *chooser) expand() {
	if c.main.rows == len(c.integers) {
		return
	}
	n, to := len(c.integers), c.main.rows
	c.integers = growSlice(c.integers, to-n)
	for n--; to > n+1; n-- {
		m, from := c.integers[n], int(c.changes.rows[n])
		for to > from {
			to--
			c.integers[to] = m
		}
	}
}
