//lint:file-ignore SA1019 The role "endpoints" is about an API that is deprecated, and in use.

package kubernetes

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
)

// resource is a kind of objects that can be listed and watched.
type resource struct {
	name   string // as in the API's paths
	object runtime.Object
	// client is what knows whether the server can list by watching.
	client func(*api) any
	list   func(context.Context, *api, string, metav1.ListOptions) (runtime.Object, error)
	watch  func(context.Context, *api, string, metav1.ListOptions) (apiwatch.Interface, error)
}

// resourceClient is what client-go has for every resource; L is the type of its lists.
type resourceClient[L runtime.Object] interface {
	List(context.Context, metav1.ListOptions) (L, error)
	Watch(context.Context, metav1.ListOptions) (apiwatch.Interface, error)
}

func newResource[L runtime.Object](name string, object runtime.Object, client func(a *api, namespace string) resourceClient[L]) *resource {
	return &resource{
		name: name, object: object, client: func(a *api) any { return a.core },
		list: func(ctx context.Context, a *api, namespace string, o metav1.ListOptions) (runtime.Object, error) {
			return client(a, namespace).List(ctx, o)
		},
		watch: func(ctx context.Context, a *api, namespace string, o metav1.ListOptions) (apiwatch.Interface, error) {
			return client(a, namespace).Watch(ctx, o)
		},
	}
}

var (
	pods = newResource("pods", &corev1.Pod{}, func(a *api, ns string) resourceClient[*corev1.PodList] {
		return a.core.Pods(ns)
	})
	services = newResource("services", &corev1.Service{}, func(a *api, ns string) resourceClient[*corev1.ServiceList] {
		return a.core.Services(ns)
	})
	endpoints = newResource("endpoints", &corev1.Endpoints{}, func(a *api, ns string) resourceClient[*corev1.EndpointsList] {
		return a.core.Endpoints(ns)
	})
	endpointSlices = newResource("endpointslices", &discoveryv1.EndpointSlice{}, func(a *api, ns string) resourceClient[*discoveryv1.EndpointSliceList] {
		return a.discovery.EndpointSlices(ns)
	})
	ingresses = newResource("ingresses", &networkingv1.Ingress{}, func(a *api, ns string) resourceClient[*networkingv1.IngressList] {
		return a.networking.Ingresses(ns)
	})
	replicaSets = newResource("replicasets", &appsv1.ReplicaSet{}, func(a *api, ns string) resourceClient[*appsv1.ReplicaSetList] {
		return a.apps.ReplicaSets(ns)
	})
	jobs = newResource("jobs", &batchv1.Job{}, func(a *api, ns string) resourceClient[*batchv1.JobList] {
		return a.batch.Jobs(ns)
	})
	nodes = newResource("nodes", &corev1.Node{}, func(a *api, _ string) resourceClient[*corev1.NodeList] {
		return a.core.Nodes()
	})
	namespaces = newResource("namespaces", &corev1.Namespace{}, func(a *api, _ string) resourceClient[*corev1.NamespaceList] {
		return a.core.Namespaces()
	})
)
