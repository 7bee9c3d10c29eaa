package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// MaxFileBytes is the greatest size of a rule file.
const MaxFileBytes = 64 << 20

// ExprParser parses PromQL. Upstream's parser.Parser is one.
type ExprParser interface {
	ParseExpr(input string) (parser.Expr, error)
}

// Reader reads rule files. The zero value is ready to use. It can be used by
// any number of goroutines.
type Reader struct {
	// Parser parses expressions; nil is upstream's parser without experimental
	// features.
	Parser ExprParser
	// NameValidation is the scheme that names of labels and metrics follow; the
	// default is UTF-8.
	NameValidation model.ValidationScheme
	// IgnoreUnknownFields accepts fields that no rule file has.
	IgnoreUnknownFields bool
	// Logger gets warnings; nil discards them.
	Logger *slog.Logger
}

func (r Reader) withDefaults() Reader {
	if r.Parser == nil {
		r.Parser = parser.NewParser(parser.Options{})
	}
	if r.NameValidation == model.UnsetValidation {
		r.NameValidation = model.UTF8Validation
	}
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	return r
}

// Glob returns the files that any of the patterns matches, without repetition,
// in the order of the patterns. A pattern that matches nothing is no error; one
// that is malformed is.
func Glob(patterns []string) ([]string, error) {
	var paths []string
	for _, pattern := range patterns {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("rule file pattern %q: %w", pattern, err)
		}
		for _, m := range matches {
			if !slices.Contains(paths, m) {
				paths = append(paths, m)
			}
		}
	}
	return paths, nil
}

// ReadFiles reads the files that the patterns match. The error joins what is
// wrong with all of them, one *FileError for each fault.
func (r Reader) ReadFiles(patterns []string) ([]File, error) {
	paths, err := Glob(patterns)
	if err != nil {
		return nil, err
	}
	var (
		files  = make([]File, 0, len(paths))
		faults []error
	)
	for _, path := range paths {
		f, err := r.ReadFile(path)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		files = append(files, f)
	}
	return files, errors.Join(faults...)
}

// ReadFile reads one file. The error joins everything that is wrong with it.
func (r Reader) ReadFile(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, &FileError{Path: path, Err: err}
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	switch {
	case err != nil:
		return File{}, &FileError{Path: path, Err: err}
	case len(content) > MaxFileBytes:
		return File{}, &FileError{Path: path, Err: fmt.Errorf("rule file is larger than %d bytes, split it", MaxFileBytes)}
	}
	return r.Parse(path, content)
}

// Parse reads the content of a rule file. path is for errors and for the
// identity of the groups. An empty content is a file without groups.
func (r Reader) Parse(path string, content []byte) (File, error) {
	r = r.withDefaults()
	d := &decoder{Reader: r, path: path}
	doc := d.decode(content)
	if len(d.faults) > 0 {
		return File{}, errors.Join(d.faults...)
	}
	f := File{Path: path, Groups: d.groups(doc)}
	if len(d.faults) > 0 {
		return File{}, errors.Join(d.faults...)
	}
	return f, nil
}

// The fields of a rule file. What can be wrong by itself is kept as a node,
// which knows its position.
type fileFields struct {
	Groups []groupFields `yaml:"groups"`
}

type groupFields struct {
	Name        yaml.Node            `yaml:"name"`
	Interval    yaml.Node            `yaml:"interval"`
	QueryOffset yaml.Node            `yaml:"query_offset"`
	Limit       yaml.Node            `yaml:"limit"`
	Labels      map[string]yaml.Node `yaml:"labels"`
	Rules       []ruleFields         `yaml:"rules"`
}

type ruleFields struct {
	Record        yaml.Node            `yaml:"record"`
	Alert         yaml.Node            `yaml:"alert"`
	Expr          yaml.Node            `yaml:"expr"`
	For           yaml.Node            `yaml:"for"`
	KeepFiringFor yaml.Node            `yaml:"keep_firing_for"`
	Labels        map[string]yaml.Node `yaml:"labels"`
	Annotations   map[string]yaml.Node `yaml:"annotations"`
}

// outline has the positions of groups and rules, which fileFields loses.
type outline struct {
	Groups []groupOutline `yaml:"groups"`
}

type groupOutline struct {
	node  yaml.Node
	rules []yaml.Node
}

// UnmarshalYAML keeps the node itself and those of the rules. The decoder leaves
// empty rules out of fileFields, so they are left out here as well.
func (g *groupOutline) UnmarshalYAML(n *yaml.Node) error {
	var fields struct {
		Rules []yaml.Node `yaml:"rules"`
	}
	g.node = *n
	err := n.Decode(&fields)
	g.rules = slices.DeleteFunc(fields.Rules, func(r yaml.Node) bool {
		return r.ShortTag() == "!!null" || r.Kind == yaml.AliasNode && r.Alias.ShortTag() == "!!null"
	})
	return err
}

// rule returns the position of the i-th rule.
func (g *groupOutline) rule(i int) *yaml.Node {
	if i < len(g.rules) {
		return &g.rules[i]
	}
	return &g.node
}

// document is a decoded file.
type document struct {
	fields  fileFields
	outline outline
}

// decode reads the YAML and notes its faults.
func (d *decoder) decode(content []byte) document {
	var doc document
	dec := yaml.NewDecoder(bytes.NewReader(content))
	dec.KnownFields(!d.IgnoreUnknownFields)
	if err := dec.Decode(&doc.fields); err != nil && !errors.Is(err, io.EOF) {
		d.yamlFaults(err, content)
		return doc
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		d.Logger.Warn("rule file has more than one yaml document, only the first is used", "file", d.path)
	}
	if err := yaml.NewDecoder(bytes.NewReader(content)).Decode(&doc.outline); err != nil && !errors.Is(err, io.EOF) {
		d.yamlFaults(err, content)
	}
	return doc
}

var (
	lineOfYAMLError  = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)
	typeOfYAMLError  = regexp.MustCompile(` (?:in|into) (?:type )?rules\.\w+$`)
	unknownYAMLField = regexp.MustCompile(`^field (.*) not found$`)
)

// yamlFaults notes the faults that the YAML decoder found in content, each with its
// line.
func (d *decoder) yamlFaults(err error, content []byte) {
	messages := []string{err.Error()}
	typeError, isTypeError := errors.AsType[*yaml.TypeError](err)
	if isTypeError {
		messages = typeError.Errors
	}
	for _, m := range messages {
		fault := &FileError{Path: d.path}
		if found := lineOfYAMLError.FindStringSubmatch(m); found != nil {
			fault.Line, _ = strconv.Atoi(found[1])
			if !isTypeError {
				fault.Line = syntaxLine(content, fault.Line)
			}
			m = m[len(found[0]):]
		}
		m = typeOfYAMLError.ReplaceAllString(strings.TrimPrefix(m, "yaml: "), "")
		m = unknownYAMLField.ReplaceAllString(m, `unknown field "$1"`)
		fault.Err = errors.New(m)
		d.faults = append(d.faults, fault)
	}
}
