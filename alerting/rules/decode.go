package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/gnomonhq/gnomon/alerting/template"
)

// decoder turns the fields of one file into specs and collects faults.
type decoder struct {
	Reader

	path   string
	faults []error
	// The place that is being read.
	group    string
	rule     int
	ruleName string
}

// fault notes what is wrong at a node, or at an unknown place if n is nil.
func (d *decoder) fault(n *yaml.Node, err error) {
	f := &FileError{Path: d.path, Group: d.group, Rule: d.rule, RuleName: d.ruleName, Err: err}
	if n != nil {
		f.Line, f.Column = n.Line, n.Column
	}
	d.faults = append(d.faults, f)
}

// groups checks and converts all groups.
func (d *decoder) groups(doc document) []GroupSpec {
	seen := make(map[string]struct{}, len(doc.fields.Groups))
	specs := make([]GroupSpec, 0, len(doc.fields.Groups))
	for i := range doc.fields.Groups {
		fields := &doc.fields.Groups[i]
		place := &groupOutline{}
		if i < len(doc.outline.Groups) {
			place = &doc.outline.Groups[i]
		}
		d.group, d.rule, d.ruleName = "", 0, ""
		name := d.text("name", &fields.Name)
		if name == "" {
			d.fault(&place.node, errors.New("group name must not be empty"))
		}
		d.group = name
		if _, ok := seen[name]; ok {
			d.fault(&place.node, fmt.Errorf("group name %q is repeated in the same file", name))
		}
		seen[name] = struct{}{}
		specs = append(specs, d.oneGroup(name, fields, place))
	}
	return specs
}

// oneGroup checks and converts one group, whose name is known.
func (d *decoder) oneGroup(name string, fields *groupFields, place *groupOutline) GroupSpec {
	g := GroupSpec{
		Name:     name,
		Interval: d.duration("interval", &fields.Interval),
		Labels:   d.texts("label", fields.Labels),
		Rules:    make([]RuleSpec, 0, len(fields.Rules)),
	}
	if !fields.QueryOffset.IsZero() && fields.QueryOffset.Tag != "!!null" {
		offset := d.duration("query_offset", &fields.QueryOffset)
		g.QueryOffset = &offset
	}
	if !fields.Limit.IsZero() {
		if err := fields.Limit.Decode(&g.Limit); err != nil {
			d.fault(&fields.Limit, fmt.Errorf("field 'limit' must be a whole number, not %q", fields.Limit.Value))
		}
	}
	d.checkLabels(fields.Labels, g.Labels)
	for i := range fields.Rules {
		d.rule = i + 1
		g.Rules = append(g.Rules, d.oneRule(&fields.Rules[i], place.rule(i)))
	}
	return g
}

// oneRule checks and converts one rule.
func (d *decoder) oneRule(fields *ruleFields, place *yaml.Node) RuleSpec {
	d.ruleName = ""
	r := RuleSpec{
		Record: d.text("record", &fields.Record),
		Alert:  d.text("alert", &fields.Alert),
	}
	d.ruleName = r.Name()
	switch {
	case r.Record != "" && r.Alert != "":
		d.fault(&fields.Alert, errors.New("only one of 'record' and 'alert' must be set"))
	case r.Record == "" && r.Alert == "":
		d.fault(place, errors.New("one of 'record' or 'alert' must be set"))
	}
	d.expression(fields, place, &r)
	r.For = d.duration("for", &fields.For)
	r.KeepFiringFor = d.duration("keep_firing_for", &fields.KeepFiringFor)
	r.Labels = d.texts("label", fields.Labels)
	r.Annotations = d.texts("annotation", fields.Annotations)
	d.checkLabels(fields.Labels, r.Labels)
	for _, name := range slices.Sorted(maps.Keys(r.Annotations)) {
		if !d.NameValidation.IsValidLabelName(name) {
			n := fields.Annotations[name]
			d.fault(&n, fmt.Errorf("invalid annotation name: %s", name))
		}
	}
	if r.Record != "" {
		d.checkRecord(fields, &r)
	}
	if r.Alert != "" {
		d.checkTemplates("label", fields.Labels, r.Alert, r.Labels)
		d.checkTemplates("annotation", fields.Annotations, r.Alert, r.Annotations)
	}
	return r
}

