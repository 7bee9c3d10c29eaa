package controller

import (
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gnomonhq/gnomon/discovery/operator"
)

// kind is how objects of a kind are found and what is made of one.
type kind struct {
	name     operator.Kind
	resource schema.GroupVersionResource
	generate func(*operator.Generator, *unstructured.Unstructured, operator.Lookup) operator.Result
}

var kinds = []kind{
	newKind(operator.KindServiceMonitor, monitoringv1.SchemeGroupVersion, monitoringv1.ServiceMonitorName, (*operator.Generator).ServiceMonitor),
	newKind(operator.KindPodMonitor, monitoringv1.SchemeGroupVersion, monitoringv1.PodMonitorName, (*operator.Generator).PodMonitor),
	newKind(operator.KindProbe, monitoringv1.SchemeGroupVersion, monitoringv1.ProbeName, (*operator.Generator).Probe),
	newKind(operator.KindPrometheusRule, monitoringv1.SchemeGroupVersion, monitoringv1.PrometheusRuleName, rule),
	newKind(operator.KindScrapeConfig, monitoringv1alpha1.SchemeGroupVersion, monitoringv1alpha1.ScrapeConfigName, (*operator.Generator).ScrapeConfig),
}

// rule makes the rules of an object, which refers to nothing.
func rule(g *operator.Generator, r *monitoringv1.PrometheusRule, _ operator.Lookup) operator.Result {
	return g.PrometheusRule(r)
}

// newKind makes a kind whose objects are of the type T. One that is not of its type is
// rejected like one whose fields are wrong.
func newKind[T any, P interface {
	*T
	metav1.Object
}](name operator.Kind, version schema.GroupVersion, resource string, generate func(*operator.Generator, P, operator.Lookup) operator.Result) kind {
	return kind{
		name: name, resource: version.WithResource(resource),
		generate: func(g *operator.Generator, u *unstructured.Unstructured, lookup operator.Lookup) operator.Result {
			typed := P(new(T))
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, typed); err != nil {
				return operator.Result{
					Kind: name, Namespace: u.GetNamespace(), Name: u.GetName(),
					Rejection: &operator.Rejection{Reason: operator.ReasonInvalid, Message: fmt.Sprintf("the object is no %s: %v", name, err)},
				}
			}
			return generate(g, typed, lookup)
		},
	}
}
