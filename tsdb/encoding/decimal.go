package encoding

import "math"

// MaxExponent is the greatest number of decimals that is tried. 10^14 and 2^53 together leave
// two digits before the point; beyond that the bits are no longer than the digits.
const MaxExponent = 14

// maxMantissa is the greatest |m| of a decimal: up to here every integer is a float.
const maxMantissa = 1 << 53

var (
	pow10    [MaxExponent + 1]float64
	invPow10 [MaxExponent + 1]float64
)

func init() {
	p := 1.0
	for e := range pow10 {
		pow10[e] = p // Exact: below 10^22.
		invPow10[e] = 1 / p
		p *= 10
	}
}

// decimalAt returns the m for which float64(m) / 10^e is v, to the bit. ok is false if there
// is none; so it is for −0, NaN and ±Inf.
func decimalAt(v float64, e int) (m int64, ok bool) {
	if e == 0 {
		return integerAt(v)
	}
	scaled := math.RoundToEven(v * pow10[e])
	// Written so that a NaN fails.
	if !(math.Abs(scaled) <= maxMantissa) {
		return 0, false
	}
	m = int64(scaled)
	return m, math.Float64bits(float64(m)/pow10[e]) == math.Float64bits(v)
}

// integerAt is decimalAt for the exponent 0.
func integerAt(v float64) (m int64, ok bool) {
	// The conversion of a float out of range gives some number, never v again.
	m = int64(v)
	return m, uint64(m+maxMantissa) <= 2*maxMantissa && math.Float64bits(float64(m)) == math.Float64bits(v)
}

// multipleAt is decimalAt for float64(m) * 10^-e, which is what a program computes that
// counts in ticks of 10^-e. It is mostly another float than the quotient.
func multipleAt(v float64, e int) (m int64, ok bool) {
	scaled := math.RoundToEven(v * pow10[e])
	if !(math.Abs(scaled) <= maxMantissa) {
		return 0, false
	}
	m = int64(scaled)
	return m, math.Float64bits(float64(m)*invPow10[e]) == math.Float64bits(v)
}

// decimals fills out with the integers of decimals at e, as far as the values are such, and
// returns how far. out has the length of the values.
func decimals(out []int64, values []float64, e int) int {
	out = out[:len(values)]
	if e == 0 {
		for i, v := range values {
			m, ok := integerAt(v)
			if !ok {
				return i
			}
			out[i] = m
		}
		return len(values)
	}
	p := pow10[e]
	for i, v := range values {
		// A number that is out of range, or none, becomes some integer that is out of range.
		m := int64(math.RoundToEven(v * p))
		if uint64(m+maxMantissa) > 2*maxMantissa || math.Float64bits(float64(m)/p) != math.Float64bits(v) {
			return i
		}
		out[i] = m
	}
	return len(values)
}

// multiples is decimals for multiples.
func multiples(out []int64, values []float64, e int) int {
	out = out[:len(values)]
	for i, v := range values {
		m, ok := multipleAt(v, e)
		if !ok {
			return i
		}
		out[i] = m
	}
	return len(values)
}

// minExponent is the smallest e at which v is a decimal, starting with from; −1 if there is
// none. If v is a decimal at e, it is one at e+1 as well while |m| is small enough, because
// both quotients are the same real number, rounded once.
func minExponent(v float64, from int) int {
	if from > MaxExponent {
		return -1
	}
	// Where |m| is up to 2^50, the product is off by less than a half, so that one look tells
	// of all smaller exponents. Most floats that are no decimals are found out by it.
	most := from
	for most < MaxExponent && math.Abs(v)*pow10[most+1] <= maxMantissa/8 {
		most++
	}
	if m, ok := decimalAt(v, most); ok {
		// The same real number without the last digits, where these are 0.
		for most > from && m%10 == 0 {
			m /= 10
			most--
		}
		return most
	}
	for e := most + 1; e <= MaxExponent && math.Abs(v)*pow10[e] <= 2*maxMantissa; e++ {
		if _, ok := decimalAt(v, e); ok {
			return e
		}
	}
	return -1
}

// Decimal returns the m for which FromDecimal(m, e) is v, to the bit, with |m| at most 2^53.
// ok is false if there is none; so it is for −0, NaN and ±Inf. e is 0 to MaxExponent.
func Decimal(v float64, e int) (m int64, ok bool) {
	if e == 0 {
		return integerAt(v)
	}
	return decimalAt(v, e)
}

// FromDecimal returns float64(m) / 10^e. e is 0 to MaxExponent.
func FromDecimal(m int64, e int) float64 {
	if e == 0 {
		return float64(m)
	}
	return float64(m) / pow10[e]
}

// DecimalExponent is the smallest exponent, from the given one on, at which v is a decimal;
// −1 if there is none.
func DecimalExponent(v float64, from int) int { return minExponent(v, from) }

// OrderedBits maps a float to an integer such that the order of the floats is kept and near
// floats are near integers; every bit pattern has its own integer.
func OrderedBits(v float64) int64 { return orderedBits(v) }

// FromOrderedBits is the inverse of OrderedBits.
func FromOrderedBits(o int64) float64 { return fromOrderedBits(o) }

// special says that a value has no decimal at any exponent, because of what it is.
func special(v float64) bool {
	return math.IsNaN(v) || math.IsInf(v, 0) || (v == 0 && math.Signbit(v))
}

// multipleExponents are the exponents of multiples in the order of how frequent they are.
var multipleExponents = [...]int{3, 6, 9, 1, 2, 4, 5, 7, 8}

// chooseMultiple finds an exponent at which nearly all values are multiples; 0 if there is
// none. It gives up on an exponent at the first few values that do not fit.
func chooseMultiple(values []float64) int {
	best, fewest := 0, len(values)/16+1
	for _, e := range multipleExponents {
		misses := 0
		for _, v := range values {
			if _, ok := multipleAt(v, e); ok || special(v) {
				continue
			}
			if misses++; misses >= fewest {
				break
			}
		}
		if misses < fewest {
			best, fewest = e, misses
		}
		if fewest == 0 {
			break
		}
	}
	return best
}

// plainDecimals is the greatest exponent of values that people write down. Where those have more
// digits, others with less are not rare.
const plainDecimals = 6

// lowerExponent finds the smallest exponent below e at which all but a few values are
// decimals: then the few may be cheaper as exceptions. −1 if there is none.
func lowerExponent(values []float64, e int) int {
	if e <= plainDecimals {
		return -1
	}
	allowed, lowest := len(values)/16, -1
	for lower := e - 1; lower >= 0; lower-- {
		misses := 0
		for _, v := range values {
			if _, ok := decimalAt(v, lower); !ok {
				if misses++; misses > allowed {
					return lowest
				}
			}
		}
		lowest = lower
	}
	return lowest
}

// orderedBits maps a float to an integer such that the order of the floats is kept.
func orderedBits(v float64) int64 {
	b := int64(math.Float64bits(v))
	return b ^ int64(uint64(b>>63)>>1)
}

func fromOrderedBits(o int64) float64 {
	return math.Float64frombits(uint64(o ^ int64(uint64(o>>63)>>1)))
}
