package parse

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/textparse"
)

// typeCodes are the types of families as the upper byte of line.about has them.
// 0 is no type.
var typeCodes = []model.MetricType{
	"", model.MetricTypeUnknown, model.MetricTypeCounter, model.MetricTypeGauge,
	model.MetricTypeHistogram, model.MetricTypeSummary,
}

const (
	typeShift  = 24
	familyMask = 1<<typeShift - 1
)

// familyOf returns the number of the family that a line of comments is about, 0
// if there is none.
func familyOf(n *line) uint32 { return n.about & familyMask }

// text parses one body of the text format.
type text struct {
	l    *Layout
	s    *Scrape
	opts *Options
	b    []byte // the body and a line break
	size int    // of the body
	pos  int
	prev uint32 // the line before pos
	// family and typ are what the comments before pos told: the family of the
	// last one and the type of the last TYPE line.
	family  uint32
	typ     model.MetricType
	builder labels.ScratchBuilder
	block   []comment
	// announced says that the comments before pos are new, and moved that a line after
	// them stood elsewhere: known series may belong to the family now.
	announced, moved bool
	// foreigner has read the line at pos, if it is not nil.
	foreigner textparse.Parser
}

// run parses the body.
func (x *text) run() error {
	for x.pos < x.size {
		x.fast()
		if x.pos >= x.size {
			break
		}
		done, err := x.slow()
		if err != nil {
			return fmt.Errorf("line %d: %w", 1+bytes.Count(x.b[:x.pos], []byte{'\n'}), err)
		}
		if done {
			break
		}
	}
	return nil
}

// fast parses lines as long as they are those that are expected. It is nearly all
// that happens to a body, so it keeps its state in variables and leaves whatever
// is unusual to slow, which begins the line anew.
//
// That the first bytes of a line are those of a known one is enough to know where
// its number begins: the last of them is a blank or a closing brace, so what
// follows cannot be a part of the name or the labels. A number has to follow,
// which tells "a 1" from "a {b="c"} 1".
func (x *text) fast() {
	var (
		b, lines, seed = x.b, x.l.lines, x.l.seed
		values, seen   = x.s.Row.Values, x.s.seen
		pos, size      = x.pos, x.size
		prev           = x.prev
		id             = lines[prev].next
		samples, kept  int
	)
	if x.announced || x.moved {
		return // Known series may have got a family.
	}
	for pos < size {
		n := &lines[id]
		at := pos + int(n.size)
		w, bit := id>>6, uint64(1)<<(id&63)
		// A line that was seen before in this body is a duplicate, which slow
		// counts.
		if at > len(b) || seen[w]&bit != 0 || maphash.Bytes(seed, b[pos:at]) != n.hash {
			break
		}
		if n.column >= firstMark && n.column != markDropped {
			if n.column != markComment {
				break // a side
			}
			x.announce(n)
			seen[w] |= bit
			pos, prev, id = at, id, n.next
			continue
		}
		// The number of a dropped series is read too: if it is wrong, the body
		// is wrong.
		v, end, ok := number(b, at)
		if !ok {
			break
		}
		if b[end] != '\n' {
			var timed bool
			if _, timed, end, ok = timestamp(b, end); !ok || timed && x.opts.HonorTimestamps {
				break
			}
			end--
		}
		if n.column < firstMark {
			values[n.column] = v
			kept++
		}
		seen[w] |= bit
		samples++
		pos, prev, id = end+1, id, n.next
	}
	x.pos, x.prev = pos, prev
	x.s.Total += samples
	x.s.Kept += kept
}

// announce notes what a block of comments tells about the lines after it.
func (x *text) announce(n *line) {
	if family := familyOf(n); family != 0 {
		x.family = family
		if code := n.about >> typeShift; code != 0 {
			x.typ = typeCodes[code]
		}
	}
}

