package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// The addresses of nodes and pods in these tests are of a range for documentation, since an
// API server refuses loopback ones. Nothing dials them: relabelling leads every scrape to a
// server of the test.

// kubernetesConfig is a configuration with a job for each section, by the label that becomes
// the instance.
type kubernetesConfig struct {
	k     *harness.Kubernetes
	site  *harness.Site
	token string // File of the token.
	text  strings.Builder
}

func newKubernetesConfig(t *testing.T, k *harness.Kubernetes, token string) *kubernetesConfig {
	t.Helper()
	c := &kubernetesConfig{k: k, site: harness.StartSite(t), token: token}
	c.site.Set("/metrics", harness.Page{ContentType: "text/plain; version=0.0.4", Body: "requests_total 1\n"})
	c.text.WriteString("global: {scrape_interval: 500ms}\nscrape_configs:\n")
	return c
}

// job adds a job. section has the role and what else there is.
func (c *kubernetesConfig) job(name, section, instance string) {
	fmt.Fprintf(&c.text, `- job_name: %s
  kubernetes_sd_configs:
  - {api_server: '%s', authorization: {credentials_file: '%s'}, tls_config: {ca_file: '%s'}, %s}
  relabel_configs:
  - {source_labels: [__meta_kubernetes_%s], target_label: instance}
  - {target_label: __address__, replacement: '%s'}
`, name, c.k.URL, c.token, c.k.File("ca.crt"), section, instance, c.site.Address())
}

// waitDiscovered waits until a target has these labels of discovery among its own.
func waitDiscovered(t *testing.T, server *harness.Gnomon, job, instance string, want map[string]string) {
	t.Helper()
	harness.Eventually(t, soon, fmt.Sprintf("the labels of %s in %s", instance, job), func() error {
		target, ok := activeTargets(t, server, job)[instance]
		if !ok {
			return fmt.Errorf("there is no such target")
		}
		for name, value := range want {
			if !strings.HasPrefix(name, "__") {
				name = "__meta_kubernetes_" + name
			}
			if got, ok := target.DiscoveredLabels[name]; !ok || got != value {
				return fmt.Errorf("%s is %q, want %q, in %v", name, got, value, target.DiscoveredLabels)
			}
		}
		return nil
	})
}

// waitScrapedOn waits until targets were scraped well after a time.
func waitScrapedOn(t *testing.T, server *harness.Gnomon, job string, after time.Time, instances ...string) {
	t.Helper()
	harness.Eventually(t, soon, "scrapes of "+job, func() error {
		targets := activeTargets(t, server, job)
		for _, instance := range instances {
			if last := targets[instance].LastScrape; last.Before(after.Add(time.Second)) {
				return fmt.Errorf("%q was last scraped at %s, that is %s", instance, last, last.Sub(after))
			}
		}
		return nil
	})
	waitTargets(t, server, job, instances...)
}