// expression parses the rule's expression.
func (d *decoder) expression(fields *ruleFields, place *yaml.Node, r *RuleSpec) {
	text := d.text("expr", &fields.Expr)
	if text == "" {
		if !fields.Expr.IsZero() {
			place = &fields.Expr
		}
		d.fault(place, errors.New("field 'expr' must be set in rule"))
		return
	}
	expr, err := d.Parser.ParseExpr(text)
	if err != nil {
		d.fault(&fields.Expr, fmt.Errorf("could not parse expression: %w", err))
		return
	}
	r.Expr = expr
}

// checkRecord checks what holds for recording rules only.
func (d *decoder) checkRecord(fields *ruleFields, r *RuleSpec) {
	if len(r.Annotations) > 0 {
		d.fault(&fields.Record, errors.New("invalid field 'annotations' in recording rule"))
	}
	if r.For != 0 {
		d.fault(&fields.For, errors.New("invalid field 'for' in recording rule"))
	}
	if r.KeepFiringFor != 0 {
		d.fault(&fields.KeepFiringFor, errors.New("invalid field 'keep_firing_for' in recording rule"))
	}
	if !d.NameValidation.IsValidMetricName(r.Record) {
		d.fault(&fields.Record, fmt.Errorf("invalid recording rule name: %s", r.Record))
	}
	// UTF-8 names may have braces; an expression put in the wrong field is far
	// more likely.
	if strings.ContainsAny(r.Record, "{}") {
		d.fault(&fields.Record, fmt.Errorf("braces present in the recording rule name; should it be in expr?: %s", r.Record))
	}
}

// checkLabels checks names and values of labels, in the order of the names.
func (d *decoder) checkLabels(nodes map[string]yaml.Node, values map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		n := nodes[name]
		if !d.NameValidation.IsValidLabelName(name) || name == model.MetricNameLabel {
			d.fault(&n, fmt.Errorf("invalid label name: %s", name))
		}
		if !model.LabelValue(values[name]).IsValid() {
			d.fault(&n, fmt.Errorf("invalid label value: %q", values[name]))
		}
	}
}

// checkTemplates checks that the texts parse as templates.
func (d *decoder) checkTemplates(kind string, nodes map[string]yaml.Node, alert string, values map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := template.Compile(alert, values[name]).Check(); err != nil {
			n := nodes[name]
			d.fault(&n, fmt.Errorf("%s %q: %w", kind, name, err))
		}
	}
}

// text returns the text of a scalar field, "" if it is absent.
func (d *decoder) text(field string, n *yaml.Node) string {
	if n.IsZero() {
		return ""
	}
	var s string
	if err := n.Decode(&s); err != nil {
		d.fault(n, fmt.Errorf("field '%s' must be a text", field))
	}
	return s
}

// texts returns the values of a map of scalars.
func (d *decoder) texts(kind string, nodes map[string]yaml.Node) map[string]string {
	if len(nodes) == 0 {
		return nil
	}
	values := make(map[string]string, len(nodes))
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[name]
		var s string
		if err := n.Decode(&s); err != nil {
			d.fault(&n, fmt.Errorf("%s %q must be a text", kind, name))
			continue
		}
		values[name] = s
	}
	return values
}

// duration returns the duration of a field, 0 if it is absent.
func (d *decoder) duration(field string, n *yaml.Node) time.Duration {
	if n.IsZero() || n.Tag == "!!null" {
		return 0
	}
	faults := len(d.faults)
	text := d.text(field, n)
	if len(d.faults) > faults {
		return 0
	}
	v, err := model.ParseDuration(text)
	if err != nil {
		d.fault(n, fmt.Errorf("field '%s': %w", field, err))
	}
	return time.Duration(v)
}