// slow parses the line at pos, whatever it is. done says that the body ends
// here.
func (x *text) slow() (done bool, err error) {
	b := x.b
	switch {
	case b[x.pos] == 0:
		// Prometheus takes a zero byte at the beginning of a line for the end.
		return true, nil
	case b[x.pos] == '\n':
		x.pos++
		return false, nil
	case b[x.pos] == '#':
		if x.comments() {
			return false, nil
		}
		return x.foreign()
	}
	if end := skipBlanks(b, x.pos); b[end] == '\n' {
		x.pos = end + 1
		return false, nil
	}
	if id := x.expected(); id != start {
		return x.plain(id, x.pos+int(x.l.lines[id].size))
	}
	scan := &x.l.scratch
	if !scan.scan(b, x.pos) {
		return x.foreign()
	}
	return x.plain(start, scan.value)
}

// expected returns the line that is expected at pos, if it is a sample and is
// there, else start.
func (x *text) expected() uint32 {
	id := x.l.lines[x.prev].next
	n := &x.l.lines[id]
	at := x.pos + int(n.size)
	if n.size == 0 || at > len(x.b) || n.column == markComment ||
		maphash.Bytes(x.l.seed, x.b[x.pos:at]) != n.hash {
		return start
	}
	return id
}

// plain takes the sample at pos, whose number is at value. id is its line, or
// start if that has to be found.
func (x *text) plain(id uint32, value int) (done bool, err error) {
	v, end, ok := number(x.b, value)
	if !ok {
		return x.foreign()
	}
	t, timed, next, ok := timestamp(x.b, end)
	if !ok {
		return x.foreign()
	}
	smp := sample{value: v, t: t, timed: timed && x.opts.HonorTimestamps}
	if id != start {
		x.s.Total++
		x.prev = id
		err = x.s.takeKnown(x.l, x.opts, id, &smp, x)
		x.adopt(id)
	} else {
		smp.hash, smp.size = maphash.Bytes(x.l.seed, x.b[x.pos:value]), value-x.pos
		err = x.sample(&smp)
	}
	if err == nil {
		x.pos = next
	}
	return false, err
}

// sample takes a sample that is not where it was expected.
func (x *text) sample(smp *sample) error {
	id, isNew, err := x.s.take(x.l, x.opts, smp, x)
	if id != start {
		if !x.s.again {
			x.prev = x.l.link(x.prev, id, isNew)
		}
		if !isNew {
			x.moved = x.moved || x.l.mayAdopt(id, x.family)
			x.adopt(id)
		}
	}
	return err
}

// adopt makes a known series one of the family before it, if it may have become so.
func (x *text) adopt(id uint32) {
	if x.announced || x.moved && x.l.mayAdopt(id, x.family) {
		x.s.adopt(x.l, x.opts, id, x)
	}
}

// exposedLabels implements labeler for the line that was scanned last.
func (x *text) exposedLabels() labels.Labels {
	p := x.foreigner
	if p == nil {
		if scan := &x.l.scratch; scan.scan(x.b, x.pos) {
			return scan.build(x.b, x.typ, &x.builder)
		}
		p = x.newForeigner()
		// It read the same bytes before without an error.
		_, _ = p.Next()
	}
	var ls labels.Labels
	p.Labels(&ls)
	// That parser has not seen the TYPE line.
	lb := labels.NewBuilder(ls)
	ls.Range(func(l labels.Label) { lb.Set(l.Name, normalizeBound(x.typ, l.Name, l.Value)) })
	return lb.Labels()
}

func (x *text) familyID() uint32 { return x.family }

// comments takes the comment lines at pos, as far as they are about one family:
// they are one line of the layout. It returns false if the first of them is not
// of the plain form.
func (x *text) comments() bool {
	first, ok := scanComment(x.b, x.pos)
	if !ok {
		return false
	}
	block, c := append(x.block[:0], first), first
	name := c.name
	for c.end < x.size && x.b[c.end] == '#' {
		if c, ok = scanComment(x.b, c.end); !ok || name != nil && c.name != nil && !bytes.Equal(name, c.name) {
			break
		}
		if name == nil {
			name = c.name
		}
		block = append(block, c)
	}
	x.block = block
	x.takeComments(block)
	return true
}

