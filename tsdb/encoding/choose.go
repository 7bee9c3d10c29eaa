package encoding

import (
	"math"
	"math/bits"
)

// Kinds of a column; they never change.
const (
	kindConstantBits = iota
	kindConstantDecimal
	kindDecimal
	kindMultiple
	kindOrderedBits
	kindUlps
	kindDictionary

	kinds = kindDictionary + 1
)

// maxDictionary is the greatest number of values in a dictionary.
const maxDictionary = 64

// form is a way to store a column: a kind and its exponent.
type form struct{ kind, exponent uint8 }

// chooser finds the form that takes the fewest bytes. Its memory is used again by the next
// choice.
type chooser struct {
	form
	size       int
	main, ulps streamPlan
	exceptions []int // Rows that the integers do not tell.
	later      []int // Some of them, while the others are found anew.
	changes    changes
	dictionary []uint64

	integers, second  []int64
	planner, ulpsPlan planner
	places            [2 * maxDictionary]uint8 // Hash table of the dictionary: place + 1.
}

// neighbour is a column that another may be told by: integers of one form.
type neighbour struct {
	form
	integers []int64 // nil if there is none.
}

// choose plans a column of one value or more that are not all the same.
func (c *chooser) choose(values []float64, n neighbour) {
	if n.integers == nil && c.chooseSparse(values) {
		return
	}
	best, size := form{kindOrderedBits, 0}, math.MaxInt
	try := func(f form) {
		if c.plan(values, f, n) && c.size < size {
			best, size = f, c.size
		}
	}
	switch e := c.scanDecimals(values); {
	case e >= 0 && len(c.exceptions) <= len(values)/2:
		c.planFilled(values, n)
		best, size = c.form, c.size
		if lower := lowerExponent(values, e); lower >= 0 {
			try(form{kindDecimal, uint8(lower)})
		}
		if e > surelyDecimal || c.exceptionsSize(values) > len(values)/8 {
			try(c.likelyForm(values))
		}
	default:
		if e := chooseMultiple(values); e > 0 {
			try(form{kindMultiple, uint8(e)})
		}
		try(c.likelyForm(values))
	}
	if size != c.size || c.form != best {
		c.plan(values, best, n)
	}
	c.tryDictionary(values, n)
}

// surelyDecimal is the greatest exponent of decimals that are not likely to be floats of another
// origin that happen to have few digits.
const surelyDecimal = 9

// scanDecimals fills the integers with decimals of the smallest exponent at which all values
// are such, but for specials and a few others. It returns the exponent, −1 if there is none.
func (c *chooser) scanDecimals(values []float64) int {
	c.integers, c.exceptions = growSlice(c.integers[:0], len(values)), c.exceptions[:0]
	out := c.integers[:len(values)]
	e, raised, misses := 0, 0, 0
	for at := 0; ; {
		if at += decimals(out[at:], values[at:], e); at == len(values) {
			break
		}
		if v := values[at]; !special(v) {
			if up := minExponent(v, e+1); up >= 0 {
				e, raised = up, at
				continue
			}
			if misses++; misses > len(values)/16 {
				return -1
			}
		}
		c.exception(at)
		at++
	}
	c.form = form{kindDecimal, uint8(e)}
	if raised > 0 {
		// Those before are decimals of this exponent as well, unless it pushes them over 2^53.
		later := c.exceptions
		for len(later) > 0 && later[0] < raised {
			later = later[1:]
		}
		c.later = append(c.later[:0], later...)
		c.exceptions = c.exceptions[:0]
		c.fill(values[:raised], decimals, e)
		c.exceptions = append(c.exceptions, c.later...)
		if len(c.exceptions) > misses+len(values)/16 {
			return -1
		}
	}
	return e
}

// exception notes that the integers do not tell a row: they repeat the one before.
func (c *chooser) exception(row int) {
	c.exceptions = append(c.exceptions, row)
	c.integers[row] = 0
	if row > 0 {
		c.integers[row] = c.integers[row-1]
	}
}

// fill fills the integers, and the exceptions, with decimals or multiples.
func (c *chooser) fill(values []float64, with func(out []int64, values []float64, e int) int, e int) {
	out := c.integers[:len(values)]
	for at := 0; ; at++ {
		if at += with(out[at:], values[at:], e); at == len(values) {
			return
		}
		c.exception(at)
	}
}

// likelyForm looks at the first changes of a column that has no decimals for which of the forms
// that take any float is likely to be the smallest.
func (c *chooser) likelyForm(values []float64) form {
	const most = 48
	var changed [most]float64
	k, last := 0, math.NaN()
	for _, v := range values {
		if v != last && v == v {
			changed[k%most] = v
			if k++; k == most {
				break
			}
		}
		last = v
	}
	bitsOf := func(a, b int64) int { return bits.Len64(zigzag(a - b)) }
	best, least := form{kindOrderedBits, 0}, 0
	for i, v := range changed[1:max(1, k)] {
		least += bitsOf(orderedBits(v), orderedBits(changed[i]))
	}
	for _, e := range [...]uint8{9, 6, 3} {
		sum, lastM := 0, int64(0)
		for i, v := range changed[:k] {
			scaled := math.RoundToEven(v * pow10[e])
			if !(math.Abs(scaled) <= maxMantissa) {
				sum += 64
				continue
			}
			m := int64(scaled)
			sum += bitsOf(orderedBits(v), orderedBits(float64(m)/pow10[e]))
			if i > 0 {
				sum += bitsOf(m, lastM)
			}
			lastM = m
		}
		if sum < least {
			best, least = form{kindUlps, e}, sum
		}
	}
	return best
}

