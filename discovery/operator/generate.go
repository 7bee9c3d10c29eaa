package operator

import (
	"cmp"
	"slices"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Objects are the objects that there are, of all namespaces, in any order.
type Objects struct {
	ServiceMonitors []*monitoringv1.ServiceMonitor
	PodMonitors     []*monitoringv1.PodMonitor
	Probes          []*monitoringv1.Probe
	ScrapeConfigs   []*monitoringv1alpha1.ScrapeConfig
	PrometheusRules []*monitoringv1.PrometheusRule
}

// Generate returns the results of all objects that are selected, by kind, namespace and
// name. Whoever follows single objects calls the generator's methods for them instead,
// which return the same.
func (g *Generator) Generate(objects Objects, namespaces Namespaces, lookup Lookup) []Result {
	var results []Result
	results = append(results, generate(g, KindServiceMonitor, objects.ServiceMonitors, namespaces, lookup, g.ServiceMonitor)...)
	results = append(results, generate(g, KindPodMonitor, objects.PodMonitors, namespaces, lookup, g.PodMonitor)...)
	results = append(results, generate(g, KindProbe, objects.Probes, namespaces, lookup, g.Probe)...)
	results = append(results, generate(g, KindScrapeConfig, objects.ScrapeConfigs, namespaces, lookup, g.ScrapeConfig)...)
	rules := func(m *monitoringv1.PrometheusRule, _ Lookup) Result { return g.PrometheusRule(m) }
	results = append(results, generate(g, KindPrometheusRule, objects.PrometheusRules, namespaces, lookup, rules)...)
	if g.spec.AdditionalScrapeConfigs != nil {
		results = append(results, g.Additional(lookup))
	}
	return results
}

// generate returns the results of the selected objects of one kind.
func generate[T metav1.Object](g *Generator, kind Kind, objects []T, namespaces Namespaces, lookup Lookup, make func(T, Lookup) Result) []Result {
	var results []Result
	for _, o := range objects {
		if g.Selects(kind, o, namespaces[o.GetNamespace()]) {
			results = append(results, make(o, lookup))
		}
	}
	slices.SortStableFunc(results, func(a, b Result) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return results
}
