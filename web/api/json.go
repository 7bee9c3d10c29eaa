package api

import (
	"io"
	"math"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
)

// spillBytes is how much an encoder gathers before it writes.
const spillBytes = 64 << 10

// encoder appends JSON to a buffer, in the very form in which Prometheus's
// marshaller writes it, and passes the buffer on whenever it is full. Nesting,
// commas and field names are the caller's business. It is used by one
// goroutine.
type encoder struct {
	buf []byte
	// out gets what spills; nil keeps everything in buf.
	out io.Writer
	// err is the first error of out. Later bytes are dropped.
	err error
}

var encoders = sync.Pool{New: func() any { return &encoder{buf: make([]byte, 0, spillBytes+4<<10)} }}

// newEncoder returns an empty encoder that writes to out. Give it back with
// free.
func newEncoder(out io.Writer) *encoder {
	e := encoders.Get().(*encoder)
	e.buf, e.out, e.err = e.buf[:0], out, nil
	return e
}

// free gives the encoder back for reuse, unless a single long string made it
// too large to keep.
func (e *encoder) free() {
	e.out = nil
	if cap(e.buf) <= 4*spillBytes {
		encoders.Put(e)
	}
}

// flush writes what is in the buffer.
func (e *encoder) flush() {
	if e.out != nil && e.err == nil && len(e.buf) > 0 {
		_, e.err = e.out.Write(e.buf)
	}
	e.buf = e.buf[:0]
}

// spill writes what is in the buffer if that is a lot. It is called between the
// elements of what may be long.
func (e *encoder) spill() {
	if len(e.buf) >= spillBytes && e.out != nil {
		e.flush()
	}
}

// raw appends s as it is.
func (e *encoder) raw(s string) { e.buf = append(e.buf, s...) }

// rawByte appends c as it is.
func (e *encoder) rawByte(c byte) { e.buf = append(e.buf, c) }

// comma appends a comma before every element of a list but the first.
func (e *encoder) comma(i int) {
	if i > 0 {
		e.buf = append(e.buf, ',')
	}
}

// integer appends i.
func (e *encoder) integer(i int64) { e.buf = strconv.AppendInt(e.buf, i, 10) }

// unsigned appends u.
func (e *encoder) unsigned(u uint64) { e.buf = strconv.AppendUint(e.buf, u, 10) }

// boolean appends b.
func (e *encoder) boolean(b bool) { e.buf = strconv.AppendBool(e.buf, b) }

// float appends f as a number, or null if it is none.
func (e *encoder) float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		e.raw("null")
		return
	}
	e.buf = appendFloat(e.buf, f)
}

// seconds appends d as a number of seconds.
func (e *encoder) seconds(d time.Duration) { e.float(d.Seconds()) }

// time appends t in the form of RFC 3339.
func (e *encoder) time(t time.Time) {
	e.rawByte('"')
	e.buf = t.AppendFormat(e.buf, time.RFC3339Nano)
	e.rawByte('"')
}

// timestamp appends t, milliseconds, as seconds with up to three decimals.
func (e *encoder) timestamp(t int64) { e.buf = appendTimestamp(e.buf, t) }

// sampleValue appends f as a string, since JSON has no NaN and no infinities.
func (e *encoder) sampleValue(f float64) {
	e.rawByte('"')
	e.buf = appendFloat(e.buf, f)
	e.rawByte('"')
}

// str appends s with the characters escaped that mean something to HTML.
func (e *encoder) str(s string) { e.buf = appendString(e.buf, s, true) }

// plainStr appends s and escapes only what JSON demands. Prometheus writes
// label names and values this way.
func (e *encoder) plainStr(s string) { e.buf = appendString(e.buf, s, false) }

// strs appends a list of strings.
func (e *encoder) strs(list []string) {
	e.rawByte('[')
	for i, s := range list {
		e.comma(i)
		e.str(s)
		e.spill()
	}
	e.rawByte(']')
}

// labels appends a label set.
func (e *encoder) labels(ls labels.Labels) {
	e.rawByte('{')
	i := 0
	ls.Range(func(l labels.Label) {
		e.comma(i)
		i++
		e.plainStr(l.Name)
		e.rawByte(':')
		e.plainStr(l.Value)
	})
	e.rawByte('}')
}