// Objects of every role become targets with the labels that describe them, and follow what
// becomes of the objects.
func TestKubernetesTargetsFollowObjects(t *testing.T) {
	t.Parallel()
	k := harness.StartKubernetes(t)
	c := cluster{t: t, client: k.Client(t)}
	c.namespace("shop")
	c.allowNodes(guest)
	c.allow(guest, "shop")
	c.node("node-1", "198.51.100.1", map[string]string{"zone": "a"})
	c.service("shop", "web", map[string]string{"team": "shop"})
	controller := true
	c.pod(podSpec{
		Namespace: "shop", Name: "web-0", Node: "node-1", IP: "198.51.100.10",
		Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"example.test/scrape": "yes"},
		Owners: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "web", UID: "1", Controller: &controller}},
	})
	c.ingress("shop", "web", "shop.example.test", "/")

	config := newKubernetesConfig(t, k, k.File("guest.token"))
	shop := ", namespaces: {names: [shop]}"
	config.job("node", "role: node", "node_name")
	config.job("service", "role: service"+shop, "service_name")
	config.job("pod", "role: pod, attach_metadata: {node: true}"+shop, "pod_name")
	config.job("endpoints", "role: endpoints"+shop, "endpoint_address_target_name")
	config.job("endpointslice", "role: endpointslice"+shop, "endpointslice_address_target_name")
	config.job("ingress", "role: ingress"+shop, "ingress_path")
	server := harness.StartGnomon(t, harness.Options{Config: config.text.String()})

	web, err := c.client.CoreV1().Services("shop").Get(t.Context(), "web", metav1.GetOptions{})
	require.NoError(t, err)
	pod, err := c.client.CoreV1().Pods("shop").Get(t.Context(), "web-0", metav1.GetOptions{})
	require.NoError(t, err)
	for _, want := range []struct {
		job, instance string
		labels        map[string]string
	}{
		{"node", "node-1", map[string]string{
			"__address__": "198.51.100.1:10250", "node_name": "node-1", "node_label_zone": "a", "node_labelpresent_zone": "true",
			"node_address_InternalIP": "198.51.100.1", "node_address_Hostname": "node-1", "node_provider_id": "test://node-1",
		}},
		{"service", "web", map[string]string{
			"__address__": "web.shop.svc:80", "namespace": "shop", "service_name": "web", "service_type": "ClusterIP",
			"service_cluster_ip": web.Spec.ClusterIP, "service_port_name": "http", "service_port_number": "80",
			"service_port_protocol": "TCP", "service_label_tier": "front", "service_annotation_team": "shop",
		}},
		{"pod", "web-0", map[string]string{
			"__address__": "198.51.100.10:8080", "namespace": "shop", "pod_name": "web-0", "pod_uid": string(pod.UID),
			"pod_ip": "198.51.100.10", "pod_host_ip": "198.51.100.1", "pod_node_name": "node-1", "pod_phase": "Running",
			"pod_ready": "true", "pod_container_name": "app", "pod_container_image": "registry.example.test/app:1",
			"pod_container_init": "false", "pod_container_port_name": "http", "pod_container_port_number": "8080",
			"pod_container_port_protocol": "TCP", "pod_label_app": "web", "pod_annotation_example_test_scrape": "yes",
			"pod_annotationpresent_example_test_scrape": "true", "pod_controller_kind": "StatefulSet",
			"pod_controller_name": "web", "node_name": "node-1", "node_label_zone": "a",
		}},
		{"endpoints", "web-0", map[string]string{
			"__address__": "198.51.100.10:8080", "namespace": "shop", "endpoints_name": "web", "endpoint_ready": "true",
			"endpoint_port_name": "http", "endpoint_port_protocol": "TCP", "endpoint_address_target_kind": "Pod",
			"endpoint_node_name": "node-1", "pod_label_app": "web", "service_label_tier": "front",
		}},
		{"endpointslice", "web-0", map[string]string{
			"__address__": "198.51.100.10:8080", "namespace": "shop", "endpointslice_address_type": "IPv4",
			"endpointslice_port_name": "http", "endpointslice_port": "8080", "endpointslice_endpoint_conditions_ready": "true",
			"endpointslice_address_target_kind": "Pod", "endpointslice_label_kubernetes_io_service_name": "web",
			"pod_label_app": "web", "service_label_tier": "front",
		}},
		{"ingress", "/", map[string]string{
			"__address__": "shop.example.test", "namespace": "shop", "ingress_name": "web", "ingress_scheme": "https",
			"ingress_host": "shop.example.test",
		}},
	} {
		waitDiscovered(t, server, want.job, want.instance, want.labels)
		waitTargets(t, server, want.job, want.instance)
	}

	// More of each.
	c.node("node-2", "198.51.100.2", nil)
	c.service("shop", "pay", nil)
	c.pod(podSpec{Namespace: "shop", Name: "web-1", Node: "node-1", IP: "198.51.100.11", Labels: map[string]string{"app": "web"}})
	updateIngress(c, "shop", "web", ingressRule("shop.example.test", "web", "/", "/cart"))
	waitTargets(t, server, "node", "node-1", "node-2")
	waitTargets(t, server, "service", "web", "pay")
	for _, job := range []string{"pod", "endpoints", "endpointslice"} {
		waitTargets(t, server, job, "web-0", "web-1")
	}
	waitTargets(t, server, "ingress", "/", "/cart")

	// They change. Of the endpoints, those that are not ready stay targets.
	patch := func(labels map[string]string) []byte {
		b, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
		require.NoError(t, err)
		return b
	}
	_, err = c.client.CoreV1().Nodes().Patch(t.Context(), "node-1", types.MergePatchType, patch(map[string]string{"zone": "b"}), metav1.PatchOptions{})
	require.NoError(t, err)
	_, err = c.client.CoreV1().Services("shop").Patch(t.Context(), "web", types.MergePatchType, patch(map[string]string{"tier": "back"}), metav1.PatchOptions{})
	require.NoError(t, err)
	c.podStatus("shop", "web-0", "198.51.100.10", false)
	waitDiscovered(t, server, "node", "node-1", map[string]string{"node_label_zone": "b"})
	waitDiscovered(t, server, "service", "web", map[string]string{"service_label_tier": "back"})
	waitDiscovered(t, server, "pod", "web-0", map[string]string{"pod_ready": "false", "node_label_zone": "b"})
	waitDiscovered(t, server, "endpoints", "web-0", map[string]string{"endpoint_ready": "false"})
	waitDiscovered(t, server, "endpointslice", "web-0", map[string]string{"endpointslice_endpoint_conditions_ready": "false"})

	// They go.
	require.NoError(t, c.client.CoreV1().Nodes().Delete(t.Context(), "node-2", metav1.DeleteOptions{}))
	require.NoError(t, c.client.CoreV1().Services("shop").Delete(t.Context(), "pay", metav1.DeleteOptions{}))
	c.deletePod("shop", "web-0")
	updateIngress(c, "shop", "web", ingressRule("shop.example.test", "web", "/cart"))
	waitTargets(t, server, "node", "node-1")
	waitTargets(t, server, "service", "web")
	for _, job := range []string{"pod", "endpoints", "endpointslice"} {
		waitTargets(t, server, job, "web-1")
	}
	waitTargets(t, server, "ingress", "/cart")
}