// tryDictionary takes a dictionary instead of the planned form if that is smaller: it never is where
// no value comes back.
func (c *chooser) tryDictionary(values []float64, n neighbour) {
	if c.main.predictor == predictDeltaMin && c.kind == kindDecimal && len(c.exceptions) == 0 {
		return
	}
	was, size := c.form, c.size
	if !c.collect(values, min(maxDictionary, size/8)) {
		return
	}
	if c.plan(values, form{kindDictionary, 0}, n); c.size >= size {
		c.plan(values, was, n)
	}
}

// planMain plans the stream of the integers.
func (c *chooser) planMain(n neighbour) {
	var beside []int64
	if n.integers != nil && n.form == c.form && len(n.integers) == len(c.integers) {
		beside = n.integers
	}
	c.main = c.planner.plan(c.integers, beside, false)
	c.size = 2 + c.main.size
}

// plan plans a form. It reports false if that serves too few values.
func (c *chooser) plan(values []float64, f form, n neighbour) bool {
	c.form, c.exceptions = f, c.exceptions[:0]
	c.integers = growSlice(c.integers[:0], len(values))
	switch f.kind {
	case kindDecimal:
		c.fill(values, decimals, int(f.exponent))
	case kindMultiple:
		c.fill(values, multiples, int(f.exponent))
	case kindOrderedBits:
		for i, v := range values {
			c.integers[i] = orderedBits(v)
		}
	case kindUlps:
		c.decimalsAndUlps(values, int(f.exponent))
	case kindDictionary:
		for i, v := range values {
			c.integers[i] = int64(c.place(math.Float64bits(v)) - 1)
		}
	}
	if len(c.exceptions) > len(values)/2 {
		return false
	}
	c.planFilled(values, n)
	return true
}

// planFilled plans the streams of the form whose integers are there.
func (c *chooser) planFilled(values []float64, n neighbour) {
	c.leadIn()
	c.planMain(n)
	c.size += c.exceptionsSize(values)
	switch c.kind {
	case kindUlps:
		c.ulps = c.ulpsPlan.plan(c.second, nil, false)
		c.size += c.ulps.size
	case kindDictionary:
		c.size += 1 + 8*len(c.dictionary)
	}
}

// leadIn lets exceptions at the start repeat the first integer that is none, so that they cost
// nothing in the stream.
func (c *chooser) leadIn() {
	lead := 0
	for lead < len(c.exceptions) && c.exceptions[lead] == lead {
		lead++
	}
	if lead < len(c.integers) {
		for i := range lead {
			c.integers[i] = c.integers[lead]
		}
	}
}

// decimalsAndUlps splits each value into the nearest decimal and how many floats it is away.
func (c *chooser) decimalsAndUlps(values []float64, e int) {
	c.second = growSlice(c.second[:0], len(values))
	m, ulps := int64(0), int64(0)
	for i, v := range values {
		scaled := math.RoundToEven(v * pow10[e])
		if math.Abs(scaled) <= maxMantissa {
			m = int64(scaled)
			ulps = orderedBits(v) - orderedBits(float64(m)/pow10[e])
		} else {
			c.exceptions = append(c.exceptions, i)
		}
		c.integers[i], c.second[i] = m, ulps
	}
}

// exceptionsSize is the number of bytes of the exceptions.
func (c *chooser) exceptionsSize(values []float64) int {
	if len(c.exceptions) == 0 {
		return 0
	}
	size := uvarintLen(bits.Len(uint(len(c.exceptions))))
	for _, row := range c.exceptions {
		size++
		if math.Float64bits(values[row]) != staleBits {
			size += 8
		}
	}
	return size
}

// collect fills the dictionary, if there are at most limit values.
func (c *chooser) collect(values []float64, limit int) bool {
	c.places, c.dictionary = [2 * maxDictionary]uint8{}, c.dictionary[:0]
	var prev uint64
	for i, v := range values {
		b := math.Float64bits(v)
		if i > 0 && b == prev {
			continue
		}
		prev = b
		if c.place(b) > 0 {
			continue
		}
		if len(c.dictionary) == limit {
			return false
		}
		c.dictionary = append(c.dictionary, b)
		slot := hashBits(b)
		for c.places[slot] != 0 {
			slot = (slot + 1) % len(c.places)
		}
		c.places[slot] = uint8(len(c.dictionary))
	}
	return true
}

func hashBits(b uint64) int { return int(b * 0x9e3779b97f4a7c15 >> (64 - 7)) }

// place is one more than the place of a value in the dictionary; 0 if it is not there.
func (c *chooser) place(b uint64) uint8 {
	for slot := hashBits(b); ; slot = (slot + 1) % len(c.places) {
		p := c.places[slot]
		if p == 0 || c.dictionary[p-1] == b {
			return p
		}
	}
}
