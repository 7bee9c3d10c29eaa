//lint:file-ignore SA1019 The role "endpoints" is about an API that is deprecated, and in use.

package kubernetes

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// trim returns an object with nothing but the fields that upstream's builders read. A
// pod, say, is mostly its environment, its volumes and the record of who set which
// field. Slices have no room to spare: the builders append to them, and several builders
// do so at once. Strings that repeat among objects are shared.
//
// Upstream's builders change with its versions; TestTrimmedObjectsGiveUpstreamsGroups
// fails if one of them reads what is dropped here.
func (in *interner) trim(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Pod:
		return in.trimPod(o), nil
	case *corev1.Node:
		return in.trimNode(o), nil
	case *corev1.Service:
		return in.trimService(o), nil
	case *corev1.Endpoints:
		return &corev1.Endpoints{ObjectMeta: in.trimMeta(&o.ObjectMeta), Subsets: o.Subsets}, nil
	case *discoveryv1.EndpointSlice:
		return &discoveryv1.EndpointSlice{
			ObjectMeta: in.trimMeta(&o.ObjectMeta), AddressType: o.AddressType, Endpoints: o.Endpoints, Ports: o.Ports,
		}, nil
	case *networkingv1.Ingress:
		return &networkingv1.Ingress{
			ObjectMeta: in.trimMeta(&o.ObjectMeta),
			Spec:       networkingv1.IngressSpec{IngressClassName: o.Spec.IngressClassName, TLS: o.Spec.TLS, Rules: o.Spec.Rules},
		}, nil
	case *corev1.Namespace:
		return &corev1.Namespace{ObjectMeta: in.trimMeta(&o.ObjectMeta)}, nil
	case *appsv1.ReplicaSet:
		return &appsv1.ReplicaSet{ObjectMeta: in.trimOwned(&o.ObjectMeta)}, nil
	case *batchv1.Job:
		return &batchv1.Job{ObjectMeta: in.trimOwned(&o.ObjectMeta)}, nil
	case *unstructured.Unstructured: // see Objects
		unstructured.RemoveNestedField(o.Object, "metadata", "managedFields")
		return o, nil
	}
	// Not an object: client-go's note that it missed a deletion.
	return object, nil
}

// trimMeta keeps what becomes labels, and the version that client-go goes by.
func (in *interner) trimMeta(m *metav1.ObjectMeta) metav1.ObjectMeta {
	out := in.trimOwned(m)
	out.Labels, out.Annotations = in.strings(m.Labels), in.strings(m.Annotations)
	return out
}

// trimOwned keeps the name and the controller of an object.
func (in *interner) trimOwned(m *metav1.ObjectMeta) metav1.ObjectMeta {
	out := metav1.ObjectMeta{Name: m.Name, Namespace: in.string(m.Namespace), UID: m.UID, ResourceVersion: m.ResourceVersion}
	for _, ref := range m.OwnerReferences {
		if ref.Controller != nil && *ref.Controller {
			// Upstream's builders read the first of them.
			out.OwnerReferences = []metav1.OwnerReference{{Kind: in.string(ref.Kind), Name: in.string(ref.Name), Controller: ref.Controller}}
			break
		}
	}
	return out
}

func (in *interner) trimPod(p *corev1.Pod) *corev1.Pod {
	out := &corev1.Pod{ObjectMeta: in.trimMeta(&p.ObjectMeta)}
	out.Spec.NodeName = in.string(p.Spec.NodeName)
	out.Spec.Containers = in.trimContainers(p.Spec.Containers)
	out.Spec.InitContainers = in.trimContainers(p.Spec.InitContainers)
	out.Status.Phase = corev1.PodPhase(in.string(string(p.Status.Phase)))
	out.Status.PodIP = p.Status.PodIP
	out.Status.HostIP = in.string(p.Status.HostIP)
	out.Status.ContainerStatuses = in.trimStatuses(p.Status.ContainerStatuses)
	out.Status.InitContainerStatuses = in.trimStatuses(p.Status.InitContainerStatuses)
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			out.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionStatus(in.string(string(c.Status)))}}
			break
		}
	}
	return out
}

func (in *interner) trimContainers(containers []corev1.Container) []corev1.Container {
	if len(containers) == 0 {
		return nil
	}
	out := make([]corev1.Container, len(containers))
	for i := range containers {
		c := &containers[i]
		out[i].Name, out[i].Image = in.string(c.Name), in.string(c.Image)
		if len(c.Ports) == 0 {
			continue
		}
		out[i].Ports = make([]corev1.ContainerPort, len(c.Ports))
		for j, p := range c.Ports {
			out[i].Ports[j] = corev1.ContainerPort{
				Name: in.string(p.Name), ContainerPort: p.ContainerPort, Protocol: corev1.Protocol(in.string(string(p.Protocol))),
			}
		}
	}
	return out
}

func (in *interner) trimStatuses(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	if len(statuses) == 0 {
		return nil
	}
	out := make([]corev1.ContainerStatus, len(statuses))
	for i, s := range statuses {
		out[i].Name, out[i].ContainerID = in.string(s.Name), s.ContainerID
	}
	return out
}

func (in *interner) trimNode(n *corev1.Node) *corev1.Node {
	out := &corev1.Node{ObjectMeta: in.trimMeta(&n.ObjectMeta)}
	out.Spec.ProviderID = n.Spec.ProviderID
	out.Status.Addresses = n.Status.Addresses
	out.Status.DaemonEndpoints = n.Status.DaemonEndpoints
	out.Status.Conditions = make([]corev1.NodeCondition, len(n.Status.Conditions))
	for i, c := range n.Status.Conditions {
		out.Status.Conditions[i] = corev1.NodeCondition{Type: c.Type, Status: c.Status}
	}
	return out
}

func (in *interner) trimService(s *corev1.Service) *corev1.Service {
	out := &corev1.Service{ObjectMeta: in.trimMeta(&s.ObjectMeta)}
	out.Spec.Type, out.Spec.ClusterIP, out.Spec.ExternalName = s.Spec.Type, s.Spec.ClusterIP, s.Spec.ExternalName
	out.Spec.LoadBalancerIP = s.Spec.LoadBalancerIP
	out.Spec.IPFamilies, out.Spec.IPFamilyPolicy = s.Spec.IPFamilies, s.Spec.IPFamilyPolicy
	out.Spec.Ports = s.Spec.Ports
	for _, ingress := range s.Status.LoadBalancer.Ingress {
		out.Status.LoadBalancer.Ingress = append(out.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: ingress.IP})
	}
	return out
}

// description names an object in messages.
func description(object any) string {
	if m, ok := object.(metav1.Object); ok {
		return fmt.Sprintf("%T %s/%s", object, m.GetNamespace(), m.GetName())
	}
	return fmt.Sprintf("%T", object)
}
