package etcd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// The kinds of refused values: the label "reason" of the metric that counts them.
const (
	reasonSyntax   = "syntax"   // Not a target group, a list of them, or host:port.
	reasonTemplate = "template" // A plain value whose key the template does not match.
	reasonSize     = "size"     // Longer than max_value_size, or too many labels.
	reasonKey      = "key"      // The key is not valid UTF-8.
	reasonLimit    = "limit"    // Beyond max_keys.
)

// maxCells bounds the labels of all targets in one value, counted with repetition:
// labels times targets is what a value costs here and downstream, and grows with the
// square of its size.
const maxCells = 500_000

// reasons lists all kinds of refused values.
var reasons = []string{reasonSyntax, reasonTemplate, reasonSize, reasonKey, reasonLimit}

// errOversize refuses a value that does not even fit into one message.
var errOversize = &valueError{reasonSize, errors.New("the value is too large to be fetched, and so larger than max_value_size")}

// valueError says why a value yields no targets.
type valueError struct {
	reason string
	err    error
}

func (e *valueError) Error() string { return e.err.Error() }

func (e *valueError) Unwrap() error { return e.err }

// parser turns keys and values into target groups. It is immutable.
type parser struct {
	template *Template
	// source is put before the key to make the identity of a group.
	source string
	// maxValueSize is in bytes.
	maxValueSize int
}

// sourceOf returns the identity of key's target group.
func (p *parser) sourceOf(key string) string { return p.source + key }

// parse returns the target group that value stands for, or why there is none, which does
// not repeat the key.
//
// The group's labels are those of the key and, if the value is one object, that
// object's. In a list each object's labels go to its own targets, so that a key stays
// one group. The labels of the key win over those in the value.
func (p *parser) parse(key string, value []byte) (*targetgroup.Group, *valueError) {
	if !utf8.ValidString(key) {
		return nil, &valueError{reasonKey, errors.New("the key is not valid UTF-8")}
	}
	if len(value) > p.maxValueSize {
		return nil, &valueError{reasonSize, fmt.Errorf("the value has %d bytes, more than max_value_size, %d", len(value), p.maxValueSize)}
	}
	if !utf8.Valid(value) {
		return nil, &valueError{reasonSyntax, errors.New("the value is not valid UTF-8")}
	}
	ofKey, matched := p.template.Match(key)
	if ofKey == nil {
		ofKey = make(model.LabelSet, 1)
	}
	ofKey[keyLabel] = model.LabelValue(key)

	group := &targetgroup.Group{Source: p.sourceOf(key), Labels: ofKey}
	value = bytes.TrimSpace(value)
	switch {
	case len(value) == 0:
		return nil, &valueError{reasonSyntax, errors.New("the value is empty")}
	case value[0] == '{':
		object, err := parseObject(value)
		if err != nil {
			return nil, err
		}
		group.Targets = object.targets(nil)
		group.Labels = merged(object.Labels, ofKey)
	case isList(value):
		objects, err := parseList(value)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			group.Targets = append(group.Targets, object.targets(ofKey)...)
		}
	default:
		if !matched && p.template.re != nil {
			return nil, &valueError{reasonTemplate, errors.New("the value is plain, and the key does not match key_template")}
		}
		if err := checkAddress(string(value)); err != nil {
			return nil, &valueError{reasonSyntax, fmt.Errorf("the value is neither JSON nor an address: %w", err)}
		}
		group.Targets = []model.LabelSet{{model.AddressLabel: model.LabelValue(value)}}
	}
	return group, nil
}

// isList tells a JSON list from a plain IPv6 address, which begins with a bracket too.
func isList(value []byte) bool {
	if value[0] != '[' {
		return false
	}
	rest := bytes.TrimSpace(value[1:])
	return len(rest) == 0 || !strings.ContainsRune("0123456789abcdefABCDEF:", rune(rest[0]))
}

// object is the JSON form of a target group.
type object struct {
	// Targets is nil if the field is missing or null, which is refused: an empty list
	// has to be meant.
	Targets []string       `json:"targets"`
	Labels  model.LabelSet `json:"labels"`
}

// targets returns one label set per target: its address, and the object's labels if ofKey
// is given, less those that ofKey has.
func (o *object) targets(ofKey model.LabelSet) []model.LabelSet {
	sets := make([]model.LabelSet, 0, len(o.Targets))
	for _, t := range o.Targets {
		set := model.LabelSet{}
		if ofKey != nil {
			maps.Copy(set, o.Labels)
			maps.DeleteFunc(set, func(n model.LabelName, _ model.LabelValue) bool {
				_, ok := ofKey[n]
				return ok
			})
		}
		set[model.AddressLabel] = model.LabelValue(t)
		sets = append(sets, set)
	}
	return sets
}

func (o *object) validate() error {
	if o.Targets == nil {
		return errors.New(`the field "targets" is missing`)
	}
	if i := slices.IndexFunc(o.Targets, func(t string) bool { return strings.TrimSpace(t) == "" }); i >= 0 {
		return fmt.Errorf("targets[%d] is empty", i)
	}
	return nil
}

// cells is what the object counts towards maxCells.
func (o *object) cells() int { return len(o.Targets) * (len(o.Labels) + 1) }

func parseObject(value []byte) (*object, *valueError) {
	var o object
	err := decodeStrict(value, &o)
	if err == nil {
		err = o.validate()
	}
	if err != nil {
		return nil, &valueError{reasonSyntax, err}
	}
	return &o, checkCells(o.cells())
}

func parseList(value []byte) ([]*object, *valueError) {
	var list []*object
	if err := decodeStrict(value, &list); err != nil {
		return nil, &valueError{reasonSyntax, err}
	}
	cells := 0
	for i, o := range list {
		if o == nil {
			return nil, &valueError{reasonSyntax, fmt.Errorf("group %d of the list is null", i+1)}
		}
		if err := o.validate(); err != nil {
			return nil, &valueError{reasonSyntax, fmt.Errorf("group %d of the list: %w", i+1, err)}
		}
		cells += o.cells()
	}
	return list, checkCells(cells)
}

func checkCells(n int) *valueError {
	if n > maxCells {
		return &valueError{reasonSize, fmt.Errorf("the targets have %d labels in all, more than %d", n, maxCells)}
	}
	return nil
}

// decodeStrict decodes exactly one JSON value; unknown fields are errors.
func decodeStrict(value []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return describeJSON(err, dec.InputOffset())
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("byte %d: text follows the JSON value", dec.InputOffset()+1)
	}
	return nil
}

// describeJSON rewords the decoder's errors: with the place, and without Go's types.
func describeJSON(err error, offset int64) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("byte %d: %w", e.Offset, err)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := e.Field
		if field == "" {
			field = "the value"
		}
		return fmt.Errorf("byte %d: %s must not be a %s", e.Offset, field, e.Value)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON ends too early")
	}
	// What is left are unknown fields and invalid label names, which name themselves.
	return fmt.Errorf("before byte %d: %s", offset+1, strings.TrimPrefix(err.Error(), "json: "))
}

// merged returns a with b's labels in it; b wins.
func merged(a, b model.LabelSet) model.LabelSet {
	out := make(model.LabelSet, len(a)+len(b))
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}
