package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
)

// cluster writes objects into a Kubernetes API server. Nothing there runs pods, so that it
// tells their status as a kubelet would.
type cluster struct {
	t      *testing.T
	client kubernetes.Interface
}

// namespace makes a namespace.
func (c cluster) namespace(name string) {
	c.t.Helper()
	_, err := c.client.CoreV1().Namespaces().Create(c.t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(c.t, err)
}

// node makes a node with an address, whose kubelet listens on port 10250.
func (c cluster) node(name, ip string, labels map[string]string) {
	c.t.Helper()
	nodes := c.client.CoreV1().Nodes()
	node, err := nodes.Create(c.t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec:       corev1.NodeSpec{ProviderID: "test://" + name},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}, {Type: corev1.NodeHostName, Address: name}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = 10250
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	_, err = nodes.UpdateStatus(c.t.Context(), node, metav1.UpdateOptions{})
	require.NoError(c.t, err)
}

// podSpec says what a pod is beside its one container, app.
type podSpec struct {
	Namespace, Name string
	Node, IP        string
	Labels          map[string]string
	Annotations     map[string]string
	Owners          []metav1.OwnerReference
	Ports           []int32 // Beside the port 8080, which is named http.
}

// pod makes a pod that runs and is ready.
func (c cluster) pod(spec podSpec) {
	c.t.Helper()
	ports := []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}
	for _, port := range spec.Ports {
		ports = append(ports, corev1.ContainerPort{ContainerPort: port})
	}
	_, err := c.client.CoreV1().Pods(spec.Namespace).Create(c.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: spec.Name, Labels: spec.Labels, Annotations: spec.Annotations, OwnerReferences: spec.Owners},
		Spec: corev1.PodSpec{
			NodeName:   spec.Node,
			Containers: []corev1.Container{{Name: "app", Image: "registry.example.test/app:1", Ports: ports}},
		},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	c.podStatus(spec.Namespace, spec.Name, spec.IP, true)
}

// podStatus says that a pod runs, and whether it is ready.
func (c cluster) podStatus(namespace, name, ip string, ready bool) {
	c.t.Helper()
	pods := c.client.CoreV1().Pods(namespace)
	pod, err := pods.Get(c.t.Context(), name, metav1.GetOptions{})
	require.NoError(c.t, err)
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, HostIP: "198.51.100.1",
		HostIPs:    []corev1.HostIP{{IP: "198.51.100.1"}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}},
	}
	_, err = pods.UpdateStatus(c.t.Context(), pod, metav1.UpdateOptions{})
	require.NoError(c.t, err)
}

// deletePod deletes a pod at once, as no kubelet will say that it has ended.
func (c cluster) deletePod(namespace, name string) {
	c.t.Helper()
	now := int64(0)
	require.NoError(c.t, c.client.CoreV1().Pods(namespace).Delete(c.t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
}

// service makes a service for the pods with a label app, at port 80.
func (c cluster) service(namespace, name string, annotations map[string]string) {
	c.t.Helper()
	_, err := c.client.CoreV1().Services(namespace).Create(c.t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": "front"}, Annotations: annotations},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
		},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
}

// ingress makes an ingress with TLS for the paths of a host.
func (c cluster) ingress(namespace, name, host string, paths ...string) {
	c.t.Helper()
	_, err := c.client.NetworkingV1().Ingresses(namespace).Create(c.t.Context(), &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: networkingv1.IngressSpec{
			TLS:   []networkingv1.IngressTLS{{Hosts: []string{host}}},
			Rules: []networkingv1.IngressRule{ingressRule(host, name, paths...)},
		},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
}

// ingressRule leads paths of a host to a service.
func ingressRule(host, service string, paths ...string) networkingv1.IngressRule {
	prefix := networkingv1.PathTypePrefix
	rule := networkingv1.IngressRule{Host: host}
	rule.HTTP = &networkingv1.HTTPIngressRuleValue{}
	for _, path := range paths {
		rule.HTTP.Paths = append(rule.HTTP.Paths, networkingv1.HTTPIngressPath{
			Path: path, PathType: &prefix,
			Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
				Name: service, Port: networkingv1.ServiceBackendPort{Name: "http"},
			}},
		})
	}
	return rule
}

// The subjects of the tests.
var guest = rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "guest"}

// account makes a service account and returns it as a subject.
func (c cluster) account(namespace, name string) rbacv1.Subject {
	c.t.Helper()
	_, err := c.client.CoreV1().ServiceAccounts(namespace).Create(c.t.Context(),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}
}

// reading is what discovery may do with resources.
func reading(group string, resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: []string{"get", "list", "watch"}}
}

// allowNodes lets a subject read the nodes.
func (c cluster) allowNodes(subject rbacv1.Subject) {
	c.t.Helper()
	meta := metav1.ObjectMeta{Name: "nodes-of-" + subject.Name}
	rbac := c.client.RbacV1()
	_, err := rbac.ClusterRoles().Create(c.t.Context(),
		&rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{reading("", "nodes")}}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	_, err = rbac.ClusterRoleBindings().Create(c.t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, Subjects: []rbacv1.Subject{subject},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
}

// allow lets a subject read what may be a target in a namespace.
func (c cluster) allow(subject rbacv1.Subject, namespace string) {
	c.t.Helper()
	meta := metav1.ObjectMeta{Name: "targets-of-" + subject.Name}
	rbac := c.client.RbacV1()
	_, err := rbac.Roles(namespace).Create(c.t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		reading("", "services", "endpoints", "pods"),
		reading("discovery.k8s.io", "endpointslices"),
		reading("networking.k8s.io", "ingresses"),
	}}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	_, err = rbac.RoleBindings(namespace).Create(c.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta, Subjects: []rbacv1.Subject{subject},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
}
