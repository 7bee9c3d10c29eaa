package parse

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unsafe"

	"github.com/prometheus/prometheus/model/value"
)

// powersOfTen are the powers of ten that a float64 has exactly.
var powersOfTen = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// number reads the number that begins at b[i] and returns it with the index of
// the byte after it, which is a blank or a line break. b must end with a line
// break. ok is false if there is no such number there.
//
// A decimal of up to 19 digits whose digits are below 2^53 and whose exponent is
// within ±22 is a single multiplication or division of two exact float64, so
// its result is rounded once, hence correctly. Everything else is left to
// strconv.
func number(b []byte, i int) (v float64, end int, ok bool) {
	start := i
	if i >= len(b) {
		return 0, i, false
	}
	negative := b[i] == '-'
	if negative {
		i++
	}
	var mantissa uint64
	first := i
	for i < len(b) && b[i]-'0' < 10 {
		mantissa = mantissa*10 + uint64(b[i]-'0')
		i++
	}
	digits := i - first
	exponent := 0
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for i < len(b) && b[i]-'0' < 10 {
			mantissa = mantissa*10 + uint64(b[i]-'0')
			i++
		}
		exponent = point - i
		digits -= exponent
	}
	if digits == 0 || digits > 19 {
		return slowNumber(b, start)
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		var e int
		if e, i, ok = decimalExponent(b, i+1); !ok {
			return slowNumber(b, start)
		}
		exponent += e
	}
	if i >= len(b) || b[i] != '\n' && b[i] != ' ' && b[i] != '\t' || mantissa > 1<<53 {
		return slowNumber(b, start)
	}
	switch v = float64(mantissa); {
	case exponent == 0:
	case exponent < 0 && exponent >= -22:
		v /= powersOfTen[-exponent]
	case exponent > 0 && exponent <= 22:
		v *= powersOfTen[exponent]
	default:
		return slowNumber(b, start)
	}
	if negative {
		v = -v
	}
	return v, i, true
}

// decimalExponent reads what follows the e of a number, at most four digits.
func decimalExponent(b []byte, i int) (e, end int, ok bool) {
	negative := false
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		negative = b[i] == '-'
		i++
	}
	first := i
	for i < len(b) && b[i]-'0' < 10 && i-first < 4 {
		e = e*10 + int(b[i]-'0')
		i++
	}
	if negative {
		e = -e
	}
	return e, i, i > first
}

// slowNumber reads the number in all its forms: NaN, infinities, hexadecimal,
// many digits.
func slowNumber(b []byte, i int) (v float64, end int, ok bool) {
	for end = i; end < len(b) && !endsNumber(b[end]); end++ {
	}
	if end == i || end == len(b) || b[end] == '{' || b[end] == 0 {
		return 0, end, false
	}
	v, err := parseFloat(unsafe.String(&b[i], end-i))
	return v, end, err == nil
}

func endsNumber(c byte) bool {
	return c == '\n' || c == ' ' || c == '\t' || c == '{' || c == 0
}

var errNumber = errors.New("unsupported character in float")

// parseFloat reads a number as Prometheus does: what strconv reads, but without
// binary exponents and underscores, and with one bit pattern for all NaN, so that
// no exposition can make a staleness marker.
func parseFloat(s string) (float64, error) {
	if strings.ContainsAny(s, "pP_") {
		return 0, errNumber
	}
	v, err := strconv.ParseFloat(s, 64)
	if math.IsNaN(v) {
		v = math.Float64frombits(value.NormalNaN)
	}
	return v, err
}

// timestamp reads what may follow a number at b[i]: blanks, a client timestamp,
// blanks, and the end of the line. next is the index of the next line.
func timestamp(b []byte, i int) (t int64, has bool, next int, ok bool) {
	i = skipBlanks(b, i)
	first := i
	for i < len(b) && b[i]-'0' < 10 {
		i++
	}
	if i > first {
		var err error
		if t, err = strconv.ParseInt(unsafe.String(&b[first], i-first), 10, 64); err != nil {
			return 0, false, i, false
		}
		has = true
		i = skipBlanks(b, i)
	}
	if i >= len(b) || b[i] != '\n' {
		return 0, false, i, false
	}
	return t, has, i + 1, true
}

func skipBlanks(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}
