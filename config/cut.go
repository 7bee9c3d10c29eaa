package config

import (
	"fmt"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// cutSection takes our section out of the document and returns a text in which
// everything but the section is blank; nil if the document has no section.
// What stays keeps its lines and columns, so positions in later errors hold.
func (d *document) cutSection() ([]byte, error) {
	if d.root == nil {
		return nil, nil
	}
	at := -1
	for i := 0; i+1 < len(d.root.Content); i += 2 {
		if key := d.root.Content[i]; key.Value == sectionKey && key.Kind == yaml.ScalarNode {
			if at >= 0 {
				return nil, &Error{Faults: []Fault{d.faultAt(place{path: sectionKey, line: key.Line},
					fmt.Sprintf("section given twice, first on line %d", d.root.Content[at].Line))}}
			}
			at = i
		}
	}
	if at < 0 {
		return nil, nil
	}
	rest := &yaml.Node{Kind: yaml.MappingNode, Line: d.root.Line, Style: d.root.Style}
	rest.Content = append(append(rest.Content, d.root.Content[:at]...), d.root.Content[at+2:]...)
	for _, c := range d.cuts(at) {
		remaining, section := c.apply(d.text)
		if d.isClean(remaining, rest) {
			d.text, d.root = remaining, rest
			return section, nil
		}
	}
	return nil, &Error{Faults: []Fault{d.faultAt(place{path: sectionKey, line: d.root.Content[at].Line},
		"the section cannot be told apart from the rest of the file: write it as a top-level block and share no anchors with other sections")}}
}

// maxCuts bounds how many ends of a section are tried.
const maxCuts = 16

// cut is a range of bytes that may hold our section.
type cut struct {
	start, end int
	// brace is the offset of the { that opens the top level, -1 in block style.
	brace int
}

// cuts returns the ranges the section whose key is root.Content[at] may have,
// the likeliest first.
func (d *document) cuts(at int) []cut {
	c := cut{start: offset(d.text, d.root.Content[at]), end: len(d.text), brace: -1}
	if d.root.Style&yaml.FlowStyle != 0 {
		c.brace = offset(d.text, d.root)
	}
	if c.start < 0 {
		return nil
	}
	if at+2 < len(d.root.Content) {
		c.end = offset(d.text, d.root.Content[at+2])
		if c.end < c.start {
			return nil
		}
		return []cut{c}
	}
	if c.brace < 0 {
		return []cut{c}
	}
	// The last pair in braces ends at the brace that closes them, which only
	// comments can hide.
	var all []cut
	for i := len(d.text) - 1; i > c.start && len(all) < maxCuts; i-- {
		if d.text[i] == '}' {
			c.end = i
			all = append(all, c)
		}
	}
	return all
}

// apply returns text without the range and text with nothing but the range.
func (c cut) apply(text []byte) (remaining, section []byte) {
	remaining = append(remaining, text[:c.start]...)
	remaining = appendBlank(remaining, text[c.start:c.end])
	remaining = append(remaining, text[c.end:]...)
	if c.brace < 0 {
		section = appendBlank(section, text[:c.start])
		return remaining, append(section, text[c.start:c.end]...)
	}
	section = appendBlank(section, text[:c.brace])
	section = append(section, '{')
	section = appendBlank(section, text[c.brace+1:c.start])
	section = append(section, text[c.start:c.end]...)
	return remaining, append(section, '}')
}

// isClean reports whether text parses to exactly want, every node on its line.
func (d *document) isClean(text []byte, want *yaml.Node) bool {
	tree, err := parseTree(text)
	if err != nil {
		return false
	}
	got := topMapping(tree)
	if got == nil {
		return len(want.Content) == 0 && len(tree.Content) == 0
	}
	return sameContent(got, want)
}

// sameContent reports whether the children of two nodes are equal.
func sameContent(a, b *yaml.Node) bool {
	if len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		x, y := a.Content[i], b.Content[i]
		if x.Kind != y.Kind || x.Value != y.Value || x.Tag != y.Tag || x.Anchor != y.Anchor || x.Line != y.Line || !sameContent(x, y) {
			return false
		}
	}
	return true
}

// appendBlank appends text with every character but line breaks replaced by a
// space.
func appendBlank(to, text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if isBreak(r) {
			to = append(to, text[:size]...)
		} else {
			to = append(to, ' ')
		}
		text = text[size:]
	}
	return to
}

// isBreak reports whether YAML counts r as the end of a line.
func isBreak(r rune) bool {
	return r == '\n' || r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029'
}

// offset returns the offset in text at which n begins, -1 if there is no such
// line and column. The parser counts columns in characters.
func offset(text []byte, n *yaml.Node) int {
	line, column := 1, 1
	for i := 0; i < len(text); {
		if line == n.Line && column == n.Column {
			return i
		}
		r, size := utf8.DecodeRune(text[i:])
		i += size
		column++
		if isBreak(r) {
			if r == '\r' && i < len(text) && text[i] == '\n' {
				i++
			}
			line, column = line+1, 1
		}
	}
	return -1
}
