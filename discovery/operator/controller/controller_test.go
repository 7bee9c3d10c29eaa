package controller

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/config"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gnomonhq/gnomon/discovery/kubernetes"
	"github.com/gnomonhq/gnomon/discovery/operator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a controller on a server that is only played.
type world struct {
	t      *testing.T
	server *dynamicfake.FakeDynamicClient
	states chan []operator.Result
	writes *prometheus.CounterVec
	stop   func()
}

// start runs a controller for a spec, in JSON, on a server with some objects.
func start(t *testing.T, spec string, prepare func(*dynamicfake.FakeDynamicClient), objects ...*unstructured.Unstructured) *world {
	lists := map[schema.GroupVersionResource]string{
		namespaceResource:            "NamespaceList",
		sourceResources["Secret"]:    "SecretList",
		sourceResources["ConfigMap"]: "ConfigMapList",
	}
	for _, k := range kinds {
		lists[k.resource] = string(k.name) + "List"
	}
	initial := make([]runtime.Object, len(objects))
	for i, o := range objects {
		initial[i] = o
	}
	w := &world{
		t: t, server: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists, initial...), states: make(chan []operator.Result, 100),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "writes"}, []string{"kind", "result"}),
	}
	if prepare != nil {
		prepare(w.server)
	}
	client := kubernetes.NewClient(w.server, "http://server.example", slog.New(slog.DiscardHandler))
	read, err := operator.ReadSpec([]byte(spec))
	require.NoError(t, err)
	g, err := operator.New(operator.Options{Namespace: "monitoring", Name: "k8s", Spec: read})
	require.NoError(t, err)
	writer := NewStatusWriter(w.server, "monitoring", "k8s", w.writes, slog.New(slog.DiscardHandler))
	c := New(Options{Client: client, Generator: g, OnChange: func(s []operator.Result) { w.states <- s }, Writer: writer, CheckJob: check, MaxSources: 2})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	running.Go(func() { writer.Run(ctx) })
	w.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		client.Close()
	})
	t.Cleanup(w.stop)
	return w
}

// check refuses jobs with the path /refused.
func check(job *config.ScrapeConfig) error {
	if job.MetricsPath == "/refused" {
		return errors.New("refused by those who run it")
	}
	return nil
}

func jobs(results []operator.Result) []*config.ScrapeConfig {
	var out []*config.ScrapeConfig
	for _, r := range results {
		out = append(out, r.Jobs...)
	}
	return out
}

// object reads an object from JSON.
func object(t *testing.T, text string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	require.NoError(t, u.UnmarshalJSON([]byte(text)))
	return u
}

func monitor(t *testing.T, namespace, name, endpoint string) *unstructured.Unstructured {
	return object(t, `{"apiVersion":"monitoring.coreos.com/v1","kind":"ServiceMonitor",
		"metadata":{"namespace":"`+namespace+`","name":"`+name+`","generation":3,"resourceVersion":"7"},
		"spec":{"selector":{},"endpoints":[`+endpoint+`]}}`)
}

