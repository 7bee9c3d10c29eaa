package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// deployment is the server as the manifests run it: with their flags, their configuration and
// the token of their account, beside the API server in place of inside.
type deployment struct {
	*harness.Gnomon
	k       *harness.Kubernetes
	c       cluster
	account string // Folder with the account's token.
}

// startDeployment runs what was applied in a namespace by the name gnomon. addresses say by
// job where targets are scraped really.
func startDeployment(t *testing.T, k *harness.Kubernetes, namespace string, addresses map[string]string) *deployment {
	t.Helper()
	d := &deployment{k: k, c: cluster{t: t, client: k.Client(t)}, account: t.TempDir()}
	writeAccount(t, k, d.account, namespace, "gnomon")
	set, err := d.c.client.AppsV1().StatefulSets(namespace).Get(t.Context(), "gnomon", metav1.GetOptions{})
	require.NoError(t, err)
	configuration, err := d.c.client.CoreV1().ConfigMaps(namespace).Get(t.Context(), "gnomon", metav1.GetOptions{})
	require.NoError(t, err)

	dir := t.TempDir()
	container := set.Spec.Template.Spec.Containers[0]
	require.Contains(t, container.Args, "--web.listen-address=:9090")
	d.Gnomon = harness.NewGnomon(t, harness.Options{Dir: dir, Args: inFolder(container.Args, dir)})
	for name, text := range configuration.Data {
		if name == "prometheus.yml" {
			text = strings.ReplaceAll(text, "localhost:9090", d.Address)
			text = strings.ReplaceAll(text, "scrape_interval: 30s", "scrape_interval: 1s")
			text = outsideCluster(t, text, k, d.account, addresses)
		}
		d.WriteFile(t, filepath.Join("etc", name), text)
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "lib"), 0o755))
	d.Start(t)
	for _, probe := range []*corev1.Probe{container.LivenessProbe, container.ReadinessProbe} {
		require.Equal(t, "http", probe.HTTPGet.Port.String())
		status, body := d.Get(t, probe.HTTPGet.Path, nil)
		require.Equal(t, http.StatusOK, status, body)
	}
	require.Equal(t, int32(9090), container.Ports[0].ContainerPort)
	return d
}

// startKubelet answers scrapes as the kubelets of all nodes do that run a pod: it has the API
// server say whose token came, and whether he may read the metrics of nodes.
func startKubelet(t *testing.T, client kubernetes.Interface, namespace, pod string) *httptest.Server {
	t.Helper()
	containers := `container_cpu_usage_seconds_total{container="app",POD} 12.5
container_memory_working_set_bytes{container="app",POD} 1048576
container_network_receive_bytes_total{interface="eth0",POD} 1000
container_network_transmit_bytes_total{interface="eth0",POD} 2000
`
	pages := map[string]string{
		"/metrics":          "kubelet_running_pods 1\n",
		"/metrics/cadvisor": strings.ReplaceAll(containers, "POD", fmt.Sprintf("namespace=%q,pod=%q", namespace, pod)),
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		who, err := client.AuthenticationV1().TokenReviews().Create(r.Context(),
			&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
		if err != nil || !who.Status.Authenticated {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		may, err := client.AuthorizationV1().SubjectAccessReviews().Create(r.Context(), &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: who.Status.User.Username, Groups: who.Status.User.Groups, UID: who.Status.User.UID,
				ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "nodes", Subresource: "metrics", Name: "node-1"},
			},
		}, metav1.CreateOptions{})
		if err != nil || !may.Status.Allowed {
			http.Error(w, "you may not", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		// A scraper that went away needs no answer.
		_, _ = w.Write([]byte(pages[r.URL.Path]))
	}))
	t.Cleanup(server.Close)
	return server
}

