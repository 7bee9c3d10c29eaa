//lint:file-ignore SA1019 The role "endpoints" is about an API that is deprecated, and in use.

package kubernetes

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	upstreamdiscovery "github.com/prometheus/prometheus/discovery"
	upstream "github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v2"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/gnomonhq/gnomon/discovery"
)

var costPods = flag.Int("pods", 500, "pods of TestCostOfManyJobs")

// manyJobs are twenty jobs that look at a cluster in different ways.
func manyJobs() []string {
	var out []string
	for _, role := range []string{"pod", "endpointslice"} {
		for i := range 8 {
			out = append(out, fmt.Sprintf("role: %s\nattach_metadata: {node: %t, namespace: %t, deployment: %t}", role, i&1 != 0, i&2 != 0, i&4 != 0))
		}
	}
	return append(out, "role: endpoints", "role: service", "role: node", "role: ingress")
}

// TestCostOfManyJobs runs twenty jobs with our mechanism and manager and with upstream's
// beside a server of *costPods pods, and compares targets, heap and requests. The figures of
// documentation/decisions/0016 are those of 10,000 pods.
func TestCostOfManyJobs(t *testing.T) {
	server := newListServer(t, *costPods)
	texts := manyJobs()
	ours := measureJobs(t, server, texts, func(ctx context.Context, configs map[string]discovery.Configs) <-chan map[string][]*targetgroup.Group {
		reg := prometheus.NewRegistry()
		metrics, err := discovery.NewMetrics(reg)
		require.NoError(t, err)
		mechanism, err := New(reg, nil)
		require.NoError(t, err)
		m, err := discovery.New(discovery.Options{Registerer: reg, Metrics: metrics, Mechanisms: []discovery.Mechanism{mechanism}})
		require.NoError(t, err)
		require.NoError(t, m.ApplyConfig(configs))
		go m.Run(ctx)
		return m.SyncCh()
	})
	theirs := measureJobs(t, server, texts, func(ctx context.Context, configs map[string]discovery.Configs) <-chan map[string][]*targetgroup.Group {
		reg := prometheus.NewRegistry()
		sd, err := upstreamdiscovery.CreateAndRegisterSDMetrics(reg)
		require.NoError(t, err)
		m := upstreamdiscovery.NewManager(ctx, slog.New(slog.DiscardHandler), reg, sd)
		go m.Run()
		require.NoError(t, m.ApplyConfig(configs))
		return m.SyncCh()
	})
	for job, want := range theirs.groups {
		got := bySource(ours.groups[job])
		require.Len(t, got, len(want), job)
		for source, g := range bySource(want) {
			if len(g.Targets) == 0 {
				continue
			}
			sortTargets(g)
			sortTargets(got[source])
			require.Equal(t, g.Targets, got[source].Targets, "%s %s", job, source)
			require.Equal(t, g.Labels, got[source].Labels)
		}
	}
	pod := server.lists["/api/v1/pods"].(*corev1.PodList).Items[0]
	t.Logf("%d pods of %d bytes, %d jobs: heap ours %.1f MB, upstream's %.1f MB, ratio %.3f; requests ours %d, upstream's %d",
		*costPods, pod.Size(), len(texts), ours.heap/1e6, theirs.heap/1e6, ours.heap/theirs.heap, sum(ours.requests), sum(theirs.requests))
	require.LessOrEqual(t, ours.heap, 0.27*theirs.heap) // few pods weigh the rest more than many
	for what, n := range ours.requests {
		require.Equal(t, 1, n, what)
	}
}

type jobsCost struct {
	groups   map[string][]*targetgroup.Group
	heap     float64 // bytes that the discovery occupies
	requests map[string]int
}

// measureJobs runs jobs until they have all targets.
func measureJobs(t *testing.T, s *listServer, texts []string, start func(context.Context, map[string]discovery.Configs) <-chan map[string][]*targetgroup.Group) jobsCost {
	s.forget()
	ctx, cancel := context.WithCancel(t.Context())
	configs := map[string]discovery.Configs{}
	for i, text := range texts {
		c := &upstream.SDConfig{}
		require.NoError(t, yaml.UnmarshalStrict([]byte("api_server: "+s.URL+"\n"+text), c))
		configs[fmt.Sprint("job", i)] = discovery.Configs{c}
	}
	before := heap()
	sets := start(ctx, configs)
	var cost jobsCost
	for groups := range sets {
		if cost.groups = groups; s.complete(groups) {
			break
		}
	}
	cost.heap = heap() - before
	cancel()
	for range sets {
	}
	cost.requests = s.forget()
	return cost
}

