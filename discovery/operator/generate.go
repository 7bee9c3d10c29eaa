package operator

import (
	"cmp"
	"slices"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Objects are the objects that there are, of all namespaces, in any order.
type Objects struct {
	ServiceMonitors []*monitoringv1.ServiceMonitor
	PodMonitors     []*monitoringv1.PodMonitor
}

// Generate returns the results of all objects that are selected, by kind, namespace and
// name. Whoever follows single objects calls the generator's methods for them instead,
// which return the same.
func (g *Generator) Generate(objects Objects, namespaces Namespaces, lookup Lookup) []Result {
	var results []Result
	results = append(results, generate(g, KindServiceMonitor, objects.ServiceMonitors, namespaces, lookup, g.ServiceMonitor)...)
	results = append(results, generate(g, KindPodMonitor, objects.PodMonitors, namespaces, lookup, g.PodMonitor)...)
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
