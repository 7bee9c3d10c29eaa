package parse

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// Classes of bytes.
const (
	nameStart  = 1 << iota // may begin a metric name
	nameRest               // may go on in one
	labelStart             // may begin a label name
	labelRest              // may go on in one
)

var class = func() (t [256]uint8) {
	for c := range t {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		digit := c >= '0' && c <= '9'
		if letter {
			t[c] |= labelStart | labelRest
		}
		if letter || c == ':' {
			t[c] |= nameStart | nameRest
		}
		if digit {
			t[c] |= nameRest | labelRest
		}
	}
	return t
}()

// scanned is a sample line of the plain form
//
//	name 1
//	name{label="value",…} 1
//
// up to its number, as offsets into the body.
type scanned struct {
	start, nameEnd, seriesEnd int
	value                     int   // where the number begins
	labels                    []int // begin and end of a name, begin and end of its value
	escaped                   bool  // a value has a backslash
}

// scan scans the line at b[i]. It returns false if the line is not of the plain
// form, which does not mean that it is wrong.
func (s *scanned) scan(b []byte, i int) bool {
	s.start, s.labels, s.escaped = i, s.labels[:0], false
	if class[b[i]]&nameStart == 0 {
		return false
	}
	for i++; class[b[i]]&nameRest != 0; i++ {
	}
	s.nameEnd, s.seriesEnd = i, i
	s.value = skipBlanks(b, i)
	if s.value < len(b) && b[s.value] == '{' {
		if i = s.scanLabels(b, s.value+1); i < 0 {
			return false
		}
		s.seriesEnd, s.value = i, skipBlanks(b, i)
		return s.value < len(b)
	}
	return s.value > i && s.value < len(b)
}

// scanLabels scans the labels at b[i] and returns the index after the closing
// brace, or -1.
func (s *scanned) scanLabels(b []byte, i int) int {
	for {
		i = skipBlanks(b, i)
		if i < len(b) && b[i] == '}' {
			return i + 1
		}
		if i >= len(b) || class[b[i]]&labelStart == 0 {
			return -1
		}
		name := i
		for i++; class[b[i]]&labelRest != 0; i++ {
		}
		nameEnd := i
		if i = skipBlanks(b, i); i >= len(b) || b[i] != '=' {
			return -1
		}
		if i = skipBlanks(b, i+1); i >= len(b) || b[i] != '"' {
			return -1
		}
		end := s.scanValue(b, i+1)
		if end < 0 {
			return -1
		}
		s.labels = append(s.labels, name, nameEnd, i+1, end)
		if i = skipBlanks(b, end+1); i < len(b) && b[i] == ',' {
			i++
		}
	}
}

// scanValue returns the index of the quote that ends the label value at b[i], or
// -1.
func (s *scanned) scanValue(b []byte, i int) int {
	first, ascii := i, true
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			if !ascii && !utf8.Valid(b[first:i]) {
				return -1
			}
			return i
		case c == '\\':
			s.escaped = true
			if i++; i >= len(b) || b[i] == '\n' || b[i] == 0 {
				return -1
			}
			ascii = ascii && b[i] < utf8.RuneSelf
		case c == '\n' || c == 0:
			return -1
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return -1
}

var valueEscapes = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\n`, "\n")

// build returns the labels of the line. typ is the type that the last TYPE line
// before it told.
func (s *scanned) build(b []byte, typ model.MetricType, sb *labels.ScratchBuilder) labels.Labels {
	// One string for all labels, since a builder may keep what it is given.
	text := string(b[s.start:s.seriesEnd])
	sb.Reset()
	sb.Add(model.MetricNameLabel, text[:s.nameEnd-s.start])
	for i := 0; i < len(s.labels); i += 4 {
		name := text[s.labels[i]-s.start : s.labels[i+1]-s.start]
		value := text[s.labels[i+2]-s.start : s.labels[i+3]-s.start]
		if s.escaped {
			value = valueEscapes.Replace(value)
		}
		sb.Add(name, normalizeBound(typ, name, value))
	}
	sb.Sort()
	return sb.Labels()
}

// normalizeBound returns the value of a label as Prometheus stores it: the bounds
// of histogram buckets and the quantiles of summaries are written as OpenMetrics
// has them, so that 1 and 1.0 are the same bucket.
func normalizeBound(typ model.MetricType, name, value string) string {
	if name == model.BucketLabel && typ == model.MetricTypeHistogram ||
		name == model.QuantileLabel && typ == model.MetricTypeSummary {
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			return labels.FormatOpenMetricsFloat(v)
		}
	}
	return value
}

// comment is a comment line of the plain form.
type comment struct {
	kind uint8
	name []byte
	text []byte
	typ  uint8 // index into typeCodes
	end  int   // after the line break
}

// Kinds of comments.
const (
	otherComment = iota
	helpComment
	typeComment
)

var helpEscapes = strings.NewReplacer(`\\`, `\`, `\n`, "\n")

// scanComment scans the comment line at b[i], which begins with #. It returns
// false if the line is not of the plain form.
func scanComment(b []byte, i int) (c comment, ok bool) {
	n := bytes.IndexByte(b[i:], '\n')
	if n < 0 || bytes.IndexByte(b[i:i+n], 0) >= 0 {
		return c, false
	}
	c.end = i + n + 1
	rest := b[i+1 : i+n]
	word := bytes.TrimLeft(rest, " \t")
	if len(word) == len(rest) || len(word) < 5 || word[4] != ' ' && word[4] != '\t' {
		return c, true
	}
	switch string(word[:4]) {
	case "HELP":
		c.kind = helpComment
	case "TYPE":
		c.kind = typeComment
	default:
		return c, true
	}
	if c.name, c.text, ok = splitMetadata(word[5:]); !ok {
		return c, false
	}
	if c.kind == helpComment {
		if !utf8.Valid(c.text) {
			return c, false
		}
		if bytes.IndexByte(c.text, '\\') >= 0 {
			c.text = []byte(helpEscapes.Replace(string(c.text)))
		}
		return c, true
	}
	c.typ, ok = textTypes[string(c.text)]
	return c, ok
}

// splitMetadata splits a metric name from the text after it.
func splitMetadata(b []byte) (name, text []byte, ok bool) {
	b = bytes.TrimLeft(b, " \t")
	if len(b) == 0 || class[b[0]]&nameStart == 0 {
		return nil, nil, false
	}
	i := 1
	for i < len(b) && class[b[i]]&nameRest != 0 {
		i++
	}
	name, text = b[:i], b[i:]
	// Prometheus takes the byte after the name for a blank, whatever it is, and
	// blanks alone for no text.
	if len(bytes.TrimLeft(text, " \t")) == 0 {
		return name, nil, true
	}
	return name, text[1:], true
}

// textTypes has the indices into typeCodes of the types by their names in the text
// format.
var textTypes = map[string]uint8{"untyped": 1, "counter": 2, "gauge": 3, "histogram": 4, "summary": 5}
