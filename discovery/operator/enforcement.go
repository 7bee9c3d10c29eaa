package operator

import (
	"slices"

	"github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// exclusion has the objects that the enforced namespace label is not forced upon, by
// kind and namespace. The empty name is all of them.
type exclusion map[excluded][]string

type excluded struct {
	kind      schema.GroupKind
	namespace string
}

func newExclusion(spec *monitoringv1.PrometheusSpec) exclusion {
	references := slices.Clone(spec.ExcludedFromEnforcement)
	for _, r := range excludedRules(spec) {
		references = append(references, monitoringv1.ObjectReference{
			Group: monitoring.GroupName, Resource: monitoringv1.PrometheusRuleName, Namespace: r.RuleNamespace, Name: r.RuleName,
		})
	}
	e := exclusion{}
	for _, r := range references {
		if r.Namespace == "" {
			continue // It would exclude everything of every namespace.
		}
		key := excluded{r.GroupKind(), r.Namespace}
		e[key] = append(e[key], r.Name)
	}
	return e
}

// enforced reports whether the object's samples and rules must have the namespace label.
func (o *object) enforced() bool {
	if o.spec.EnforcedNamespaceLabel == "" {
		return false
	}
	names := o.exclusion[excluded{schema.GroupKind{Group: monitoring.GroupName, Kind: string(o.kind)}, o.meta.Namespace}]
	return !slices.ContainsFunc(names, func(name string) bool { return name == "" || name == o.meta.Name })
}

// enforceNamespace makes each selector of an expression, wherever it stands, select the
// object's namespace, whatever it says about the label itself.
func (o *object) enforceNamespace(expr parser.Expr) {
	name := o.spec.EnforcedNamespaceLabel
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			v.LabelMatchers = slices.DeleteFunc(v.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == name })
			v.LabelMatchers = append(v.LabelMatchers, labels.MustNewMatcher(labels.MatchEqual, name, o.meta.Namespace))
		}
		return nil
	})
}