// takeComments takes a block of comments that begins at pos.
func (x *text) takeComments(block []comment) {
	end := block[len(block)-1].end
	hash := maphash.Bytes(x.l.seed, x.b[x.pos:end])
	id := x.l.index.find(x.l.lines, hash)
	isNew := id == start
	if isNew {
		n := line{hash: hash, size: uint32(end - x.pos), column: markComment}
		for i := range block {
			x.metadata(&block[i], &n)
		}
		if family := familyOf(&n); family != 0 {
			x.l.families.addLines(family, 1, x.l.scrapes)
		}
		id = x.s.add(x.l, n)
	}
	x.announce(&x.l.lines[id])
	x.announced, x.moved = isNew, false
	if !x.s.mark(id) {
		x.prev = x.l.link(x.prev, id, isNew)
	}
	x.pos = end
}

// metadata records what a comment says, and notes the family and the type in its
// line.
func (x *text) metadata(c *comment, n *line) {
	f := x.l.families
	switch c.kind {
	case helpComment:
		family, _ := f.set(c.name, x.l.scrapes, func(m *metadata.Metadata) { m.Help = string(c.text) })
		n.about = n.about&^familyMask | family
	case typeComment:
		family, _ := f.set(c.name, x.l.scrapes, func(m *metadata.Metadata) { m.Type = typeCodes[c.typ] })
		n.about = uint32(c.typ)<<typeShift | family
	}
}

// foreign lets Prometheus's parser read the line at pos, which the grammar of
// this package does not know.
func (x *text) foreign() (done bool, err error) {
	p := x.newForeigner()
	entry, err := p.Next()
	switch {
	case errors.Is(err, io.EOF):
		return true, nil
	case err != nil:
		return false, err
	}
	switch entry {
	case textparse.EntrySeries:
		return false, x.foreignSample(p)
	case textparse.EntryHelp:
		name, help := p.Help()
		x.takeComments([]comment{{kind: helpComment, name: name, text: help, end: x.lineEnd(name)}})
	case textparse.EntryType:
		name, typ := p.Type()
		code := slices.Index(typeCodes, typ)
		x.takeComments([]comment{{kind: typeComment, name: name, typ: uint8(code), end: x.lineEnd(name)}})
	default:
		x.takeComments([]comment{{end: x.lineEnd(p.Comment())}})
	}
	return false, nil
}

func (x *text) newForeigner() textparse.Parser {
	// It appends a line break, which is there already.
	return textparse.NewPromParser(x.b[x.pos:x.size], labels.NewSymbolTable(), false)
}

func (x *text) foreignSample(p textparse.Parser) error {
	series, t, v := p.Series()
	end := x.offset(series) + len(series)
	value := skipBlanks(x.b, end)
	smp := sample{hash: maphash.Bytes(x.l.seed, x.b[x.pos:value]), size: value - x.pos, value: v}
	if t != nil && x.opts.HonorTimestamps {
		smp.t, smp.timed = *t, true
	}
	if value == end && x.b[end-1] != '}' {
		// Where the name ends depends on what follows.
		smp.size = 0
	}
	x.foreigner = p
	err := x.sample(&smp)
	x.foreigner = nil
	x.pos = x.lineEnd(series)
	return err
}

// offset returns the position of part, which is a part of the body.
func (x *text) offset(part []byte) int { return cap(x.b) - cap(part) }

// lineEnd returns the position of the line after the one that part ends in.
func (x *text) lineEnd(part []byte) int {
	at := x.offset(part) + len(part)
	return at + bytes.IndexByte(x.b[at:], '\n') + 1
}