// histogram appends a native histogram: count, sum and the buckets that are not
// empty, each as its boundary rule, bounds and count.
func (e *encoder) histogram(h *histogram.FloatHistogram) {
	e.raw(`{"count":`)
	e.sampleValue(h.Count)
	e.raw(`,"sum":`)
	e.sampleValue(h.Sum)
	buckets := 0
	for it := h.AllBucketIterator(); it.Next(); {
		b := it.At()
		if b.Count == 0 {
			continue
		}
		if buckets == 0 {
			e.raw(`,"buckets":[`)
		}
		e.comma(buckets)
		buckets++
		e.rawByte('[')
		e.integer(boundaryRule(b.LowerInclusive, b.UpperInclusive))
		e.rawByte(',')
		e.sampleValue(b.Lower)
		e.rawByte(',')
		e.sampleValue(b.Upper)
		e.rawByte(',')
		e.sampleValue(b.Count)
		e.rawByte(']')
	}
	if buckets > 0 {
		e.rawByte(']')
	}
	e.rawByte('}')
}

// boundaryRule is the number by which the API says which bounds belong to a
// bucket.
func boundaryRule(lower, upper bool) int64 {
	switch {
	case lower && upper:
		return 3
	case lower:
		return 1
	case upper:
		return 0
	default:
		return 2
	}
}

// appendFloat appends the shortest decimal that reads back as f, with an
// exponent where it is very small or very large.
func appendFloat(b []byte, f float64) []byte {
	if out, ok := appendDecimal(b, f); ok {
		return out
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64)
}

// appendDecimal appends f if it is a number of up to 15 digits with up to three
// decimals, as most of what is measured is. That is several times cheaper than
// the search for the shortest decimal, and has the same result: no two decimals
// of up to 15 digits read as the same float, so that the shortest one is this
// one without its trailing zeros. −0 is left to the general case.
func appendDecimal(b []byte, f float64) ([]byte, bool) {
	scale := 1.0
	for decimals := range 4 {
		n := f * scale
		i := int64(n)
		// The quotient of two integers that are exact is the float nearest to
		// the decimal: this tells whether the decimal reads back as f.
		if float64(i) != n || float64(i)/scale != f {
			scale *= 10
			continue
		}
		if i <= -1e15 || i >= 1e15 || i == 0 && math.Signbit(f) {
			return b, false
		}
		if decimals == 0 {
			return strconv.AppendInt(b, i, 10), true
		}
		// f*scale was rounded, and so may have missed with fewer decimals.
		unit := int64(scale)
		for i%10 == 0 && unit > 1 {
			i, unit = i/10, unit/10
		}
		if i < 0 {
			b = append(b, '-')
			i = -i
		}
		b = strconv.AppendInt(b, i/unit, 10)
		if unit > 1 {
			b = append(b, '.')
		}
		for unit /= 10; unit > 0; unit /= 10 {
			b = append(b, byte('0'+i/unit%10))
		}
		return b, true
	}
	return b, false
}

// appendTimestamp appends t, milliseconds, as seconds. If there is a fraction
// it has all three decimals.
func appendTimestamp(b []byte, t int64) []byte {
	u := uint64(t)
	if t < 0 {
		b = append(b, '-')
		u = -u
	}
	b = strconv.AppendUint(b, u/1000, 10)
	if f := u % 1000; f != 0 {
		b = append(b, '.', byte('0'+f/100), byte('0'+f/10%10), byte('0'+f%10))
	}
	return b
}

const hexDigits = "0123456789abcdef"

// appendString appends s in quotes. Bytes that are not UTF-8 become U+FFFD. If
// html is true, what means something to HTML and the line separators that
// JavaScript does not take in strings are escaped too.
func appendString(b []byte, s string, html bool) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && (!html || c != '<' && c != '>' && c != '&') {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			b = appendEscaped(b, c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, s[start:i]...)
			b = append(b, `\ufffd`...)
			start = i + size
		case html && (r == '\u2028' || r == '\u2029'):
			b = append(b, s[start:i]...)
			b = append(b, `\u202`...)
			b = append(b, hexDigits[r&0xf])
			start = i + size
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// appendEscaped appends an ASCII character that must not stand for itself.
func appendEscaped(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	default:
		return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
}
