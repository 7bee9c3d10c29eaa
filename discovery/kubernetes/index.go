//lint:file-ignore SA1019 The role "endpoints" is about an API that is deprecated, and in use.

package kubernetes

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// The names of the indexes by which upstream's builders find the objects that a change
// elsewhere concerns.
const (
	nodeIndex       = "node"
	podIndex        = "pod"
	serviceIndex    = "service"
	replicaSetIndex = "replicaset"
	jobIndex        = "job"
)

// index returns the function of the named index. Its values are names of objects, with
// the namespace before them if they have one.
func index(name string) cache.IndexFunc {
	switch name {
	case nodeIndex:
		return nodesOf
	case podIndex:
		return podsOf
	case serviceIndex:
		return servicesOf
	case replicaSetIndex:
		return controllersOf("ReplicaSet")
	case jobIndex:
		return controllersOf("Job")
	case cache.NamespaceIndex:
		return cache.MetaNamespaceIndexFunc
	}
	panic("no such index: " + name)
}

// nodesOf returns the nodes that a pod, or the addresses of endpoints, are on.
func nodesOf(object any) ([]string, error) {
	var nodes []string
	add := func(target *corev1.ObjectReference, node *string) {
		switch {
		case target == nil:
		case target.Kind == "Pod" && node != nil:
			nodes = append(nodes, *node)
		case target.Kind == "Node":
			nodes = append(nodes, target.Name)
		}
	}
	switch o := object.(type) {
	case *corev1.Pod:
		return []string{o.Spec.NodeName}, nil
	case *corev1.Endpoints:
		for _, subset := range o.Subsets {
			for i := range subset.Addresses {
				add(subset.Addresses[i].TargetRef, subset.Addresses[i].NodeName)
			}
		}
	case *discoveryv1.EndpointSlice:
		for i := range o.Endpoints {
			add(o.Endpoints[i].TargetRef, o.Endpoints[i].NodeName)
		}
	default:
		return nil, fmt.Errorf("%s has no index of nodes", description(object))
	}
	return nodes, nil
}

// podsOf returns the pods behind endpoints.
func podsOf(object any) ([]string, error) {
	e, ok := object.(*corev1.Endpoints)
	if !ok {
		return nil, fmt.Errorf("%s has no index of pods", description(object))
	}
	var pods []string
	for _, subset := range e.Subsets {
		for i := range subset.Addresses {
			if target := subset.Addresses[i].TargetRef; target != nil && target.Kind == "Pod" {
				pods = append(pods, key(target.Namespace, target.Name))
			}
		}
	}
	return pods, nil
}

// servicesOf returns the service that an endpoint slice belongs to.
func servicesOf(object any) ([]string, error) {
	m, ok := object.(metav1.Object)
	if !ok {
		return nil, fmt.Errorf("%s has no index of services", description(object))
	}
	if service, ok := m.GetLabels()[discoveryv1.LabelServiceName]; ok {
		return []string{key(m.GetNamespace(), service)}, nil
	}
	return nil, nil
}

// controllersOf returns the object of a kind that controls a pod.
func controllersOf(kind string) cache.IndexFunc {
	return func(object any) ([]string, error) {
		m, ok := object.(metav1.Object)
		if !ok {
			return nil, fmt.Errorf("%s has no index of controllers", description(object))
		}
		if owner := metav1.GetControllerOfNoCopy(m); owner != nil && owner.Kind == kind {
			return []string{key(m.GetNamespace(), owner.Name)}, nil
		}
		return nil, nil
	}
}

func key(namespace, name string) string { return namespace + "/" + name }
