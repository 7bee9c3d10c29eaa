//lint:file-ignore SA1019 The role "endpoints" is about an API that is deprecated, and in use.

package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	upstream "github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/randfill"
)

// randomObjects fills every field of some objects of each resource, and then connects them
// with each other, as a label of one object often comes from another.
func randomObjects(seed int64) []runtime.Object {
	fill := randfill.NewWithSeed(seed).NilChance(0).NumElements(1, 3).Funcs(
		// Plain ones: names that become the same label would take turns.
		func(s *string, c randfill.Continue) { *s = fmt.Sprintf("s%x", c.Uint64()) },
		func(t *metav1.Time, _ randfill.Continue) { *t = metav1.Time{} },
		func(p *corev1.Protocol, c randfill.Continue) { *p = []corev1.Protocol{"TCP", "UDP"}[c.Intn(2)] },
		func(p *int32, c randfill.Continue) { *p = 1 + int32(c.Intn(3)) },
	)
	yes := true
	meta := func(m *metav1.ObjectMeta, kind string, i int) {
		m.Namespace, m.Name = "ns", fmt.Sprint(kind, "-", i)
		m.GenerateName, m.DeletionTimestamp = "", nil
	}
	owned := func(m *metav1.ObjectMeta, kind, name string) {
		m.OwnerReferences = append(m.OwnerReferences, metav1.OwnerReference{Kind: kind, Name: name, Controller: &yes})
		for i := range m.OwnerReferences[:len(m.OwnerReferences)-1] {
			m.OwnerReferences[i].Controller = nil
		}
	}
	ref := &corev1.ObjectReference{Kind: "Pod", Namespace: "ns", Name: "pod-0"}
	node := "node-0"
	var out []runtime.Object
	for i := range 2 {
		pod, no, service := &corev1.Pod{}, &corev1.Node{}, &corev1.Service{}
		end, slice, ingress := &corev1.Endpoints{}, &discoveryv1.EndpointSlice{}, &networkingv1.Ingress{}
		set, job, space := &appsv1.ReplicaSet{}, &batchv1.Job{}, &corev1.Namespace{}
		for _, o := range []any{pod, no, service, end, slice, ingress, set, job, space} {
			fill.Fill(o)
		}
		meta(&pod.ObjectMeta, "pod", i)
		pod.Spec.NodeName, pod.Status.PodIP = node, "127.0.0.1"
		for i := range pod.Spec.Containers {
			if i < len(pod.Status.ContainerStatuses) {
				pod.Status.ContainerStatuses[i].Name = pod.Spec.Containers[i].Name
			}
		}
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: "True"})
		owned(&pod.ObjectMeta, []string{"ReplicaSet", "Job"}[i], []string{"set-0", "job-0"}[i])
		meta(&no.ObjectMeta, "node", i)
		no.Namespace = ""
		no.Status.Addresses = append(no.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: "127.0.0.1"})
		meta(&service.ObjectMeta, "service", i)
		meta(&end.ObjectMeta, "service", i)
		for i := range end.Subsets {
			for j := range end.Subsets[i].Addresses {
				end.Subsets[i].Addresses[j].TargetRef, end.Subsets[i].Addresses[j].NodeName = ref, &node
			}
		}
		meta(&slice.ObjectMeta, "slice", i)
		if slice.Labels == nil {
			slice.Labels = map[string]string{}
		}
		slice.Labels[discoveryv1.LabelServiceName] = "service-0"
		for i := range slice.Endpoints {
			slice.Endpoints[i].TargetRef, slice.Endpoints[i].NodeName = ref, &node
		}
		meta(&ingress.ObjectMeta, "ingress", i)
		meta(&set.ObjectMeta, "set", i)
		owned(&set.ObjectMeta, "Deployment", "deployment")
		meta(&job.ObjectMeta, "job", i)
		owned(&job.ObjectMeta, "CronJob", "cronjob")
		meta(&space.ObjectMeta, "ns", i)
		space.Namespace = ""
		if i == 0 {
			space.Name = "ns"
		}
		out = append(out, pod, no, service, end, slice, ingress, set, job, space)
	}
	return out
}

// TestTrimmedObjectsGiveUpstreamsGroups runs upstream's builders on whole objects and
// ours on trimmed ones. Every field of the objects is set, so that it fails if a field
// that becomes a label is dropped.
func TestTrimmedObjectsGiveUpstreamsGroups(t *testing.T) {
	t.Parallel()
	for seed := range int64(8) {
		objects := randomObjects(seed)
		w := newWorld(t, objects...)
		for _, role := range []string{"node", "pod", "service", "ingress", "endpoints", "endpointslice"} {
			text := "role: " + role + "\nattach_metadata: {node: true, namespace: true, deployment: true, job: true, cronjob: true}"
			want := w.whole(parse(t, text))
			got := w.run(text)
			for _, j := range []*job{want, got} {
				j.until("two groups of role "+role, func(groups map[string]*targetgroup.Group) bool { return len(groups) == 2 })
			}
			for source, g := range want.groups {
				sortTargets(g)
				sortTargets(got.groups[source])
				require.Equal(t, g, got.groups[source], "seed %d, role %s", seed, role)
			}
			want.stop()
			got.stop()
		}
	}
}

// sortTargets gives targets an order: upstream goes through the pods behind a slice in the
// order of a map.
func sortTargets(g *targetgroup.Group) {
	slices.SortFunc(g.Targets, func(a, b model.LabelSet) int { return strings.Compare(a.String(), b.String()) })
}

// whole runs upstream's builder on informers of its own, which keep whole objects.
func (w *world) whole(c *upstream.SDConfig) *job {
	a, _, err := w.mechanism.connect(connection{})
	require.NoError(w.t, err)
	stop := make(chan struct{})
	get := func(r *resource, namespace string, s selector, indexes ...string) *lent {
		functions := cache.Indexers{}
		for _, name := range indexes {
			functions[name] = index(name)
		}
		list := &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				return r.list(ctx, a, namespace, o)
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
				return r.watch(ctx, a, namespace, o)
			},
		}
		inf := cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(list, a.core), r.object, 0, functions)
		go inf.Run(stop)
		return &lent{SharedIndexInformer: inf}
	}
	k := feedKey{role: c.Role, selectors: selectorsOf(c), attach: attachedOf(c)}
	events := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "events"}, []string{"role", "event"})
	j := watchJob(w.t, newBuilder(k, get, events, slog.New(slog.DiscardHandler)))
	end := j.stop
	j.stop = func() {
		end()
		close(stop)
	}
	return j
}

func TestTrimmedPodsAreSmall(t *testing.T) {
	t.Parallel()
	p := randomObjects(1)[0].(*corev1.Pod)
	in := &interner{}
	trimmed, err := in.trim(p)
	require.NoError(t, err)
	require.Less(t, len(trimmed.(*corev1.Pod).String()), len(p.String())/4)
	containers := trimmed.(*corev1.Pod).Spec.Containers
	require.Equal(t, len(containers), cap(containers), "builders append to it, several at once")
}

func TestInternerIsBounded(t *testing.T) {
	t.Parallel()
	in := &interner{}
	for i := range 3 * maxInterned {
		in.string(fmt.Sprint(i))
	}
	require.LessOrEqual(t, len(in.known), maxInterned)
	long := strings.Repeat("x", maxInternedBytes+1)
	require.Equal(t, long, in.string(long))
	require.NotContains(t, in.known, long)
}