// updateIngress replaces the rules of an ingress.
func updateIngress(c cluster, namespace, name string, rules ...networkingv1.IngressRule) {
	c.t.Helper()
	ingresses := c.client.NetworkingV1().Ingresses(namespace)
	ingress, err := ingresses.Get(c.t.Context(), name, metav1.GetOptions{})
	require.NoError(c.t, err)
	ingress.Spec.Rules = rules
	_, err = ingresses.Update(c.t.Context(), ingress, metav1.UpdateOptions{})
	require.NoError(c.t, err)
}

// webPod is one of the pods of the tests that need no more than pods.
func webPod(n int) podSpec {
	return podSpec{
		Namespace: "shop", Name: fmt.Sprintf("web-%d", n), Node: "node-1", IP: fmt.Sprintf("198.51.100.%d", 10+n),
		Labels: map[string]string{"app": "web"},
	}
}

// While the API server is away the targets stay and are scraped. What changed until it is
// found again, although the versions that were followed are no more, is followed then.
func TestKubernetesServerAway(t *testing.T) {
	t.Parallel()
	k := harness.StartKubernetes(t)
	address := k.Address
	c := cluster{t: t, client: k.Client(t)}
	c.namespace("shop")
	c.allow(guest, "shop")
	c.node("node-1", "198.51.100.1", nil) // Of a pod on a node that there is not, no slice is made.
	c.service("shop", "web", nil)
	c.pod(webPod(0))
	c.pod(webPod(1))

	config := newKubernetesConfig(t, k, k.File("guest.token"))
	config.job("pod", "role: pod, namespaces: {names: [shop]}", "pod_name")
	config.job("endpointslice", "role: endpointslice, namespaces: {names: [shop]}", "endpointslice_address_target_name")
	server := harness.StartGnomon(t, harness.Options{Config: config.text.String()})
	jobs := []string{"pod", "endpointslice"}
	for _, job := range jobs {
		waitTargets(t, server, job, "web-0", "web-1")
	}

	k.Kill(t)
	for _, job := range jobs {
		waitScrapedOn(t, server, job, time.Now(), "web-0", "web-1")
	}

	k.StartAt(t, harness.FreeAddress(t))
	hidden := cluster{t: t, client: k.Client(t)}
	hidden.deletePod("shop", "web-0")
	hidden.pod(webPod(2))
	for _, job := range jobs {
		waitScrapedOn(t, server, job, time.Now(), "web-0", "web-1")
	}
	k.Kill(t)
	k.StartAt(t, address)
	for _, job := range jobs {
		waitTargetsWithin(t, slowly, server, job, "web-1", "web-2")
	}
	c.deletePod("shop", "web-1")
	for _, job := range jobs {
		waitTargets(t, server, job, "web-2")
	}
}

