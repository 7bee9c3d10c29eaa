package operator

import (
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Namespaces are the labels of the namespaces that there are, by their names.
type Namespaces map[string]map[string]string

// selector selects the objects of one kind.
type selector struct {
	objects labels.Selector
	// namespaces selects by the labels of the namespace; nil is only, the namespace of
	// the Prometheus object.
	namespaces labels.Selector
	only       string
}

// newSelectors compiles the selectors of a spec. An absent selector selects nothing, an
// empty one everything; an absent namespace selector selects the Prometheus object's own
// namespace, an empty one all.
func newSelectors(own string, spec *monitoringv1.PrometheusSpec) (map[Kind]selector, error) {
	selectors := map[Kind]selector{}
	var faults []error
	for _, s := range []struct {
		kind                Kind
		field, namespace    string
		objects, namespaces *metav1.LabelSelector
	}{
		{KindServiceMonitor, "serviceMonitorSelector", "serviceMonitorNamespaceSelector", spec.ServiceMonitorSelector, spec.ServiceMonitorNamespaceSelector},
		{KindPodMonitor, "podMonitorSelector", "podMonitorNamespaceSelector", spec.PodMonitorSelector, spec.PodMonitorNamespaceSelector},
		{KindProbe, "probeSelector", "probeNamespaceSelector", spec.ProbeSelector, spec.ProbeNamespaceSelector},
		{KindScrapeConfig, "scrapeConfigSelector", "scrapeConfigNamespaceSelector", spec.ScrapeConfigSelector, spec.ScrapeConfigNamespaceSelector},
		{KindPrometheusRule, "ruleSelector", "ruleNamespaceSelector", spec.RuleSelector, spec.RuleNamespaceSelector},
	} {
		compiled := selector{only: own}
		var err error
		if compiled.objects, err = metav1.LabelSelectorAsSelector(s.objects); err != nil {
			faults = append(faults, fmt.Errorf("spec.%s: %w", s.field, err))
		}
		if s.namespaces != nil {
			if compiled.namespaces, err = metav1.LabelSelectorAsSelector(s.namespaces); err != nil {
				faults = append(faults, fmt.Errorf("spec.%s: %w", s.namespace, err))
			}
		}
		selectors[s.kind] = compiled
	}
	return selectors, errors.Join(faults...)
}

// SelectsNamespace reports whether objects of a kind are taken from a namespace with
// these labels, so that a watcher knows where to look.
func (g *Generator) SelectsNamespace(kind Kind, namespace string, namespaceLabels map[string]string) bool {
	s, known := g.selectors[kind]
	switch {
	case !known:
		return false
	case s.namespaces == nil:
		return namespace == s.only
	}
	return s.namespaces.Matches(labels.Set(namespaceLabels))
}

// Selects reports whether an object is taken, by its labels and by its namespace, which
// has these labels.
func (g *Generator) Selects(kind Kind, object metav1.Object, namespaceLabels map[string]string) bool {
	return g.SelectsNamespace(kind, object.GetNamespace(), namespaceLabels) &&
		g.selectors[kind].objects.Matches(labels.Set(object.GetLabels()))
}

// SelectsAny reports whether any object of a kind could be selected. If not, nobody needs
// to look for them.
func (g *Generator) SelectsAny(kind Kind) bool {
	s, known := g.selectors[kind]
	return known && s.objects != labels.Nothing()
}

// OnlyNamespace returns the only namespace that objects of a kind are taken from, if there
// is only one whatever the labels of namespaces.
func (g *Generator) OnlyNamespace(kind Kind) (string, bool) {
	s := g.selectors[kind]
	return s.only, s.namespaces == nil
}
