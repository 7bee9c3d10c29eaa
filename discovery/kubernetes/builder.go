//lint:file-ignore SA1019 The role "endpoints" is about an API that is deprecated, and in use.

package kubernetes

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	upstreamdiscovery "github.com/prometheus/prometheus/discovery"
	upstream "github.com/prometheus/prometheus/discovery/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// lend hands out the watch of a resource's objects, with indexes.
type lend func(r *resource, namespace string, s selector, indexes ...string) *lent

// newBuilder makes upstream's builder of the groups of a feed on the watches that it needs.
func newBuilder(k feedKey, get lend, events *prometheus.CounterVec, logger *slog.Logger) upstreamdiscovery.Discoverer {
	logger = logger.With("role", string(k.role))
	a, s, ns := k.attach, k.selectors, k.namespace
	node := optional(a.node, get, nodes, "", s.node)
	namespace := optional(a.namespace, get, namespaces, "", selector{})
	replicaSet := optional(a.deployment, get, replicaSets, ns, selector{})
	job := optional(a.job || a.cronJob, get, jobs, ns, selector{})
	switch k.role {
	case upstream.RoleNode:
		return upstream.NewNode(logger, get(nodes, "", s.node), events)
	case upstream.RolePod:
		return upstream.NewPod(logger, get(pods, ns, s.pod, a.indexes(true)...),
			node, namespace, replicaSet, job, a.deployment, a.job, a.cronJob, events)
	case upstream.RoleService:
		return upstream.NewService(logger, get(services, ns, s.service, a.indexes(false)...), namespace, events)
	case upstream.RoleIngress:
		return upstream.NewIngress(logger, get(ingresses, ns, s.ingress, a.indexes(false)...), namespace, events)
	case upstream.RoleEndpoint:
		return upstream.NewEndpoints(logger, get(endpoints, ns, s.endpoints, a.indexes(false, podIndex)...),
			get(services, ns, s.service), get(pods, ns, s.pod),
			node, namespace, replicaSet, job, a.deployment, a.job, a.cronJob, events)
	case upstream.RoleEndpointSlice:
		return upstream.NewEndpointSlice(logger, get(endpointSlices, ns, s.endpointslice, a.indexes(false, serviceIndex)...),
			get(services, ns, s.service), get(pods, ns, s.pod),
			node, namespace, replicaSet, job, a.deployment, a.job, a.cronJob, events)
	}
	panic("no builder for the role " + k.role) // the mechanism has checked it
}

// optional returns no informer if it is not wanted, which is how builders know; a nil
// pointer would be one.
func optional(wanted bool, get lend, r *resource, namespace string, s selector) cache.SharedInformer {
	if !wanted {
		return nil
	}
	return get(r, namespace, s)
}

// indexes returns those that a builder needs of its main objects to attach what is
// attached, besides its own. Only pods are found by what controls them.
func (a attached) indexes(ofPods bool, own ...string) []string {
	if a.node {
		own = append(own, nodeIndex)
	}
	if a.namespace {
		own = append(own, cache.NamespaceIndex)
	}
	if ofPods && a.deployment {
		own = append(own, replicaSetIndex)
	}
	if ofPods && (a.job || a.cronJob) {
		own = append(own, jobIndex)
	}
	return own
}
