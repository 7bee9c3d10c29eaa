package kubernetes

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	upstreamdiscovery "github.com/prometheus/prometheus/discovery"
	upstream "github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
)

func pod(namespace, name, ip string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	p.Spec.Containers = []corev1.Container{{Name: "main", Ports: []corev1.ContainerPort{{ContainerPort: 80}}}}
	p.Status.PodIP = ip
	return p
}

func TestWatchesAreShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pod("a", "one", "127.0.0.1"), pod("b", "two", "127.0.0.2"), pod("c", "three", "127.0.0.3"))
	all := w.run("role: pod")
	again := w.run("role: pod\nattach_metadata: {namespace: true}")
	ab := w.run("role: pod\nnamespaces: {names: [a, b, a]}")
	b := w.run("role: pod\nnamespaces: {names: [b]}\nattach_metadata: {deployment: true}")
	slices := w.run("role: endpointslice")
	all.untilSources("pod/a/one", "pod/b/two", "pod/c/three")
	again.untilSources("pod/a/one", "pod/b/two", "pod/c/three")
	ab.untilSources("pod/a/one", "pod/b/two")
	b.untilSources("pod/b/two")
	require.Equal(t, map[string]int{
		"list pods in all": 1, "watch pods in all": 1, "list namespaces in all": 1, "watch namespaces in all": 1,
		"list pods in a": 1, "watch pods in a": 1, "list pods in b": 1, "watch pods in b": 1,
		"list replicasets in b": 1, "watch replicasets in b": 1,
		"list services in all": 1, "watch services in all": 1, "list endpointslices in all": 1, "watch endpointslices in all": 1,
	}, w.requestsOnce(14))
	for _, j := range []*job{all, again, ab, b, slices} {
		j.stop()
	}
	require.Empty(t, w.mechanism.clusters, "a cluster that nobody uses")
	require.Empty(t, w.mechanism.Sources())
	// TestMain's look at goroutines shows that nothing runs any more.
}

func TestAWatchThatAReloadGoesOnNeedingIsNotEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pod("a", "one", "127.0.0.1"))
	before := w.run("role: pod")
	before.untilSources("pod/a/one")
	// As the manager does: what is new is created before what is old is ended.
	d, err := w.mechanism.NewDiscoverer(parse(t, "role: pod\nattach_metadata: {namespace: true}"), upstreamdiscovery.DiscovererOptions{})
	require.NoError(t, err)
	before.stop()
	watchJob(t, d).untilSources("pod/a/one")
	require.Equal(t, 1, w.requests()["list pods in all"])
}

func TestChangesAreFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pod("a", "one", "127.0.0.1"), pod("a", "two", "127.0.0.2"))
	first, second := w.run("role: pod"), w.run("role: pod\nattach_metadata: {job: true}")
	first.untilSources("pod/a/one", "pod/a/two")
	second.untilSources("pod/a/one", "pod/a/two")
	late := w.run("role: pod")
	late.untilSources("pod/a/one", "pod/a/two")

	pods := w.server.CoreV1().Pods("a")
	_, err := pods.Create(t.Context(), pod("a", "three", "127.0.0.3"), metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, pods.Delete(t.Context(), "two", metav1.DeleteOptions{}))
	changed := pod("a", "one", "127.0.0.9")
	_, err = pods.Update(t.Context(), changed, metav1.UpdateOptions{})
	require.NoError(t, err)
	for _, j := range []*job{first, second, late} {
		j.untilSources("pod/a/one", "pod/a/three")
		j.until("the new address", func(groups map[string]*targetgroup.Group) bool {
			return groups["pod/a/one"].Targets[0]["__address__"] == "127.0.0.9:80"
		})
		require.Equal(t, 1, j.sent["pod/a/three"], "what did not change was sent again")
	}
}

func TestWhatDoesNotShowIsNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pod("a", "one", "127.0.0.1"))
	j := w.run("role: pod")
	j.untilSources("pod/a/one")
	same := pod("a", "one", "127.0.0.1")
	same.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", Value: "B"}}
	_, err := w.server.CoreV1().Pods("a").Update(t.Context(), same, metav1.UpdateOptions{})
	require.NoError(t, err)
	_, err = w.server.CoreV1().Pods("a").Create(t.Context(), pod("a", "two", "127.0.0.2"), metav1.CreateOptions{})
	require.NoError(t, err)
	j.untilSources("pod/a/one", "pod/a/two")
	require.Equal(t, 1, j.sent["pod/a/one"])
}

func TestAForbiddenNamespaceFailsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pod("open", "one", "127.0.0.1"), pod("shut", "two", "127.0.0.2"))
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("not yours"))
	w.server.PrependReactor("list", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		return a.GetNamespace() == "shut", nil, forbidden
	})
	both := w.run("role: pod\nnamespaces: {names: [open, shut]}")
	both.untilSources("pod/open/one")
	require.Eventually(t, func() bool {
		for _, s := range w.mechanism.Sources() {
			if s.Namespace == "shut" {
				return !s.Up && s.LastContact.IsZero() && s.Err != nil && apierrors.IsForbidden(s.Err)
			}
		}
		return false
	}, waitFor, tick)
	sources := w.mechanism.Sources()
	require.Len(t, sources, 2)
	require.Equal(t, "open", sources[0].Namespace)
	require.True(t, sources[0].Up)
	require.Equal(t, 1, sources[0].Objects)
	require.NoError(t, sources[0].Err)
	require.Equal(t, 1.0, gauge(t, w.registry, "gnomon_sd_kubernetes_watch_up", "open"))
	require.Equal(t, 0.0, gauge(t, w.registry, "gnomon_sd_kubernetes_watch_up", "shut"))
}

func TestMetricsAreUpstreams(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	_, err := upstreamdiscovery.CreateAndRegisterSDMetrics(reg)
	require.NoError(t, err)
	m, err := New(reg, nil)
	require.NoError(t, err)
	m.metrics.failures.Inc()
	m.metrics.events.WithLabelValues("pod", "add").Add(3)
	count, err := testutil.GatherAndCount(reg, "prometheus_sd_kubernetes_failures_total", "prometheus_sd_kubernetes_events_total")
	require.NoError(t, err)
	require.Equal(t, 1+6*3, count)
	require.Equal(t, 1.0, gauge(t, reg, "prometheus_sd_kubernetes_failures_total", ""))
	_, err = New(reg, nil)
	require.ErrorContains(t, err, "register metrics of Kubernetes discovery")
}

func TestConfigurationsThatCannotBeServed(t *testing.T) {
	t.Parallel()
	m, err := New(prometheus.NewRegistry(), nil)
	require.NoError(t, err)
	bad := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(bad, []byte("clusters: 7"), 0o600))
	for want, c := range map[string]*upstream.SDConfig{
		"kubeconfig_file: open /nowhere: no such file": {Role: upstream.RolePod, KubeConfig: "/nowhere"},
		"kubeconfig_file: ":                            {Role: upstream.RolePod, KubeConfig: bad},
		`there is no role "pood"`:                      {Role: "pood"},
		"neither api_server nor kubeconfig_file is set, and this is not a pod": {Role: upstream.RolePod},
	} {
		_, err := m.NewDiscoverer(c, upstreamdiscovery.DiscovererOptions{})
		require.ErrorContains(t, err, want)
	}
	require.Empty(t, m.clusters)
}

func TestDeletionsThatWereMissed(t *testing.T) {
	t.Parallel()
	var got []any
	h := lastState{cache.ResourceEventHandlerFuncs{DeleteFunc: func(o any) { got = append(got, o) }}}
	p := pod("a", "one", "")
	h.OnDelete(p)
	h.OnDelete(cache.DeletedFinalStateUnknown{Key: "a/one", Obj: p})
	unknown := cache.DeletedFinalStateUnknown{Key: "a/one"}
	h.OnDelete(unknown)
	require.Equal(t, []any{p, p, unknown}, got)
}