// A token that is no longer good costs no target, and one that is written into its file is
// used from then on. The API gives no token for less than ten minutes; one that is bound to
// a secret ends with it, by the same answer as one that expires.
func TestKubernetesTokenReplaced(t *testing.T) {
	t.Parallel()
	k := harness.StartKubernetes(t)
	address := k.Address
	c := cluster{t: t, client: k.Client(t)}
	c.namespace("shop")
	c.allow(c.account("shop", "gnomon"), "shop")
	c.pod(webPod(0))

	token := k.File("account.token")
	harness.WriteFile(t, token, boundToken(c, "shop", "gnomon", "first"))
	config := newKubernetesConfig(t, k, token)
	config.job("pod", "role: pod, namespaces: {names: [shop]}", "pod_name")
	server := harness.NewGnomon(t, harness.Options{})
	server.WriteConfig(t, config.text.String()+selfScrape(server))
	server.Start(t)
	waitTargets(t, server, "pod", "web-0")

	// A watch outlives the token that it began with. It does not outlive the server.
	require.NoError(t, c.client.CoreV1().Secrets("shop").Delete(t.Context(), "first", metav1.DeleteOptions{}))
	k.Kill(t)
	k.StartAt(t, address)
	server.WaitFor(t, slowly, `sum(prometheus_sd_kubernetes_http_request_total{status_code="401"}) > bool 0`, 1)
	c.pod(webPod(1))
	waitScrapedOn(t, server, "pod", time.Now(), "web-0")

	harness.WriteFile(t, token, boundToken(c, "shop", "gnomon", "second"))
	waitTargetsWithin(t, slowly, server, "pod", "web-0", "web-1")
}

// boundToken returns a token of a service account that is good for as long as a secret
// exists, which it makes.
func boundToken(c cluster, namespace, account, secret string) string {
	c.t.Helper()
	core := c.client.CoreV1()
	s, err := core.Secrets(namespace).Create(c.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret}}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	request, err := core.ServiceAccounts(namespace).CreateToken(c.t.Context(), account, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{
			BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Secret", APIVersion: "v1", Name: secret, UID: s.UID},
		},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	return request.Status.Token
}

// A namespace that may not be read costs nothing but its own targets, and they come once it
// may be.
func TestKubernetesForbiddenNamespace(t *testing.T) {
	t.Parallel()
	k := harness.StartKubernetes(t)
	c := cluster{t: t, client: k.Client(t)}
	c.namespace("shop")
	c.namespace("vault")
	c.allow(guest, "shop")
	c.pod(webPod(0))
	hidden := webPod(9)
	hidden.Namespace = "vault"
	c.pod(hidden)

	config := newKubernetesConfig(t, k, k.File("guest.token"))
	config.job("shop", "role: pod, namespaces: {names: [shop]}", "pod_name")
	config.job("vault", "role: pod, namespaces: {names: [vault]}", "pod_name")
	config.job("both", "role: pod, namespaces: {names: [vault, shop]}", "pod_name")
	server := harness.NewGnomon(t, harness.Options{})
	server.WriteConfig(t, config.text.String()+selfScrape(server))
	server.Start(t)
	server.WaitFor(t, soon, `sum(prometheus_sd_kubernetes_http_request_total{status_code="403"}) > bool 0`, 1)
	waitTargets(t, server, "shop", "web-0")
	waitTargets(t, server, "both", "web-0")
	waitTargets(t, server, "vault")
	_, sources := server.Get(t, "/api/v1/status/discovery", nil)
	require.Regexp(t, `"namespace":"vault"[^}]*"error":"[^"]*forbidden`, sources)
	c.pod(webPod(1))
	waitTargets(t, server, "shop", "web-0", "web-1")
	waitTargets(t, server, "both", "web-0", "web-1")

	c.allow(guest, "vault")
	waitTargetsWithin(t, slowly, server, "vault", "web-9")
	waitTargetsWithin(t, slowly, server, "both", "web-0", "web-1", "web-9")
}
