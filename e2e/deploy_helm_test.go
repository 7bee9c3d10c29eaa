package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// chart is the folder of the Helm chart in the repository.
const chart = "deploy/helm/gnomon"

// objects returns the objects of a text by kind and name, without what is the chart's own: its
// labels. The configuration is parsed.
func objects(t *testing.T, text string) map[string]any {
	t.Helper()
	all := make(map[string]any)
	for document := range strings.SplitSeq("\n"+text, "\n---") {
		var object map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(document), &object), document)
		if object == nil {
			continue
		}
		meta := object["metadata"].(map[string]any)
		if labels, ok := meta["labels"].(map[string]any); ok {
			for _, name := range []string{"helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version"} {
				delete(labels, name)
			}
		}
		if data, ok := object["data"].(map[string]any); ok {
			for name, content := range data {
				var parsed any
				require.NoError(t, yaml.UnmarshalStrict([]byte(content.(string)), &parsed), name)
				data[name] = parsed
			}
		}
		all[object["kind"].(string)+" "+meta["name"].(string)] = object
	}
	return all
}

// With its defaults the chart makes what the manifests are, but for the namespace, which Helm
// makes.
func TestChartIsTheManifests(t *testing.T) {
	t.Parallel()
	k := harness.StartKubernetes(t)
	k.Helm(t, "lint", "--strict", chart)
	rendered := objects(t, k.Helm(t, "template", "gnomon", chart, "--namespace=gnomon"))
	manifests := objects(t, k.Kubectl(t, "kustomize", "deploy/kubernetes"))
	require.Contains(t, manifests, "Namespace gnomon")
	delete(manifests, "Namespace gnomon")
	require.Len(t, manifests, 6)
	require.Equal(t, manifests, rendered)
}

// chartValues sets everything that the chart has.
const chartValues = `
fullnameOverride: watcher
image: {repository: registry.example.test/gnomon, tag: "1.2", pullPolicy: Always, pullSecrets: [{name: registry}]}
retention: {time: 90d, size: ""}
storage: {size: 100Gi, storageClassName: fast, accessModes: [ReadWriteOncePod]}
resources: {requests: {cpu: "1", memory: 4Gi}, limits: {memory: 8Gi}}
extraArgs: [--query.timeout=1m, '--web.page-title=Shop "A"']
globalConfig: {scrape_interval: 15s, external_labels: {cluster: test}}
defaultScrapeConfigs: true
extraScrapeConfigs: [{job_name: extra, static_configs: [{targets: ['127.0.0.1:1']}]}]
alerting: {alertmanagers: [{static_configs: [{targets: ['127.0.0.1:9']}]}]}
rules:
  shop.yml: {groups: [{name: shop, rules: [{alert: Down, expr: up == 0, annotations: {summary: '{{ $labels.instance }} is down'}}]}]}
extraConfig: {gnomon: {storage: {rollups: [{resolution: 5m}]}}, storage: {tsdb: {out_of_order_time_window: 10m}}}
serviceAccount: {name: watching, annotations: {example.test/role: watcher}}
rbac: {extraRules: [{apiGroups: [example.test], resources: [widgets], verbs: [list]}]}
service: {type: NodePort, port: 80, annotations: {example.test/a: b}}
ingress: {enabled: true, className: front, host: gnomon.example.test, tlsSecretName: tls, annotations: {example.test/a: b}}
podAnnotations: {example.test/a: b}
podLabels: {team: shop}
nodeSelector: {disk: ssd}
tolerations: [{key: dedicated, operator: Exists}]
affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, labelSelector: {matchLabels: {a: b}}}]}}
priorityClassName: system-cluster-critical
`