func namespace(t *testing.T, name, team string) *unstructured.Unstructured {
	return object(t, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"`+name+`","labels":{"team":"`+team+`"}}}`)
}

func secret(t *testing.T, namespace, name, value string) *unstructured.Unstructured {
	return object(t, `{"apiVersion":"v1","kind":"Secret","metadata":{"namespace":"`+namespace+`","name":"`+name+`"},
		"data":{"token":"`+base64.StdEncoding.EncodeToString([]byte(value))+`"}}`)
}

// shown is a state in short: the job names, and the reasons of what is rejected.
func shown(results []operator.Result) string {
	var out []string
	for _, j := range jobs(results) {
		out = append(out, j.JobName)
	}
	for _, r := range results {
		if r.Rejection != nil {
			out = append(out, r.Namespace+"/"+r.Name+": "+string(r.Rejection.Reason))
		}
	}
	return strings.Join(out, " ")
}

// until waits for a state that comes to this.
func (w *world) until(want string) []operator.Result {
	w.t.Helper()
	var last string
	for {
		select {
		case s := <-w.states:
			if last = shown(s); last == want {
				return s
			}
		case <-time.After(20 * time.Second):
			require.FailNow(w.t, "not seen: "+want, "last: %s", last)
		}
	}
}

func (w *world) resource(u *unstructured.Unstructured) schema.GroupVersionResource {
	switch u.GetKind() {
	case "Namespace":
		return namespaceResource
	case "Secret":
		return sourceResources["Secret"]
	}
	return kinds[0].resource
}

func (w *world) create(u *unstructured.Unstructured) {
	_, err := w.server.Resource(w.resource(u)).Namespace(u.GetNamespace()).Create(w.t.Context(), u, metav1.CreateOptions{})
	require.NoError(w.t, err)
}

func (w *world) update(u *unstructured.Unstructured) {
	_, err := w.server.Resource(w.resource(u)).Namespace(u.GetNamespace()).Update(w.t.Context(), u, metav1.UpdateOptions{})
	require.NoError(w.t, err)
}

func (w *world) delete(u *unstructured.Unstructured) {
	require.NoError(w.t, w.server.Resource(w.resource(u)).Namespace(u.GetNamespace()).Delete(w.t.Context(), u.GetName(), metav1.DeleteOptions{}))
}

func (w *world) get(u *unstructured.Unstructured) *unstructured.Unstructured {
	got, err := w.server.Resource(w.resource(u)).Namespace(u.GetNamespace()).Get(w.t.Context(), u.GetName(), metav1.GetOptions{})
	require.NoError(w.t, err)
	return got
}

// untilBindings waits until the status of an object has so many bindings.
func (w *world) untilBindings(u *unstructured.Unstructured, want int) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		bindings, _, _ := unstructured.NestedSlice(w.get(u).Object, "status", "bindings")
		return len(bindings) == want
	}, 20*time.Second, 5*time.Millisecond)
}

func labelled(u *unstructured.Unstructured, team string) *unstructured.Unstructured {
	u = u.DeepCopy()
	u.SetLabels(map[string]string{"team": team})
	return u
}

const everything = `{"serviceMonitorSelector":{},"serviceMonitorNamespaceSelector":{"matchLabels":{"team":"a"}}}`

func TestObjectsAreFollowed(t *testing.T) {
	t.Parallel()
	w := start(t, everything, nil, namespace(t, "one", "a"), namespace(t, "two", "b"),
		monitor(t, "one", "x", `{"port":"http"}`), monitor(t, "two", "y", `{"port":"http"}`))
	w.until("serviceMonitor/one/x/0")
	w.create(monitor(t, "one", "z", `{"port":"a"},{"port":"b"}`))
	w.until("serviceMonitor/one/x/0 serviceMonitor/one/z/0 serviceMonitor/one/z/1")
	w.update(monitor(t, "one", "z", `{"port":"a"}`))
	w.until("serviceMonitor/one/x/0 serviceMonitor/one/z/0")
	w.update(namespace(t, "two", "a"))
	w.until("serviceMonitor/one/x/0 serviceMonitor/one/z/0 serviceMonitor/two/y/0")
	w.update(namespace(t, "one", "b"))
	w.until("serviceMonitor/two/y/0")
	w.delete(monitor(t, "two", "y", ""))
	w.until("")
}

func TestABadObjectIsRejectedAlone(t *testing.T) {
	t.Parallel()
	bad := monitor(t, "one", "bad", `{"port":"http","interval":"soon"}`)
	alien := object(t, `{"apiVersion":"monitoring.coreos.com/v1","kind":"ServiceMonitor","metadata":{"namespace":"one","name":"alien"},"spec":{"endpoints":7}}`)
	w := start(t, everything, nil, namespace(t, "one", "a"), bad, alien, monitor(t, "one", "good", `{"port":"http"}`))
	s := w.until("serviceMonitor/one/good/0 one/alien: InvalidConfiguration one/bad: InvalidConfiguration")
	require.Contains(t, s[1].Rejection.Message, "interval")
	require.Contains(t, s[0].Rejection.Message, "the object is no ServiceMonitor")

	status := func(name string) string {
		u, err := w.server.Resource(kinds[0].resource).Namespace("one").Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		text, err := json.Marshal(u.Object["status"])
		require.NoError(t, err)
		return string(text)
	}
	require.Eventually(t, func() bool { return strings.Contains(status("bad"), "interval") && status("good") != "null" }, 20*time.Second, 5*time.Millisecond)
	require.Contains(t, status("bad"), `"status":"False"`)
	require.Contains(t, status("bad"), `"observedGeneration":3`)
	require.Contains(t, status("bad"), `"reason":"InvalidConfiguration"`)
	require.Contains(t, status("good"), `"type":"Accepted"`)
	require.Contains(t, status("good"), `"name":"k8s"`)
	// The writing of a status is a change of the object that changes nothing else.
	require.Eventually(t, func() bool { return testutil.ToFloat64(w.writes.WithLabelValues("ServiceMonitor", "written")) == 3 }, 20*time.Second, 5*time.Millisecond)

	w.update(monitor(t, "one", "bad", `{"port":"http","interval":"20s"}`))
	w.until("serviceMonitor/one/bad/0 serviceMonitor/one/good/0 one/alien: InvalidConfiguration")
	require.Eventually(t, func() bool { return strings.Contains(status("bad"), `"status":"True"`) }, 20*time.Second, 5*time.Millisecond)
}

func TestWhatCannotBeRunIsRejected(t *testing.T) {
	t.Parallel()
	w := start(t, everything, nil, namespace(t, "one", "a"), monitor(t, "one", "x", `{"port":"http","path":"/refused"}`), monitor(t, "one", "y", `{"port":"http"}`))
	s := w.until("serviceMonitor/one/y/0 one/x: InvalidConfiguration")
	require.Equal(t, "refused by those who run it", s[0].Rejection.Message)
}

func TestSecretsAreFollowed(t *testing.T) {
	t.Parallel()
	w := start(t, everything, nil, namespace(t, "one", "a"), secret(t, "one", "other", "x"),
		monitor(t, "one", "x", `{"port":"http","authorization":{"credentials":{"name":"tokens","key":"token"}}}`))
	s := w.until("one/x: UnresolvedReference")
	require.Contains(t, s[0].Rejection.Message, "there is no Secret one/tokens")
	w.create(secret(t, "one", "tokens", "first"))
	credentials := func(s []operator.Result) string {
		return string(jobs(s)[0].HTTPClientConfig.Authorization.Credentials)
	}
	require.Equal(t, "first", credentials(w.until("serviceMonitor/one/x/0")))
	w.update(secret(t, "one", "tokens", "second"))
	require.Equal(t, "second", credentials(w.until("serviceMonitor/one/x/0")))
	w.delete(secret(t, "one", "tokens", ""))
	w.until("one/x: UnresolvedReference")
	for _, a := range w.server.Actions() {
		if a.GetResource().Resource == "secrets" && a.GetVerb() == "list" {
			require.Equal(t, "metadata.name=tokens", a.(clienttesting.ListAction).GetListRestrictions().Fields.String())
		}
	}
}

func TestAdditionalJobs(t *testing.T) {
	t.Parallel()
	w := start(t, `{"additionalScrapeConfigs":{"name":"more","key":"token"}}`, nil,
		secret(t, "monitoring", "more", "[{job_name: extra, static_configs: [{targets: [a:1]}]}]"))
	w.until("extra")
	w.update(secret(t, "monitoring", "more", "[{job_name: other}]"))
	w.until("other")
	w.update(secret(t, "monitoring", "more", "[{job_name: other, scrape_interval: soon}]"))
	w.until("monitoring/k8s: InvalidConfiguration")
	w.update(secret(t, "monitoring", "more", "[]"))
	w.until("")
	w.update(secret(t, "monitoring", "more", "[{job_name: extra}]"))
	w.until("extra")
	for _, a := range w.server.Actions() {
		require.Equal(t, "secrets", a.GetResource().Resource, "kinds that nothing selects are not looked for")
	}
}

func TestEveryKindIsGenerated(t *testing.T) {
	t.Parallel()
	objects := []*unstructured.Unstructured{
		monitor(t, "monitoring", "s", `{"port":"http"}`),
		object(t, `{"apiVersion":"monitoring.coreos.com/v1","kind":"PodMonitor","metadata":{"namespace":"monitoring","name":"p"},"spec":{"selector":{},"podMetricsEndpoints":[{"port":"http"}]}}`),
		object(t, `{"apiVersion":"monitoring.coreos.com/v1","kind":"Probe","metadata":{"namespace":"monitoring","name":"b"},
			"spec":{"prober":{"url":"prober:9115"},"targets":{"staticConfig":{"static":["example.test"]}}}}`),
		object(t, `{"apiVersion":"monitoring.coreos.com/v1alpha1","kind":"ScrapeConfig","metadata":{"namespace":"monitoring","name":"c"},
			"spec":{"staticConfigs":[{"targets":["a:1"]}]}}`),
		object(t, `{"apiVersion":"monitoring.coreos.com/v1","kind":"PrometheusRule","metadata":{"namespace":"monitoring","name":"r"},
			"spec":{"groups":[{"name":"g","rules":[{"record":"a","expr":"b"}]}]}}`),
	}
	w := start(t, `{"serviceMonitorSelector":{},"podMonitorSelector":{},"probeSelector":{},"scrapeConfigSelector":{},"ruleSelector":{}}`, nil, objects...)
	s := w.until("podMonitor/monitoring/p/0 probe/monitoring/b scrapeConfig/monitoring/c serviceMonitor/monitoring/s/0")
	i := slices.IndexFunc(s, func(r operator.Result) bool { return r.Rules != nil })
	require.Equal(t, "prometheusRule/monitoring/r", s[i].Rules.Path)
}

func TestSourcesAreBounded(t *testing.T) {
	t.Parallel()
	with := func(name, secret string) *unstructured.Unstructured {
		return monitor(t, "one", name, `{"port":"http","authorization":{"credentials":{"name":"`+secret+`","key":"token"}}}`)
	}
	w := start(t, everything, nil, namespace(t, "one", "a"), secret(t, "one", "s", "x"), secret(t, "one", "t", "x"), secret(t, "one", "u", "x"), with("a", "s"), with("b", "t"))
	w.until("serviceMonitor/one/a/0 serviceMonitor/one/b/0")
	w.create(with("c", "u"))
	s := w.until("serviceMonitor/one/a/0 serviceMonitor/one/b/0 one/c: UnresolvedReference")
	require.Contains(t, s[2].Rejection.Message, "objects refer to too many: more than 2 Secrets and ConfigMaps")
	w.create(with("d", "t")) // One that is followed already.
	w.until("serviceMonitor/one/a/0 serviceMonitor/one/b/0 serviceMonitor/one/d/0 one/c: UnresolvedReference")
	w.delete(with("a", "s")) // Nobody refers to that one any more.
	w.until("serviceMonitor/one/b/0 serviceMonitor/one/c/0 serviceMonitor/one/d/0")
}

func TestABindingIsWithdrawn(t *testing.T) {
	t.Parallel()
	u := monitor(t, "one", "x", `{"port":"http"}`)
	w := start(t, `{"serviceMonitorSelector":{"matchLabels":{"team":"a"}},"serviceMonitorNamespaceSelector":{}}`, nil, namespace(t, "one", "a"), labelled(u, "a"))
	w.until("serviceMonitor/one/x/0")
	w.untilBindings(u, 1)
	w.update(labelled(w.get(u), "b"))
	w.until("")
	w.untilBindings(u, 0)
}

func TestAKindThatCannotBeReadFailsAlone(t *testing.T) {
	t.Parallel()
	w := start(t, `{"serviceMonitorSelector":{},"podMonitorSelector":{}}`, func(server *dynamicfake.FakeDynamicClient) {
		server.PrependReactor("list", "podmonitors", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "podmonitors"}, "")
		})
	}, monitor(t, "monitoring", "x", `{"port":"http"}`))
	w.until("serviceMonitor/monitoring/x/0")
}

func TestNothingIsToldWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	away.Store(true)
	tries := make(chan struct{}, 100)
	w := start(t, `{"serviceMonitorSelector":{},"podMonitorSelector":{}}`, func(server *dynamicfake.FakeDynamicClient) {
		server.PrependReactor("list", "podmonitors", func(clienttesting.Action) (bool, runtime.Object, error) {
			tries <- struct{}{}
			return away.Load(), nil, errors.New("connection refused")
		})
	}, monitor(t, "monitoring", "x", `{"port":"http"}`))
	<-tries
	<-tries // Nearly a second later.
	require.Empty(t, w.states)
	away.Store(false)
	w.until("serviceMonitor/monitoring/x/0")
}

func TestAStatusThatWasNotWrittenIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := monitor(t, "one", "x", `{"port":"http"}`)
		server := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{kinds[0].resource: "ServiceMonitorList"}, u)
		tries := 0
		server.PrependReactor("patch", "servicemonitors", func(clienttesting.Action) (bool, runtime.Object, error) {
			tries++
			return tries < 3, nil, errors.New("connection refused")
		})
		writes := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "writes"}, []string{"kind", "result"})
		w := NewStatusWriter(server, "monitoring", "k8s", writes, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		go w.Run(ctx)
		w.write(kinds[0].resource, u, operator.Result{Kind: operator.KindServiceMonitor, Namespace: "one", Name: "x"})
		synctest.Wait()
		require.Equal(t, 1, tries)
		time.Sleep(2 * writeRetry)
		synctest.Wait()
		require.Equal(t, 3, tries)
		time.Sleep(5 * writeRetry)
		require.Equal(t, 3, tries, "it is written")
		require.Equal(t, 1.0, testutil.ToFloat64(writes.WithLabelValues("ServiceMonitor", "written")))
		require.Equal(t, 2.0, testutil.ToFloat64(writes.WithLabelValues("ServiceMonitor", "failed")))
		cancel()
		synctest.Wait()
	})
}

func TestStatusesOfOthersStay(t *testing.T) {
	t.Parallel()
	u := monitor(t, "one", "x", `{"port":"http"}`)
	var theirs any
	require.NoError(t, json.Unmarshal([]byte(`{"bindings":[{"group":"monitoring.coreos.com","resource":"prometheuses","name":"other","namespace":"monitoring","conditions":[]}]}`), &theirs))
	u.Object["status"] = theirs
	writer := NewStatusWriter(nil, "monitoring", "k8s", nil, nil)
	s := status{resource: kinds[0].resource, object: u, result: operator.Result{Kind: operator.KindServiceMonitor, Namespace: "one", Name: "x"}}
	patch, due, err := writer.patch(s, time.Unix(1_790_000_000, 0))
	require.NoError(t, err)
	require.True(t, due)
	var got struct {
		Metadata map[string]any
		Status   struct{ Bindings []map[string]any }
	}
	require.NoError(t, json.Unmarshal(patch, &got))
	require.Equal(t, "7", got.Metadata["resourceVersion"], "against a change in between")
	require.Len(t, got.Status.Bindings, 2)
	require.Equal(t, "other", got.Status.Bindings[0]["name"])

	// Once it is written, there is nothing to write.
	var whole map[string]any
	require.NoError(t, json.Unmarshal(patch, &whole))
	u.Object["status"] = whole["status"]
	_, due, err = writer.patch(s, time.Unix(1_790_000_999, 0))
	require.NoError(t, err)
	require.False(t, due)
}