// fillCluster makes nodes, pods and services, some of them to be scraped.
func fillCluster(c cluster) {
	c.t.Helper()
	t, client := c.t, c.client
	c.namespace("shop")
	c.node("node-1", "198.51.100.1", nil)
	c.node("node-2", "198.51.100.2", nil)
	controller := true
	owner := func(kind, name string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: name, UID: "1", Controller: &controller}}
	}
	labels := map[string]string{"app": "web"}
	_, err := client.AppsV1().ReplicaSets("shop").Create(t.Context(), &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web-5d9f", OwnerReferences: owner("Deployment", "web")},
		Spec: appsv1.ReplicaSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example.test/app:1"}}},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)

	scraped := func(pairs ...string) map[string]string {
		annotations := map[string]string{"prometheus.io/scrape": "true"}
		for i := 0; i < len(pairs); i += 2 {
			annotations["prometheus.io/"+pairs[i]] = pairs[i+1]
		}
		return annotations
	}
	pod := func(name, ip string, annotations map[string]string) podSpec {
		return podSpec{Namespace: "shop", Name: name, Node: "node-1", IP: ip, Annotations: annotations, Ports: []int32{8081}}
	}
	web := pod("web-0", "198.51.100.10", scraped())
	web.Labels, web.Owners = labels, owner("ReplicaSet", "web-5d9f")
	c.pod(web)
	c.pod(pod("port", "198.51.100.11", scraped("port", "9102", "path", "/custom")))
	c.pod(pod("sixth", "2001:db8::12", scraped("port", "9102", "scheme", "http")))
	c.pod(pod("silent", "198.51.100.13", nil))
	c.pod(pod("done", "198.51.100.14", scraped()))
	done, err := client.CoreV1().Pods("shop").Get(t.Context(), "done", metav1.GetOptions{})
	require.NoError(t, err)
	done.Status.Phase = corev1.PodSucceeded
	_, err = client.CoreV1().Pods("shop").UpdateStatus(t.Context(), done, metav1.UpdateOptions{})
	require.NoError(t, err)

	c.service("shop", "web", scraped())
	db := pod("db-0", "198.51.100.15", nil)
	db.Labels = map[string]string{"app": "db"}
	c.pod(db)
	c.service("shop", "db", scraped("port", "9187", "path", "/custom"))

	// What the API server would say of itself, were it not on loopback.
	https, port, ready := "https", int32(6443), true
	_, err = client.DiscoveryV1().EndpointSlices("default").Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "kubernetes", Labels: map[string]string{discoveryv1.LabelServiceName: "kubernetes"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"198.51.100.5"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:       []discoveryv1.EndpointPort{{Name: &https, Port: &port}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// What the manifests set up finds everything that it is to find, with an account that may
// read that and nothing else.
func TestManifestsDeployment(t *testing.T) {
	t.Parallel()
	k := harness.StartKubernetes(t)
	applied(t, k, "-k", "deploy/kubernetes")
	c := cluster{t: t, client: k.Client(t)}
	fillCluster(c)
	site := harness.StartSite(t)
	for _, path := range []string{"/metrics", "/custom"} {
		site.Set(path, harness.Page{ContentType: "text/plain; version=0.0.4", Body: "requests_total 1\n"})
	}
	kubelet := startKubelet(t, c.client, "shop", "web-0").Listener.Addr().String()
	d := startDeployment(t, k, "gnomon", map[string]string{
		"apiserver": k.Address, "kubelet": kubelet, "cadvisor": kubelet, "pods": site.Address(), "services": site.Address(),
	})

	t.Run("targets", func(t *testing.T) { deploymentTargets(t, d) })
	t.Run("dashboard", func(t *testing.T) { deploymentDashboard(t, d) })
	t.Run("permissions", func(t *testing.T) { deploymentPermissions(t, d) })
	t.Run("all of discovery", func(t *testing.T) { deploymentAllRoles(t, d) })
}

func deploymentTargets(t *testing.T, d *deployment) {
	want := []string{
		"apiserver 198.51.100.5:6443 https /metrics ",
		"cadvisor 198.51.100.1:10250 https /metrics/cadvisor node=node-1",
		"cadvisor 198.51.100.2:10250 https /metrics/cadvisor node=node-2",
		"gnomon " + d.Address + " http /metrics ",
		"kubelet 198.51.100.1:10250 https /metrics node=node-1",
		"kubelet 198.51.100.2:10250 https /metrics node=node-2",
		"pods 198.51.100.10:8080 http /metrics deployment=web namespace=shop node=node-1 pod=web-0",
		"pods 198.51.100.10:8081 http /metrics deployment=web namespace=shop node=node-1 pod=web-0",
		"pods 198.51.100.11:9102 http /custom namespace=shop node=node-1 pod=port",
		"pods [2001:db8::12]:9102 http /metrics namespace=shop node=node-1 pod=sixth",
		"services 198.51.100.10:8080 http /metrics namespace=shop node=node-1 pod=web-0 service=web",
		"services 198.51.100.15:9187 http /custom namespace=shop node=node-1 pod=db-0 service=db",
	}
	harness.Eventually(t, soon, "the targets of the manifests", func() error {
		result, err := d.API(t).Targets(t.Context())
		require.NoError(t, err)
		var got []string
		for _, target := range result.Active {
			got = append(got, describe(t, target))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("there are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, target := range result.Active {
			if target.Health != v1.HealthGood {
				return fmt.Errorf("%s is %s: %s", describe(t, target), target.Health, target.LastError)
			}
		}
		return nil
	})
	nothingRefused(t, d.Gnomon, "gnomon")
}

// describe writes a target as its job, instance, scheme, path and other labels.
func describe(t *testing.T, target v1.ActiveTarget) string {
	t.Helper()
	u, err := url.Parse(target.ScrapeURL)
	require.NoError(t, err)
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(target.Labels)) {
		if name != "job" && name != "instance" {
			labels = append(labels, fmt.Sprintf("%s=%s", name, target.Labels[name]))
		}
	}
	return fmt.Sprintf("%s %s %s %s %s", target.Labels["job"], target.Labels["instance"], u.Scheme, u.Path, strings.Join(labels, " "))
}

// nothingRefused waits until a server that scrapes itself follows all that it wants to of
// Kubernetes, and makes sure that nothing was refused to it.
func nothingRefused(t *testing.T, server *harness.Gnomon, job string) {
	t.Helper()
	server.WaitFor(t, soon, `min(gnomon_sd_kubernetes_watch_up{job="`+job+`"})`, 1)
	server.WaitFor(t, soon, `sum(prometheus_sd_kubernetes_http_request_total{job="`+job+`",status_code="200"}) > bool 0`, 1)
	vector, err := server.Vector(t, `prometheus_sd_kubernetes_http_request_total{status_code=~"4.."}`)
	require.NoError(t, err)
	require.Empty(t, vector)
}

// The dashboard shows something in each of its panels.
func deploymentDashboard(t *testing.T, d *deployment) {
	text, err := os.ReadFile("../deploy/grafana/pods.json")
	require.NoError(t, err)
	var dashboard struct {
		UID    string
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.NotEmpty(t, dashboard.Panels)
	variables := strings.NewReplacer("$namespace", "shop", "$__rate_interval", "1m")
	for _, panel := range dashboard.Panels {
		require.NotEmpty(t, panel.Targets, panel.Title)
		for _, target := range panel.Targets {
			expr := variables.Replace(target.Expr)
			require.NotContains(t, expr, "$")
			harness.Eventually(t, soon, "the panel "+panel.Title, func() error {
				vector, err := d.Vector(t, expr)
				if err == nil && len(vector) == 0 {
					err = fmt.Errorf("%s has no result", expr)
				}
				return err
			})
		}
	}
	values, _, _, err := d.API(t).LabelValues(t.Context(), "namespace", []string{"container_memory_working_set_bytes"}, time.Time{}, time.Now())
	require.NoError(t, err)
	require.Len(t, values, 1, "the variable namespace")
}

// Whatever else kubernetes_sd_configs can ask for may be read with the same account.
func deploymentAllRoles(t *testing.T, d *deployment) {
	config := strings.Builder{}
	config.WriteString("global: {scrape_interval: 1s}\nscrape_configs:\n")
	attach := ", attach_metadata: {node: true, namespace: true, deployment: true, job: true, cronjob: true}"
	for role, attached := range map[string]string{
		"node": "", "service": ", attach_metadata: {namespace: true}", "ingress": ", attach_metadata: {namespace: true}",
		"pod": attach, "endpoints": attach, "endpointslice": attach,
	} {
		fmt.Fprintf(&config, "- job_name: %s\n  kubernetes_sd_configs: [{role: %s%s}]\n", role, role, attached)
		config.WriteString("  relabel_configs: [{action: drop, regex: .*}]\n")
	}
	server := harness.NewGnomon(t, harness.Options{})
	server.WriteConfig(t, outsideCluster(t, config.String()+selfScrape(server), d.k, d.account, nil))
	server.Start(t)
	server.WaitFor(t, soon, `count(count by (resource) (gnomon_sd_kubernetes_watch_up))`, float64(len(readable)))
	nothingRefused(t, server, "self")
}
