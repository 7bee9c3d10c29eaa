package config

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A search for the position of one message decodes at most maxProbes documents
// and gives up after maxSearch, so that a huge file delays the report of its
// fault by no more than that.
const (
	maxProbes = 600
	maxSearch = 10 * time.Second
)

// located is where a message has its cause.
type located struct {
	place
	// first is the line of the list element that the one at place clashes
	// with, 0 if there is none.
	first int
}

// locate finds the part of the document that makes probe return the given
// message: it leaves out whatever can go without changing the message, and
// looks at what remains. It fails if the message does not come back for the
// document itself, as with messages that vary from run to run.
func (d *document) locate(message string, probe func(text []byte) error) (located, bool) {
	s := &search{message: message, probe: probe, deadline: time.Now().Add(maxSearch), origin: map[*yaml.Node]*yaml.Node{}}
	s.root = s.clone(d.root)
	if !s.reproduces() {
		return located{}, false
	}
	s.reduce(s.root)
	guilty, rival := s.blame()
	at, ok := placeOf(d.root, s.origin[guilty])
	if !ok {
		return located{}, false
	}
	l := located{place: at}
	if rival != nil {
		l.first = rival.Line
	}
	return l, true
}

// search is the state of one call of locate. It works on a copy of the tree.
type search struct {
	root     *yaml.Node
	origin   map[*yaml.Node]*yaml.Node
	message  string
	probe    func(text []byte) error
	probes   int
	deadline time.Time
}

// clone copies a tree without its comments and notes where each node came from.
func (s *search) clone(n *yaml.Node) *yaml.Node {
	c := &yaml.Node{Kind: n.Kind, Style: n.Style, Tag: n.Tag, Value: n.Value, Anchor: n.Anchor, Alias: n.Alias, Line: n.Line, Column: n.Column}
	s.origin[c] = n
	for _, x := range n.Content {
		c.Content = append(c.Content, s.clone(x))
	}
	return c
}

// run decodes the tree as it is now. A spent budget looks like success, that
// is, like a document without the fault, and so ends the search.
func (s *search) run() (err error) {
	s.probes++
	if s.probes > maxProbes || time.Now().After(s.deadline) {
		return nil
	}
	// Encoding panics on trees that leaving out parts made inconsistent, such
	// as an alias without its anchor. They do not show the message either.
	defer func() {
		if recover() != nil {
			err = nil
		}
	}()
	text, err := yaml.Marshal(s.root)
	if err != nil {
		return nil
	}
	return s.probe(text)
}

// reproduces reports whether the tree as it is now yields the message.
func (s *search) reproduces() bool {
	err := s.run()
	return err != nil && err.Error() == s.message
}

// reduce leaves out what the message does not need, in n and below.
func (s *search) reduce(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := len(n.Content) - 2; i >= 0; i -= 2 {
			s.keepIf(n, slices.Delete(slices.Clone(n.Content), i, i+2))
		}
		for i := 1; i < len(n.Content); i += 2 {
			s.reduce(n.Content[i])
		}
	case yaml.SequenceNode:
		s.reduceList(n)
		for _, x := range n.Content {
			s.reduce(x)
		}
	}
}

// keepIf gives n the content if the message still comes back with it.
func (s *search) keepIf(n *yaml.Node, content []*yaml.Node) bool {
	old := n.Content
	n.Content = content
	if s.reproduces() {
		return true
	}
	n.Content = old
	return false
}

// reduceList reduces a list to the element with the fault, or to it and those
// before it that it clashes with.
func (s *search) reduceList(n *yaml.Node) {
	// Halving finds an element that is faulty by itself, and what is decoded
	// on the way halves, too.
	for len(n.Content) > 1 {
		middle := len(n.Content) / 2
		if !s.keepIf(n, n.Content[:middle]) && !s.keepIf(n, n.Content[middle:]) {
			break
		}
	}
	// What is left may clash. Elements are decoded and checked in order, so
	// the shortest beginning of the list with the fault ends in its cause.
	s.bisect(len(n.Content), func(count int) bool { return s.keepIf(n, n.Content[:count]) })
	s.bisect(len(n.Content), func(count int) bool { return s.keepIf(n, n.Content[len(n.Content)-count:]) })
	if last := len(n.Content) - 1; last > 1 {
		s.keepIf(n, []*yaml.Node{n.Content[0], n.Content[last]})
	}
}

// bisect looks for the smallest count of elements, out of all, that try
// accepts. If try accepts a count, larger ones were accepted too.
func (s *search) bisect(all int, try func(count int) bool) {
	low, high := 0, all
	for low < high {
		middle := (low + high) / 2
		if try(middle) {
			high = middle
		} else {
			low = middle + 1
		}
	}
}

// blame descends the reduced tree to the deepest node that can be held
// responsible. The rival is set if it clashes with an earlier one.
func (s *search) blame() (guilty, rival *yaml.Node) {
	n := s.root
	for {
		switch {
		case n.Kind == yaml.MappingNode && len(n.Content) > 0:
			i := s.guiltyPair(n)
			if i < 0 {
				return n, rival
			}
			n = n.Content[i+1]
		case n.Kind == yaml.SequenceNode && len(n.Content) > 0:
			if len(n.Content) == 2 {
				rival = n.Content[0]
			}
			n = n.Content[len(n.Content)-1]
		default:
			return n, rival
		}
	}
}

// guiltyPair returns the index in n.Content of the pair to blame, -1 if it is
// the mapping as a whole. All pairs are needed for the message to appear. One
// is guilty if there is no error without it (without a job's name, say, there
// is another error); of several, the one whose words the message uses first.
func (s *search) guiltyPair(n *yaml.Node) int {
	if len(n.Content) == 2 {
		return 0
	}
	var all, cures []int
	for i := 0; i < len(n.Content); i += 2 {
		all = append(all, i)
		old := n.Content
		n.Content = slices.Delete(slices.Clone(old), i, i+2)
		if s.run() == nil {
			cures = append(cures, i)
		}
		n.Content = old
	}
	if len(cures) == 1 {
		return cures[0]
	}
	if len(cures) == 0 {
		cures = all
	}
	best, first := -1, len(s.message)
	for _, i := range cures {
		if at := min(s.mention(n.Content[i]), s.mention(n.Content[i+1])); at < first {
			best, first = i, at
		}
	}
	return best
}

// mention returns where the message first uses a word of the tree below n, the
// length of the message if nowhere. Messages write keys with spaces, too.
func (s *search) mention(n *yaml.Node) int {
	first := len(s.message)
	if n.Kind == yaml.ScalarNode && len(n.Value) > 2 {
		for _, word := range [...]string{n.Value, strings.ReplaceAll(n.Value, "_", " ")} {
			if at := strings.Index(s.message, word); at >= 0 && at < first {
				first = at
			}
		}
	}
	for _, x := range n.Content {
		first = min(first, s.mention(x))
	}
	return first
}
