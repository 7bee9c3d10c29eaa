package config

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is one YAML text with the tree that gives its nodes positions.
type document struct {
	name string
	text []byte
	// root is the top-level mapping of the first document in text, nil if the
	// text is empty, is not a mapping, or cannot be parsed. Decoding then says
	// what is wrong; the tree only serves to find positions.
	root *yaml.Node
}

// byteOrderMark may begin a UTF-8 text. Editors do not count it as a column.
var byteOrderMark = []byte("\uFEFF")

// parseDocument never fails: a text without a tree merely has no positions.
func parseDocument(name string, text []byte) *document {
	text = bytes.TrimPrefix(text, byteOrderMark)
	d := &document{name: name, text: text}
	if tree, err := parseTree(text); err == nil {
		d.root = topMapping(tree)
	}
	return d
}

// parseTree parses the first document in text. A panic of the parser is an
// error, because the text comes from the user.
func parseTree(text []byte) (tree *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			tree, err = nil, fmt.Errorf("parsing panicked: %v", r)
		}
	}()
	tree = &yaml.Node{}
	err = yaml.Unmarshal(text, tree)
	return tree, err
}

// topMapping returns the top-level mapping of a parsed tree, nil if there is none.
func topMapping(tree *yaml.Node) *yaml.Node {
	if tree.Kind != yaml.DocumentNode || len(tree.Content) != 1 || tree.Content[0].Kind != yaml.MappingNode {
		return nil
	}
	return tree.Content[0]
}

// child returns the value of key in mapping n, nil if there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// place is a node with the way to it from the root.
type place struct {
	path string
	// subject names the outermost list element that the node belongs to and
	// that has a name, such as `job "node"`; "" if there is none.
	subject string
	line    int
}

// walk calls visit for every node below n with its place, parents first. The
// key is the node that names a value in a mapping, nil for elements of lists.
// It stops when visit returns false.
func walk(n *yaml.Node, at place, visit func(n, key *yaml.Node, at place) bool) bool {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			next := place{path: joinPath(at.path, key.Value), subject: at.subject, line: key.Line}
			if !visit(value, key, next) || !walk(value, next, visit) {
				return false
			}
		}
	case yaml.SequenceNode:
		for i, value := range n.Content {
			next := place{path: fmt.Sprintf("%s[%d]", at.path, i), subject: at.subject, line: value.Line}
			if next.subject == "" {
				next.subject = subjectOf(value)
			}
			if !visit(value, nil, next) || !walk(value, next, visit) {
				return false
			}
		}
	}
	return true
}

// placeOf finds the place of target below root.
func placeOf(root, target *yaml.Node) (place, bool) {
	if root == target {
		return place{line: root.Line}, true
	}
	var found place
	missing := walk(root, place{}, func(n, _ *yaml.Node, at place) bool {
		if n == target {
			found = at
			return false
		}
		return true
	})
	return found, !missing
}

// joinPath appends a key to a path. Keys that would not read well in a path
// are quoted.
func joinPath(path, key string) string {
	if key == "" || strings.ContainsAny(key, " .[]\n\r\t\"") {
		key = fmt.Sprintf("%q", key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// subjectOf describes the element of a list by the field that users know it by.
// Addresses are not among them: they may contain passwords.
func subjectOf(n *yaml.Node) string {
	for _, f := range [...]struct{ key, noun string }{{"job_name", "job"}, {"name", "name"}} {
		if v := child(n, f.key); v != nil && v.Kind == yaml.ScalarNode && v.Value != "" {
			return fmt.Sprintf("%s %q", f.noun, v.Value)
		}
	}
	return ""
}
