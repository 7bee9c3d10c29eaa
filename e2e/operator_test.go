package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// monitors writes objects of the Prometheus Operator.
type monitors struct {
	t      *testing.T
	client dynamic.Interface
}

func monitoring(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "monitoring.coreos.com", Version: "v1", Resource: resource}
}

// install makes the kinds of objects, whose schemas accept anything, so that what is wrong
// with an object is for the server under test to find.
func (m monitors) install(kinds map[string]string) {
	m.t.Helper()
	definitions := m.client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	for plural, kind := range kinds {
		name := plural + ".monitoring.coreos.com"
		_, err := definitions.Create(m.t.Context(), m.object(fmt.Sprintf(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
			"metadata":{"name":%q},"spec":{"group":"monitoring.coreos.com","scope":"Namespaced","names":{"plural":%q,"kind":%q},
			"versions":[{"name":"v1","served":true,"storage":true,"subresources":{"status":{}},
				"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`, name, plural, kind)), metav1.CreateOptions{})
		require.NoError(m.t, err)
		harness.Eventually(m.t, soon, name, func() error {
			_, err := m.client.Resource(monitoring(plural)).List(m.t.Context(), metav1.ListOptions{})
			return err
		})
	}
}

func (m monitors) object(text string) *unstructured.Unstructured {
	m.t.Helper()
	u := &unstructured.Unstructured{}
	require.NoError(m.t, u.UnmarshalJSON([]byte(text)))
	return u
}

// apply makes a service monitor, or changes the one of the name.
func (m monitors) apply(namespace, name, spec string) {
	m.t.Helper()
	text := fmt.Sprintf(`{"apiVersion":"monitoring.coreos.com/v1","kind":"ServiceMonitor","metadata":{"namespace":%q,"name":%q},"spec":%s}`, namespace, name, spec)
	_, err := m.client.Resource(monitoring("servicemonitors")).Namespace(namespace).
		Patch(m.t.Context(), name, types.ApplyPatchType, []byte(text), metav1.PatchOptions{FieldManager: "test"})
	require.NoError(m.t, err)
}

// conditions returns what the server under test says of a service monitor.
func (m monitors) conditions(namespace, name string) string {
	m.t.Helper()
	u, err := m.client.Resource(monitoring("servicemonitors")).Namespace(namespace).Get(m.t.Context(), name, metav1.GetOptions{})
	require.NoError(m.t, err)
	text, err := json.Marshal(u.Object["status"])
	require.NoError(m.t, err)
	return string(text)
}

// allowOperatorObjects gives a subject the rules of the how-to, and no more.
func allowOperatorObjects(c cluster, subject rbacv1.Subject) {
	c.t.Helper()
	text, err := os.ReadFile("../documentation/how-to/operator-objects.md")
	require.NoError(c.t, err)
	_, rest, found := strings.Cut(string(text), "```yaml\nrules:\n")
	require.True(c.t, found)
	rules, _, _ := strings.Cut(rest, "```")
	role := &rbacv1.ClusterRole{}
	require.NoError(c.t, yaml.UnmarshalStrict([]byte("rules:\n"+rules), role))
	role.Name = "operator-objects"
	_, err = c.client.RbacV1().ClusterRoles().Create(c.t.Context(), role, metav1.CreateOptions{})
	require.NoError(c.t, err)
	_, err = c.client.RbacV1().ClusterRoleBindings().Create(c.t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: []rbacv1.Subject{subject},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
}

// guestKubeconfig returns a kubeconfig of the user guest.
func guestKubeconfig(t *testing.T, k *harness.Kubernetes) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	harness.WriteFile(t, path, fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c,
clusters: [{name: c, cluster: {server: %q, certificate-authority: %q}}], users: [{name: guest, user: {tokenFile: %q}}],
contexts: [{name: c, context: {cluster: c, user: guest}}]}`, k.URL, k.File("ca.crt"), k.File("guest.token")))
	return path
}

// Objects of the Prometheus Operator become jobs without an operator and without a reload.
// A bad one is rejected alone, in its status and in the API.
func TestOperatorObjectsBecomeJobs(t *testing.T) {
	t.Parallel()
	k := harness.StartKubernetes(t)
	c := cluster{t: t, client: k.Client(t)}
	client, err := dynamic.NewForConfig(k.Config(t))
	require.NoError(t, err)
	m := monitors{t: t, client: client}
	m.install(map[string]string{"servicemonitors": "ServiceMonitor", "podmonitors": "PodMonitor", "prometheusrules": "PrometheusRule"})
	c.namespace("monitoring")
	c.namespace("shop")
	allowOperatorObjects(c, guest)
	_, err = c.client.CoreV1().Secrets("shop").Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "web-token"}, StringData: map[string]string{"token": "sesame"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	c.node("node-1", "198.51.100.1", nil)
	c.service("shop", "web", nil)
	c.pod(podSpec{Namespace: "shop", Name: "web-0", Node: "node-1", IP: "198.51.100.10", Labels: map[string]string{"app": "web"}})
	site := harness.StartSite(t)
	page := harness.Page{ContentType: "text/plain; version=0.0.4", Body: "requests_total 1\n"}
	site.Set("/metrics", page)

	server := harness.StartGnomon(t, harness.Options{Config: `
gnomon:
  operator:
    namespace: monitoring
    name: k8s
    kubeconfig_file: ` + guestKubeconfig(t, k) + `
    write_status: true
    spec: {serviceMonitorSelector: {}, serviceMonitorNamespaceSelector: {}, podMonitorSelector: {}, ruleSelector: {}, scrapeInterval: 1s, evaluationInterval: 1s}
`})
	endpoint := func(extra string) string {
		return `{"selector":{"matchLabels":{"tier":"front"}},"endpoints":[{"port":"http"` + extra +
			`,"authorization":{"credentials":{"name":"web-token","key":"token"}}` +
			`,"relabelings":[{"targetLabel":"__address__","replacement":"` + site.Address() + `"},{"targetLabel":"instance","replacement":"web-0"}]}]}`
	}
	begin := time.Now()
	m.apply("shop", "web", endpoint(""))
	const job = "serviceMonitor/shop/web/0"
	harness.Eventually(t, soon, "the job", func() error {
		if len(activeTargets(t, server, job)) != 1 {
			return fmt.Errorf("there are no targets")
		}
		return nil
	})
	t.Logf("from the object to its target: %s", time.Since(begin))
	waitTargets(t, server, job, "web-0")
	target := activeTargets(t, server, job)["web-0"]
	for name, want := range map[string]string{"job": "web", "namespace": "shop", "service": "web", "pod": "web-0", "endpoint": "http", "container": "app"} {
		require.Equal(t, want, string(target.Labels[model.LabelName(name)]), name)
	}

	m.apply("shop", "bad", endpoint(`,"interval":"soon"`))
	harness.Eventually(t, soon, "the rejection", func() error {
		if s := m.conditions("shop", "bad"); !strings.Contains(s, `"status":"False"`) || !strings.Contains(s, "interval") {
			return fmt.Errorf("the status is %s", s)
		}
		if s := m.conditions("shop", "web"); !strings.Contains(s, `"status":"True"`) {
			return fmt.Errorf("the status of the good one is %s", s)
		}
		return nil
	})
	_, sources := server.Get(t, "/api/v1/status/discovery", nil)
	require.NotContains(t, sources, "forbidden")
	_, body := server.Get(t, "/api/v1/status/operator", nil)
	require.Contains(t, body, `"name":"bad","accepted":false,"reason":"InvalidConfiguration"`)
	require.Contains(t, body, `"jobs":["serviceMonitor/shop/web/0"]`)
	waitTargets(t, server, job, "web-0")

	rules := client.Resource(monitoring("prometheusrules")).Namespace("monitoring")
	for _, rule := range []string{
		`{"metadata":{"name":"fine"},"spec":{"groups":[{"name":"g","rules":[{"record":"requests","expr":"sum(requests_total)"}]}]}}`,
		`{"metadata":{"name":"broken"},"spec":{"groups":[{"name":"h","rules":[{"record":"requests","expr":"sum("}]}]}}`,
	} {
		u := m.object(`{"apiVersion":"monitoring.coreos.com/v1","kind":"PrometheusRule",` + rule[1:])
		_, err := rules.Create(t.Context(), u, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	harness.Eventually(t, soon, "what the rule records", func() error {
		value, _, _, err := server.API(t).Query(t.Context(), "requests", time.Now())
		if err == nil && value.String() == "" {
			err = fmt.Errorf("there is nothing")
		}
		return err
	})
	_, body = server.Get(t, "/api/v1/status/operator", nil)
	require.Contains(t, body, `"kind":"PrometheusRule","namespace":"monitoring","name":"broken","accepted":false`)

	site.Set("/other", page)
	m.apply("shop", "web", endpoint(`,"path":"/other"`))
	harness.Eventually(t, soon, "the changed path", func() error {
		if url := activeTargets(t, server, job)["web-0"].ScrapeURL; !strings.HasSuffix(url, "/other") {
			return fmt.Errorf("the target is %q", url)
		}
		return nil
	})
	require.NoError(t, client.Resource(monitoring("servicemonitors")).Namespace("shop").Delete(t.Context(), "web", metav1.DeleteOptions{}))
	harness.Eventually(t, soon, "the job to be gone", func() error {
		if n := len(activeTargets(t, server, job)); n != 0 {
			return fmt.Errorf("it has %d targets", n)
		}
		return nil
	})
}
