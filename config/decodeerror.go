package config

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	yamlv2 "go.yaml.in/yaml/v2"
	"go.yaml.in/yaml/v3"
)

// faults turns an error of a decoder into an [*Error] with positions. The
// probe decodes another text the same way; it serves to locate messages that
// carry no line. Nil leaves those without a position.
func (d *document) faults(err error, probe func(text []byte) error) error {
	var lines []string
	var v2 *yamlv2.TypeError
	var v3 *yaml.TypeError
	switch {
	case errors.As(err, &v2):
		lines = v2.Errors
	case errors.As(err, &v3):
		lines = v3.Errors
	default:
		lines = []string{err.Error()}
	}
	e := &Error{Cause: err}
	for _, text := range lines {
		e.Faults = append(e.Faults, d.fault(text, probe))
	}
	return e
}

// linePattern matches the position that the YAML decoders put before a message.
var linePattern = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// fault locates one message of a decoder.
func (d *document) fault(text string, probe func(text []byte) error) Fault {
	line, message := splitLine(text)
	switch {
	case d.root == nil && strings.HasPrefix(text, "yaml: "):
		return Fault{File: d.name, Line: d.syntaxLine(line), Message: message}
	case line > 0:
		return d.typeFault(line, message)
	case probe != nil && d.root != nil:
		if at, ok := d.locate(text, probe); ok {
			if at.first > 0 {
				message += " (first on line " + strconv.Itoa(at.first) + ")"
			}
			return d.faultAt(at.place, message)
		}
	}
	return Fault{File: d.name, Line: line, Message: message}
}

// splitLine cuts the position off a decoder's message; 0 if there is none.
func splitLine(text string) (line int, message string) {
	m := linePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, strings.TrimPrefix(text, "yaml: ")
	}
	line, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, text
	}
	return line, text[len(m[0]):]
}

// The messages of the YAML decoders about a text that does not fit the Go type
// it is decoded into. They carry a line, yet name Go types and no field.
var (
	unknownField   = regexp.MustCompile(`^(?s)field (.+?) not found in type .+$`)
	repeatedField  = regexp.MustCompile(`^(?s)field (.+?) already set in type .+$`)
	repeatedKey    = regexp.MustCompile("^key \"(.+)\" already set in map$")
	mismatchedType = regexp.MustCompile("^(?s)cannot unmarshal (!!\\w+)(?: `(.*)`)? into (.+)$")
)

// typeFault finds the field of a message whose line is known, and says it in
// the file's terms.
func (d *document) typeFault(line int, message string) Fault {
	if m := unknownField.FindStringSubmatch(message); m != nil {
		return d.keyFault(line, m[1], "unknown field")
	}
	if m := repeatedField.FindStringSubmatch(message); m != nil {
		return d.keyFault(line, m[1], "field given twice")
	}
	if m := repeatedKey.FindStringSubmatch(message); m != nil {
		return d.keyFault(line, m[1], "key given twice")
	}
	m := mismatchedType.FindStringSubmatch(message)
	if m == nil {
		return Fault{File: d.name, Line: line, Message: message}
	}
	got := "got " + describeTag(m[1])
	if m[2] != "" {
		got = "got " + strconv.Quote(m[2])
	}
	message = "expected " + describeType(m[3], m[1]) + ", " + got
	var found *place
	d.eachOn(line, func(n, _ *yaml.Node, at place) bool {
		// The decoder shortens long values to a prefix and an ellipsis.
		prefix := strings.TrimSuffix(m[2], "...")
		if n.Line != line || n.ShortTag() != m[1] && n.Kind == yaml.ScalarNode || !strings.HasPrefix(n.Value, prefix) || kindOfTag(m[1]) != n.Kind {
			return true
		}
		found = &at
		return false
	})
	if found == nil {
		return Fault{File: d.name, Line: line, Message: message}
	}
	found.line = line
	return d.faultAt(*found, message)
}

// keyFault is the fault of a key that stands on a line. Of several equal ones
// the last is meant: decoders complain about the repetition.
func (d *document) keyFault(line int, key, message string) Fault {
	found := place{path: joinPath("", key), line: line}
	d.eachOn(line, func(_, k *yaml.Node, at place) bool {
		if k != nil && k.Line == line && k.Value == key {
			found = at
		}
		return true
	})
	return d.faultAt(found, message)
}

// eachOn visits the nodes of the document whose key or value begins on a line.
func (d *document) eachOn(line int, visit func(n, key *yaml.Node, at place) bool) {
	if d.root == nil {
		return
	}
	walk(d.root, place{}, func(n, key *yaml.Node, at place) bool {
		if at.line != line && n.Line != line {
			return true
		}
		return visit(n, key, at)
	})
}

// kindOfTag returns the kind of node that carries a tag.
func kindOfTag(tag string) yaml.Kind {
	switch tag {
	case "!!map":
		return yaml.MappingNode
	case "!!seq":
		return yaml.SequenceNode
	}
	return yaml.ScalarNode
}

// describeTag says in words what a YAML tag stands for.
func describeTag(tag string) string {
	switch tag {
	case "!!map":
		return "a mapping"
	case "!!seq":
		return "a list"
	case "!!str":
		return "a string"
	}
	return tag
}

// describeType says in words what a Go type wants to see in the file, where it
// found a node with the given tag. The kind of a named type is not in the
// message; what can be said is that it is not the kind of what was found.
func describeType(goType, tag string) string {
	goType = strings.TrimPrefix(goType, "*")
	switch {
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case strings.HasPrefix(goType, "map["), strings.HasPrefix(goType, "struct"), strings.HasSuffix(goType, ".plain"):
		return "a mapping"
	case strings.HasPrefix(goType, "int"):
		return "a whole number"
	case strings.HasPrefix(goType, "uint"):
		return "a whole number of at least 0"
	case strings.HasPrefix(goType, "float"):
		return "a number"
	case goType == "bool":
		return "true or false"
	case goType == "string":
		return "a string"
	}
	switch kindOfTag(tag) {
	case yaml.MappingNode:
		return "a list or a single value"
	case yaml.SequenceNode:
		return "a mapping or a single value"
	}
	return "a mapping or a list"
}

// maxSyntaxProbes bounds the search for the line of a syntax error.
const maxSyntaxProbes = 200

// syntaxLine improves on the line of a syntax error. Parsers report where they
// gave up, often one off or, for an unclosed quote or bracket, the end of the
// file; the fault lies on the line with which the text stops being parsable.
func (d *document) syntaxLine(reported int) int {
	ends := []int{0}
	for i, b := range d.text {
		if b == '\n' {
			ends = append(ends, i+1)
		}
	}
	if len(ends) == 1 || ends[len(ends)-1] < len(d.text) {
		ends = append(ends, len(d.text))
	}
	last := len(ends) - 1
	if reported > 0 {
		last = min(last, reported+1)
	}
	for n := last; n >= 0 && last-n < maxSyntaxProbes; n-- {
		if _, err := parseTree(d.text[:ends[n]]); err == nil {
			if n == last {
				break
			}
			return n + 1
		}
	}
	return max(reported, 0)
}
