package template

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strings"
	"text/template"
	"time"

	"github.com/gnomonhq/gnomon/alerting"
)

// variables precedes every text: it names the parts of the data. Errors count
// columns from its beginning.
const variables = "{{$labels := .Labels}}" +
	"{{$externalLabels := .ExternalLabels}}" +
	"{{$externalURL := .ExternalURL}}" +
	"{{$value := .Value}}"

// MaxResultBytes is the greatest length of an expanded text. A template can
// loop over the result of a query; this is what stops it.
const MaxResultBytes = 1 << 20

// Data is what a template sees. It has no name of its own because error texts
// spell the type out.
type Data = struct {
	Labels         map[string]string
	ExternalLabels map[string]string
	ExternalURL    string
	Value          any
}

// DataOf returns the data for the sample s: Value is a float64, or the native
// histogram if the sample is one.
func DataOf(s alerting.Sample, externalLabels map[string]string, externalURL string) Data {
	d := Data{
		Labels:         s.Labels.Map(),
		ExternalLabels: externalLabels,
		ExternalURL:    externalURL,
		Value:          s.V,
	}
	if s.H != nil {
		d.Value = s.H
	}
	return d
}

// Scope is what the functions of a template act on.
type Scope struct {
	// Now is the evaluation time: that of the function now and of queries.
	Now time.Time
	// Query answers the function query.
	Query alerting.QueryFunc
	// ExternalURL is the address under which the server is reached.
	ExternalURL *url.URL
}

// Template is a compiled text. It is used by one goroutine at a time.
type Template struct {
	name    string
	literal string
	// parsed is nil if the text has no action or does not parse.
	parsed *template.Template
	err    error
	// functions is what parsed calls; it is aimed at the scope of the running
	// expansion.
	functions *functions
}

// Compile parses the text of a label or annotation of the alert with the given
// name. A text that does not parse compiles too: every expansion then fails
// with the reason, as Check does at once.
func Compile(alert, text string) *Template {
	t := &Template{name: "__alert_" + alert}
	if !strings.Contains(text, "{{") {
		t.literal = text
		return t
	}
	t.functions = &functions{}
	parsed, err := template.New(t.name).Funcs(t.functions.table()).Option("missingkey=zero").Parse(variables + text)
	if err != nil {
		t.err = err
		return t
	}
	t.parsed = parsed
	return t
}

// Check returns why the text does not parse, nil if it does.
func (t *Template) Check() error { return t.err }

// Expand executes the template. A query that it makes ends with ctx.
func (t *Template) Expand(ctx context.Context, scope Scope, data Data) (result string, err error) {
	switch {
	case t.err != nil:
		return "", fmt.Errorf("error parsing template %s: %w", t.name, t.err)
	case t.parsed == nil:
		return t.literal, nil
	}
	// text/template turns panics of functions into errors, but not its own. A
	// rule must not end the server.
	defer func() {
		if r := recover(); r != nil {
			result, err = "", fmt.Errorf("panic expanding template %s: %v", t.name, r)
		}
	}()
	t.functions.ctx, t.functions.scope = ctx, scope
	out := &boundedBuffer{}
	if err := t.parsed.Execute(out, data); err != nil {
		return "", fmt.Errorf("error executing template %s: %w", t.name, err)
	}
	return out.String(), nil
}

// boundedBuffer is a buffer that refuses to grow past MaxResultBytes.
type boundedBuffer struct{ bytes.Buffer }

// Write appends p or fails, in which case nothing was appended.
func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > MaxResultBytes {
		return 0, fmt.Errorf("result is longer than %d bytes", MaxResultBytes)
	}
	return b.Buffer.Write(p)
}