// heap returns the bytes in use.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func bySource(groups []*targetgroup.Group) map[string]*targetgroup.Group {
	out := map[string]*targetgroup.Group{}
	for _, g := range groups {
		out[g.Source] = g
	}
	return out
}

func sum(m map[string]int) (n int) {
	for _, x := range m {
		n += x
	}
	return n
}

// listServer answers lists of objects that do not change, and holds watches open.
type listServer struct {
	*httptest.Server
	lists map[string]apiruntime.Object // by path
	pods  int

	mu       sync.Mutex
	requests map[string]int
}

func newListServer(t *testing.T, pods int) *listServer {
	s := &listServer{lists: bigCluster(pods), pods: pods, requests: map[string]int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

// forget returns the requests since the last time.
func (s *listServer) forget() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.requests
	s.requests = map[string]int{}
	return was
}

// complete reports whether every job has as many targets as there are.
func (s *listServer) complete(sets map[string][]*targetgroup.Group) bool {
	for _, groups := range sets {
		n := 0
		for _, g := range groups {
			n += len(g.Targets)
		}
		switch role, _, _ := strings.Cut(sourceOf(groups), "/"); role {
		case "pod": // two containers
			if n < 2*s.pods {
				return false
			}
		case "endpointslice", "endpoints":
			if n < s.pods {
				return false
			}
		case "svc", "ingress":
			if n < s.pods/10 {
				return false
			}
		case "node":
			if n < s.pods/50 {
				return false
			}
		default:
			return false
		}
	}
	return len(sets) > 0
}

func sourceOf(groups []*targetgroup.Group) string {
	if len(groups) == 0 {
		return ""
	}
	return groups[0].Source
}

func (s *listServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	list := s.lists[r.URL.Path]
	if list == nil {
		http.NotFound(w, r)
		return
	}
	q := r.URL.Query()
	serializer := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
	if q.Get("sendInitialEvents") != "" {
		w.WriteHeader(http.StatusUnprocessableEntity) // as servers that do not know it
		status := &metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity}
		_ = serializer.Encode(status, w)
		return
	}
	kind := "list "
	if q.Get("watch") != "" {
		kind = "watch "
	}
	s.mu.Lock()
	s.requests[kind+r.URL.Path]++
	s.mu.Unlock()
	if kind == "watch " {
		w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf;stream=watch")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	_ = serializer.Encode(list, w)
}

// bigCluster has pods on nodes of 50, owned by replica sets and behind services of 10 each,
// with the labels, environment and records of a usual deployment.
func bigCluster(pods int) map[string]apiruntime.Object {
	yes := true
	var (
		podList     corev1.PodList
		nodeList    corev1.NodeList
		serviceList corev1.ServiceList
		endList     corev1.EndpointsList
		sliceList   discoveryv1.EndpointSliceList
		ingressList networkingv1.IngressList
		spaceList   corev1.NamespaceList
	)
	meta := func(namespace, name string) metav1.ObjectMeta {
		m := metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "0b4c6b0e-9f0e-4b1e-8b1e-0123456789ab", ResourceVersion: "1"}
		m.Labels = map[string]string{
			"app.kubernetes.io/name": name, "app.kubernetes.io/instance": name + "-prod", "app.kubernetes.io/version": "1.2.3",
			"app.kubernetes.io/component": "api", "app.kubernetes.io/part-of": "shop", "app.kubernetes.io/managed-by": "Helm",
			"pod-template-hash": "5d89bdfbf9", "team": "payments",
		}
		m.Annotations = map[string]string{
			"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "checksum/config": strings.Repeat("0123456789abcdef", 4),
		}
		m.ManagedFields = []metav1.ManagedFieldsEntry{{
			Manager: "kube-controller-manager", Operation: "Update", APIVersion: "v1", FieldsType: "FieldsV1",
			FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{` + strings.Repeat(`"f:labels":{},`, 100) + `"f:x":{}}}`),
		}}
		return m
	}
	space := func(i int) string { return fmt.Sprint("space-", i%20) }
	for i := range max(20, pods/50) {
		n := corev1.Node{ObjectMeta: meta("", fmt.Sprint("node-", i))}
		n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
		n.Status.Images = []corev1.ContainerImage{{Names: []string{strings.Repeat("registry.example/image", 10)}, SizeBytes: 1}}
		nodeList.Items = append(nodeList.Items, n)
		if i < 20 {
			spaceList.Items = append(spaceList.Items, corev1.Namespace{ObjectMeta: meta("", space(i))})
		}
	}
	for i := range pods {
		p := corev1.Pod{ObjectMeta: meta(space(i), fmt.Sprintf("shop-api-5d89bdfbf9-%05d", i))}
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "shop-api-5d89bdfbf9", Controller: &yes}}
		p.Spec.NodeName = fmt.Sprint("node-", i/50)
		for _, name := range []string{"api", "proxy"} {
			c := corev1.Container{Name: name, Image: "registry.example/shop/" + name + ":1.2.3", Command: []string{"/bin/" + name, "--config=/etc/config.yaml"}}
			for e := range 12 {
				c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprint("SETTING_", e), Value: "some value of a setting"})
			}
			c.Resources.Requests = corev1.ResourceList{"cpu": quantity.MustParse("100m"), "memory": quantity.MustParse("128Mi")}
			c.VolumeMounts = []corev1.VolumeMount{{Name: "config", MountPath: "/etc/config"}, {Name: "token", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}}
			p.Spec.Containers = append(p.Spec.Containers, c)
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
				Name: name, Image: c.Image, ImageID: c.Image + "@sha256:" + strings.Repeat("0123456789abcdef", 4), ContainerID: fmt.Sprintf("containerd://%064d", i),
			})
		}
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: "TCP"}}
		p.Spec.Volumes = []corev1.Volume{{Name: "config"}, {Name: "token"}}
		for _, c := range []corev1.PodConditionType{"PodScheduled", "Initialized", "ContainersReady", "Ready"} {
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: c, Status: "True"})
		}
		p.Status.Phase, p.Status.HostIP = corev1.PodRunning, "127.0.0.1"
		p.Status.PodIP = fmt.Sprintf("127.%d.%d.%d", 1+i>>16, i>>8&255, i&255)
		podList.Items = append(podList.Items, p)
	}
	for i := range pods / 10 {
		name := fmt.Sprint("shop-", i)
		service := corev1.Service{ObjectMeta: meta(space(i), name)}
		service.Spec.Type, service.Spec.ClusterIP = corev1.ServiceTypeClusterIP, "127.0.0.1"
		service.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80, Protocol: "TCP"}}
		serviceList.Items = append(serviceList.Items, service)
		port, portName, protocol := int32(8080), "http", corev1.ProtocolTCP
		slice := discoveryv1.EndpointSlice{ObjectMeta: meta(space(i), name+"-x"), AddressType: "IPv4"}
		slice.Labels[discoveryv1.LabelServiceName] = name
		slice.Ports = []discoveryv1.EndpointPort{{Name: &portName, Port: &port, Protocol: &protocol}}
		end := corev1.Endpoints{ObjectMeta: meta(space(i), name), Subsets: []corev1.EndpointSubset{{Ports: []corev1.EndpointPort{{Name: portName, Port: port, Protocol: protocol}}}}}
		for j := range 10 {
			p := &podList.Items[i*10+j]
			ref := &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name}
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
				Addresses: []string{p.Status.PodIP}, TargetRef: ref, NodeName: &p.Spec.NodeName, Conditions: discoveryv1.EndpointConditions{Ready: &yes},
			})
			end.Subsets[0].Addresses = append(end.Subsets[0].Addresses, corev1.EndpointAddress{IP: p.Status.PodIP, TargetRef: ref, NodeName: &p.Spec.NodeName})
		}
		sliceList.Items, endList.Items = append(sliceList.Items, slice), append(endList.Items, end)
		ingress := networkingv1.Ingress{ObjectMeta: meta(space(i), name)}
		ingress.Spec.Rules = []networkingv1.IngressRule{{Host: name + ".example"}}
		ingressList.Items = append(ingressList.Items, ingress)
	}
	return bigClusterPaths(&podList, &nodeList, &serviceList, &endList, &sliceList, &ingressList, &spaceList)
}

func bigClusterPaths(pods, nodes, services, endpoints, slices, ingresses, spaces apiruntime.Object) map[string]apiruntime.Object {
	out := map[string]apiruntime.Object{
		"/api/v1/pods": pods, "/api/v1/nodes": nodes, "/api/v1/services": services, "/api/v1/endpoints": endpoints, "/api/v1/namespaces": spaces,
		"/apis/discovery.k8s.io/v1/endpointslices": slices, "/apis/networking.k8s.io/v1/ingresses": ingresses,
		"/apis/apps/v1/replicasets": &appsv1.ReplicaSetList{},
	}
	for _, list := range out {
		list.(metav1.ListInterface).SetResourceVersion("1")
	}
	return out
}