// A release is installed with everything set, upgraded, and uninstalled, and its configuration
// is one that the server takes.
func TestChartRelease(t *testing.T) {
	t.Parallel()
	k := harness.StartKubernetes(t)
	values := filepath.Join(t.TempDir(), "values.yaml")
	harness.WriteFile(t, values, chartValues)
	k.Helm(t, "lint", "--strict", chart, "--values="+values)
	applied(t, k, "--dry-run=server", "-f", rendered(t, k, "--values="+values))

	notes := k.Helm(t, "install", "shop", chart, "--namespace=default", "--values="+values)
	require.Contains(t, notes, "https://gnomon.example.test/")
	require.Contains(t, notes, "delete pvc data-watcher-0")
	client := k.Client(t)
	set, err := client.AppsV1().StatefulSets("default").Get(t.Context(), "watcher", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "registry.example.test/gnomon:1.2", set.Spec.Template.Spec.Containers[0].Image)
	require.Equal(t, "100Gi", set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String())
	configuration, err := client.CoreV1().ConfigMaps("default").Get(t.Context(), "watcher", metav1.GetOptions{})
	require.NoError(t, err)

	// The server takes its flags and files, and says so.
	dir := t.TempDir()
	server := harness.NewGnomon(t, harness.Options{Dir: dir, Args: inFolder(set.Spec.Template.Spec.Containers[0].Args, dir)})
	for name, text := range configuration.Data {
		text = strings.ReplaceAll(text, "/etc/gnomon", filepath.Join(dir, "etc"))
		if name == "prometheus.yml" {
			text = outsideCluster(t, text, k, k.Dir, nil)
		}
		server.WriteFile(t, filepath.Join("etc", name), text)
	}
	server.Start(t)
	_, flags := server.Get(t, "/api/v1/status/flags", nil)
	require.Contains(t, flags, `"web.external-url":"https://gnomon.example.test/"`)
	require.Contains(t, flags, `"storage.tsdb.retention.time":"90d"`)
	_, config := server.Get(t, "/api/v1/status/config", nil)
	require.Contains(t, config, "cluster: test")
	_, rules := server.Get(t, "/api/v1/rules", nil)
	require.Contains(t, rules, `"name":"Down"`)

	notes = k.Helm(t, "upgrade", "shop", chart, "--namespace=default", "--set=fullnameOverride=watcher",
		"--set=storage.size=100Gi,storage.storageClassName=fast,storage.accessModes={ReadWriteOncePod}", "--set=rbac.create=false")
	require.Contains(t, notes, "There is no cluster role")
	require.NotContains(t, k.Kubectl(t, "get", "clusterroles", "-o", "name"), "/watcher")
	require.NotContains(t, k.Kubectl(t, "get", "ingresses", "-o", "name"), "watcher")
	k.Helm(t, "uninstall", "shop", "--namespace=default")
	require.Empty(t, k.Kubectl(t, "get", "statefulsets,services,configmaps,serviceaccounts", "-o", "name", "-l", "app.kubernetes.io/instance=shop"))
}

// inFolder leads the flags of a pod to files in a folder, and leaves out where it listens.
func inFolder(args []string, dir string) []string {
	var led []string
	for _, arg := range args {
		if strings.HasPrefix(arg, "--web.listen-address=") {
			continue
		}
		arg = strings.Replace(arg, "/etc/gnomon", filepath.Join(dir, "etc"), 1)
		led = append(led, strings.Replace(arg, "/var/lib/gnomon", filepath.Join(dir, "lib"), 1))
	}
	return led
}

// rendered returns a file with what the chart makes.
func rendered(t *testing.T, k *harness.Kubernetes, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rendered.yaml")
	harness.WriteFile(t, file, k.Helm(t, append([]string{"template", "shop", chart, "--namespace=default"}, args...)...))
	return file
}

// Each value can be changed alone, and what makes no sense is refused by its name.
func TestChartValues(t *testing.T) {
	t.Parallel()
	k := harness.StartKubernetes(t)
	for _, set := range []string{
		"rbac.create=false", "serviceAccount.create=false,serviceAccount.name=default", "ingress.enabled=true",
		"retention.time=,retention.size=", "defaultScrapeConfigs=false", "fullnameOverride=other", "service.type=LoadBalancer",
		"podLabels.team=shop", "global.parent=of-this-chart",
	} {
		applied(t, k, "--dry-run=server", "-f", rendered(t, k, "--set="+set))
	}
	for set, name := range map[string]string{
		"retenton.time=15d": "retenton", "retention.time=15": "retention", "image.tagg=1": "tagg", "storage.size=lots": "size",
		"service.port=70000": "port", "image.pullPolicy=Sometimes": "pullPolicy", "extraArgs={query}": "extraArgs",
		"extraConfig.scrape_configs=x": "scrape_configs", "extraScrapeConfigs[0].jobname=x": "job_name",
	} {
		code, output := k.Command(t, "helm", "template", "gnomon", chart, "--set="+set)
		require.NotZero(t, code, set)
		require.Contains(t, output, name, set)
	}
}

// The page that describes the chart has each of its values.
func TestChartValuesAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../" + chart + "/values.yaml")
	require.NoError(t, err)
	page, err := os.ReadFile("../documentation/how-to/kubernetes.md")
	require.NoError(t, err)
	var values map[string]any
	require.NoError(t, yaml.UnmarshalStrict(text, &values))
	for name, value := range values {
		require.Contains(t, string(page), "`"+name)
		section, _ := value.(map[string]any)
		for field := range section {
			if name != "resources" && name != "globalConfig" {
				require.Regexp(t, "(`"+name+"|`)\\."+field+"`", string(page), name)
			}
		}
	}
}
