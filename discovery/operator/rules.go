package operator

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v2"
)

// ExprParser parses PromQL. Upstream's parser.Parser is one.
type ExprParser interface {
	ParseExpr(input string) (parser.Expr, error)
}

// PrometheusRule makes the rule file of a PrometheusRule. Whether it is selected is not
// looked at.
//
// The file is complete: groups without an interval or query offset have that of the
// settings, and the enforced namespace label is in expressions and labels.
func (g *Generator) PrometheusRule(m *monitoringv1.PrometheusRule) Result {
	o := g.begin(KindPrometheusRule, &m.ObjectMeta, nil)
	groups := make([]section, len(m.Spec.Groups))
	for i := range m.Spec.Groups {
		groups[i] = o.ruleGroup(fmt.Sprintf("spec.groups[%d]", i), &m.Spec.Groups[i])
	}
	file := o.ruleFile(fmt.Sprintf("prometheusRule/%s/%s", m.Namespace, m.Name), groups)
	r := o.result()
	if r.Rejection == nil {
		r.Rules = file
	}
	return r
}

// placeInRuleFile is where in a file that nobody has seen a fault is. Faults name group
// and rule as well.
var placeInRuleFile = regexp.MustCompile(`^(:\d+)*: `)

// ruleFile writes the file and has it checked by whoever is going to read it.
func (o *object) ruleFile(path string, groups []section) *RuleFile {
	content, err := yaml.Marshal(section{{Key: "groups", Value: groups}})
	if err != nil {
		o.fault("spec", err)
		return nil
	}
	if len(content) > o.options.MaxRuleFileBytes {
		o.fault("spec", fmt.Errorf("the rule file has %d bytes, more than %d", len(content), o.options.MaxRuleFileBytes))
	}
	if check := o.options.CheckRules; check != nil && o.sound() {
		if err := check(path, content); err != nil {
			for fault := range strings.SplitSeq(err.Error(), "\n") {
				o.fault("spec", errors.New(placeInRuleFile.ReplaceAllString(strings.TrimPrefix(fault, path), "")))
			}
		}
	}
	return &RuleFile{Path: path, Content: content}
}

// ruleGroup writes one group. What only Thanos knows (partial_response_strategy) is left
// out.
func (o *object) ruleGroup(path string, g *monitoringv1.RuleGroup) section {
	s := section{{Key: "name", Value: g.Name}}
	interval := value(g.Interval)
	if interval == "" {
		interval = o.spec.EvaluationInterval
	}
	s.set("interval", interval)
	offset := g.QueryOffset
	if offset == nil {
		offset = o.spec.RuleQueryOffset
	}
	some(&s, "query_offset", offset)
	some(&s, "limit", g.Limit)
	if len(g.Labels) > 0 {
		s.set("labels", sorted(g.Labels))
	}
	rules := make([]section, len(g.Rules))
	for i := range g.Rules {
		rules[i] = o.rule(fmt.Sprintf("%s.rules[%d]", path, i), &g.Rules[i])
	}
	s.set("rules", rules)
	return s
}

// rule writes one rule.
func (o *object) rule(path string, r *monitoringv1.Rule) section {
	var s section
	s.text("record", r.Record)
	s.text("alert", r.Alert)
	s.set("expr", o.expression(path+".expr", r.Expr.String()))
	s.text("for", string(value(r.For)))
	s.text("keep_firing_for", string(value(r.KeepFiringFor)))
	labels := r.Labels
	if o.enforced() {
		labels = maps.Clone(labels)
		if labels == nil {
			labels = map[string]string{}
		}
		labels[o.spec.EnforcedNamespaceLabel] = o.meta.Namespace
	}
	if len(labels) > 0 {
		s.set("labels", sorted(labels))
	}
	if len(r.Annotations) > 0 {
		s.set("annotations", sorted(r.Annotations))
	}
	return s
}

// maxExpressionDepth bounds how deep an expression is nested. Writing one takes time in
// the square of it.
const maxExpressionDepth = 1000

// expression checks the expression of a rule and returns it with the namespace label
// enforced.
func (o *object) expression(path, text string) string {
	if len(text) > o.options.MaxExpressionBytes {
		o.fault(path, fmt.Errorf("has %d bytes, more than %d", len(text), o.options.MaxExpressionBytes))
		return ""
	}
	expr, err := o.options.Parser.ParseExpr(text)
	if err != nil {
		o.fault(path, err)
		return ""
	}
	if deeper(expr, maxExpressionDepth) {
		o.fault(path, fmt.Errorf("is nested deeper than %d", maxExpressionDepth))
		return ""
	}
	if !o.enforced() {
		return text
	}
	o.enforceNamespace(expr)
	return expr.String()
}

// deeper reports whether the tree below a node has more than so many levels.
func deeper(node parser.Node, levels int) bool {
	if levels == 0 {
		return true
	}
	for child := range parser.ChildrenIter(node) {
		if deeper(child, levels-1) {
			return true
		}
	}
	return false
}
