package etcd

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/prometheus/common/model"
)

// metaPrefix begins the name of every label that this mechanism makes of keys.
const metaPrefix = model.MetaLabelPrefix + mechanism + "_"

// keyLabel holds the key that a target came from.
const keyLabel = model.LabelName(metaPrefix + "key")

// discarded is the name of a placeholder that matches, but yields no label.
const discarded = "_"

// maxPlaceholders bounds the labels that a template yields.
const maxPlaceholders = 32

// Template is a pattern of keys whose placeholders become labels. {name} matches one or
// more bytes other than the slash and yields the label __meta_etcd_<name>; {name...}, at
// the end only, matches the rest of the key, slashes included. {_} and {_...} match
// without yielding a label. Everything else stands for itself; {{ and }} are braces.
//
//	/services/{job}/{instance}    /services/api/web-1    job="api" instance="web-1"
//	/dc/{dc}/node-{node}/{_...}   /dc/eu/node-7/a/b      dc="eu" node="7"
//
// Where several placeholders share a path segment, the first takes as much as it can.
// The zero Template matches no key. A Template is immutable and safe for concurrent use.
type Template struct {
	re *regexp.Regexp
	// head is the literal text before the first placeholder.
	head string
	// labels are the label names of re's groups; "" where the group is discarded.
	labels []model.LabelName
}

// ParseTemplate reads a pattern; errors give the position in it, from 1. The empty
// pattern yields the zero Template.
func ParseTemplate(pattern string) (*Template, error) {
	if pattern == "" {
		return &Template{}, nil
	}
	b := templateBuilder{seen: make(map[string]bool)}
	b.re.WriteString(`(?s)\A`)
	for pos := 0; pos < len(pattern); {
		n, err := b.token(pattern[pos:])
		if err != nil {
			return nil, fmt.Errorf("%q, byte %d: %w", pattern, pos+1, err)
		}
		pos += n
	}
	if len(b.t.labels) == 0 {
		return nil, fmt.Errorf("%q has no placeholder, such as {job}", pattern)
	}
	b.re.WriteString(`\z`)
	re, err := regexp.Compile(b.re.String())
	if err != nil {
		return nil, fmt.Errorf("%q: %w", pattern, err)
	}
	b.t.re = re
	return &b.t, nil
}

// CompatibleWith reports whether a key that begins with prefix can match.
func (t *Template) CompatibleWith(prefix string) bool {
	n := min(len(t.head), len(prefix))
	return t.re != nil && t.head[:n] == prefix[:n]
}

// Match returns the labels that the template makes of key; false if it does not match.
func (t *Template) Match(key string) (model.LabelSet, bool) {
	if t.re == nil {
		return nil, false
	}
	m := t.re.FindStringSubmatch(key)
	if m == nil {
		return nil, false
	}
	labels := make(model.LabelSet, len(t.labels))
	for i, name := range t.labels {
		if name != "" {
			labels[name] = model.LabelValue(m[i+1])
		}
	}
	return labels, true
}

// templateBuilder collects the parts of a template in reading order.
type templateBuilder struct {
	t    Template
	re   strings.Builder
	seen map[string]bool
	// open is set after a placeholder, until a literal ends it.
	open bool
	// closed is set after a placeholder that takes the rest of the key.
	closed bool
}

// token reads the first token of s, which is not empty, and returns its length.
func (b *templateBuilder) token(s string) (int, error) {
	if b.closed {
		return 0, errors.New("nothing may follow a placeholder with three dots")
	}
	switch {
	case strings.HasPrefix(s, "{{"), strings.HasPrefix(s, "}}"):
		b.literal(s[:1])
		return 2, nil
	case s[0] == '}':
		return 0, errors.New("} without {; write }} for the character")
	case s[0] != '{':
		n := strings.IndexAny(s, "{}")
		if n < 0 {
			n = len(s)
		}
		b.literal(s[:n])
		return n, nil
	}
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return 0, errors.New("{ without }; write {{ for the character")
	}
	if err := b.placeholder(s[1:end]); err != nil {
		return 0, err
	}
	return end + 1, nil
}

func (b *templateBuilder) literal(s string) {
	b.open = false
	b.re.WriteString(regexp.QuoteMeta(s))
	if len(b.t.labels) == 0 {
		b.t.head += s
	}
}

func (b *templateBuilder) placeholder(body string) error {
	name, rest := strings.CutSuffix(body, "...")
	var label model.LabelName
	switch {
	case b.open:
		return errors.New("two placeholders need text between them")
	case len(b.t.labels) == maxPlaceholders:
		return fmt.Errorf("more than %d placeholders", maxPlaceholders)
	case name == discarded:
	case !model.LegacyValidation.IsValidLabelName(name):
		return fmt.Errorf("placeholder {%s}: the name must be letters, digits and underscores, not beginning with a digit", body)
	case b.seen[name]:
		return fmt.Errorf("placeholder {%s} appears twice", name)
	default:
		label = model.LabelName(metaPrefix + name)
		if label == keyLabel {
			return fmt.Errorf("placeholder {%s}: the label %s already holds the whole key", name, keyLabel)
		}
		b.seen[name] = true
	}
	b.t.labels = append(b.t.labels, label)
	b.open = true
	if rest {
		b.closed = true
		b.re.WriteString(`(.+)`)
	} else {
		b.re.WriteString(`([^/]+)`)
	}
	return nil
}
