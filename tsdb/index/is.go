package index

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/prometheus/prometheus/model/labels"
)

// flatLabels says that label sets are one string, and its layout: for each label the length of
// the name in a byte, the name, and likewise the value; a byte of 255 begins a longer length. It
// is so unless the binary is built with another implementation of labels.
var flatLabels = unsafe.Sizeof(labels.Labels{}) == unsafe.Sizeof("") &&
	string(labels.FromStrings("a", "bc", "de", "f").Bytes(nil)) == "\x01a\x02bc\x02de\x01f"

// flat returns the string that a label set is if flatLabels.
func flat(ls labels.Labels) string { return *(*string)(unsafe.Pointer(&ls)) }

// Is reports whether the set, which has a user, is ls.
func (s *LabelSets) Is(set LabelSet, ls labels.Labels) bool {
	c := comparison{symbols: *s.symbols.chunks.Load(), own: s.part(set.own).pairs}
	if flatLabels {
		if t := s.texts.get(s, set.shared); t != nil && !t.long {
			if same, ok := c.isText(t, flat(ls)); ok {
				return same
			}
			c.own = s.part(set.own).pairs
		}
	}
	c.shared = s.part(set.shared).pairs
	same := true
	ls.Range(func(l labels.Label) { same = same && c.next(l.Name, l.Value) })
	return same && len(c.own)+len(c.shared) == 0
}

// comparison is what is left of the parts of a set.
type comparison struct {
	symbols     []*[symbolChunk]string
	own, shared string
}

func (c *comparison) string(n Symbol) string { return c.symbols[n>>symbolShift][n%symbolChunk] }

// next reports whether the next label of the set, which is the next one of a part, is the one
// given.
func (c *comparison) next(name, value string) bool {
	for _, part := range [2]*string{&c.own, &c.shared} {
		if len(*part) == 0 {
			continue
		}
		if p, rest := takePair(*part); c.string(p.Name) == name {
			*part = rest
			return c.string(p.Value) == value
		}
	}
	return false
}

// isText reports whether ls has the labels of a text and the own ones. It is not ok if one of
// those is too long for it to tell.
func (c *comparison) isText(t *partText, ls string) (same, ok bool) {
	text, from, next := t.text, 0, 0
	for {
		// As many labels of the text as come next.
		n := from + commonPrefix(ls, text[from:])
		begin := from
		for next < len(t.ends) && int(t.ends[next]) <= n {
			from = int(t.ends[next])
			next++
		}
		ls = ls[from-begin:]
		if len(c.own) == 0 {
			return len(ls) == 0 && from == len(text), true
		}
		// Then an own one.
		var p Pair
		p, c.own = takePair(c.own)
		name, value := c.string(p.Name), c.string(p.Value)
		if len(name) >= math.MaxUint8 || len(value) >= math.MaxUint8 {
			return false, false
		}
		behind := len(name) + 1
		end := behind + 1 + len(value)
		if len(ls) < end || int(ls[0]) != len(name) || int(ls[behind]) != len(value) || ls[1:behind] != name || ls[behind+1:end] != value {
			return false, true
		}
		ls = ls[end:]
	}
}

// commonPrefix returns how many bytes two strings have in common.
func commonPrefix(a, b string) int {
	x, y := unsafe.Slice(unsafe.StringData(a), len(a)), unsafe.Slice(unsafe.StringData(b), len(b))
	n, most := 0, min(len(x), len(y))
	for n+8 <= most && binary.LittleEndian.Uint64(x[n:]) == binary.LittleEndian.Uint64(y[n:]) {
		n += 8
	}
	for n < most && x[n] == y[n] {
		n++
	}
	return n
}

// partTexts has some of the parts that sets share as they lie in flat label sets, since nearly
// all that is compared of a series is what its target has. A part has one place, which another
// gets that is asked for twice in a row there.
type partTexts struct {
	known [textPlaces]atomic.Pointer[partText]
	asked [textPlaces]atomic.Uint32
}

const textPlaces = 1 << 10

// partText is a part as it lies in a flat label set.
type partText struct {
	number uint32
	text   string
	ends   []uint32 // Where its labels end.
	long   bool     // There is no text: a label is too long.
}

// get returns the text of a part that has a user; nil if there is none, at least not yet.
func (t *partTexts) get(s *LabelSets, number uint32) *partText {
	place := number % textPlaces
	if known := t.known[place].Load(); known != nil && known.number == number {
		return known
	}
	if t.asked[place].Swap(number) != number {
		return nil
	}
	made := s.text(number)
	t.known[place].Store(made)
	return made
}

// forget forgets a part whose number will stand for another one. It has no user, so that nobody
// asks for it meanwhile.
func (t *partTexts) forget(number uint32) {
	if known := t.known[number%textPlaces].Load(); known != nil && known.number == number {
		t.known[number%textPlaces].Store(nil)
	}
}

// text makes the text of a part.
func (s *LabelSets) text(number uint32) *partText {
	var room [32]Pair
	var text []byte
	t := &partText{number: number}
	for _, p := range appendPart(room[:0], s.part(number).pairs) {
		for _, n := range [2]Symbol{p.Name, p.Value} {
			str := s.symbols.String(n)
			if len(str) >= math.MaxUint8 {
				return &partText{number: number, long: true}
			}
			text = append(append(text, byte(len(str))), str...)
		}
		t.ends = append(t.ends, uint32(len(text)))
	}
	t.text = string(text)
	return t
}
