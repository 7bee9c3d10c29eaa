package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// applied has kubectl apply something so that the server refuses fields that it does not
// know, and returns the answer, which has no warning.
func applied(t *testing.T, k *harness.Kubernetes, args ...string) string {
	t.Helper()
	output := k.Kubectl(t, append([]string{"apply", "--server-side", "--validate=strict"}, args...)...)
	require.NotContains(t, output, "Warning")
	return output
}

// The manifests are what the API server takes, each by itself and all together, and applying
// them again changes nothing.
func TestManifestsAreTaken(t *testing.T) {
	t.Parallel()
	k := harness.StartKubernetes(t)
	applied(t, k, "-f", "deploy/kubernetes/namespace.yaml")
	files, err := filepath.Glob("../deploy/kubernetes/*.yaml")
	require.NoError(t, err)
	require.Greater(t, len(files), 4)
	kustomization, err := os.ReadFile("../deploy/kubernetes/kustomization.yaml")
	require.NoError(t, err)
	for _, file := range files {
		if name := filepath.Base(file); name != "kustomization.yaml" {
			require.Contains(t, string(kustomization), "  - "+name+"\n")
			applied(t, k, "--dry-run=server", "-f", "deploy/kubernetes/"+name)
		}
	}
	for _, folder := range []string{"deploy/kubernetes", "deploy/grafana"} {
		applied(t, k, "--dry-run=server", "-k", folder)
		applied(t, k, "-k", folder)
		versions := "jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}"
		before := k.Kubectl(t, "get", "-k", folder, "-o", versions)
		applied(t, k, "-k", folder)
		require.Contains(t, before, "Service ")
		require.Equal(t, before, k.Kubectl(t, "get", "-k", folder, "-o", versions))
	}
}

// The server's pod gets by with what the strictest of the security standards leaves, which
// the namespace enforces, and writes to its volume only.
func TestManifestsPodIsRestricted(t *testing.T) {
	t.Parallel()
	k := harness.StartKubernetes(t)
	client := k.Client(t)
	applied(t, k, "-k", "deploy/kubernetes")
	applied(t, k, "-k", "deploy/grafana")
	gnomon, err := client.AppsV1().StatefulSets("gnomon").Get(t.Context(), "gnomon", metav1.GetOptions{})
	require.NoError(t, err)
	grafana, err := client.AppsV1().Deployments("gnomon").Get(t.Context(), "grafana", metav1.GetOptions{})
	require.NoError(t, err)

	pods := client.CoreV1().Pods("gnomon")
	for name, template := range map[string]corev1.PodTemplateSpec{"gnomon": withVolumes(gnomon), "grafana": grafana.Spec.Template} {
		_, err := pods.Create(t.Context(), podOf(name, template), metav1.CreateOptions{})
		require.NoError(t, err, name)
		for _, container := range template.Spec.Containers {
			require.True(t, *container.SecurityContext.ReadOnlyRootFilesystem, name)
			require.NotNil(t, container.ReadinessProbe, name)
			require.NotEmpty(t, container.Resources.Limits.Memory().String(), name)
		}
		root := podOf(name+"-as-root", template)
		user, nonRoot := int64(0), false
		root.Spec.SecurityContext.RunAsUser, root.Spec.SecurityContext.RunAsNonRoot = &user, &nonRoot
		_, err = pods.Create(t.Context(), root, metav1.CreateOptions{})
		require.True(t, apierrors.IsForbidden(err), "%s as root: %v", name, err)
	}
	require.Len(t, gnomon.Spec.VolumeClaimTemplates, 1)
	for _, mount := range gnomon.Spec.Template.Spec.Containers[0].VolumeMounts {
		require.Equal(t, mount.Name != "data", mount.ReadOnly, mount.Name)
	}
}

// podOf is the pod that a controller makes of its template.
func podOf(name string, template corev1.PodTemplateSpec) *corev1.Pod {
	meta := *template.ObjectMeta.DeepCopy()
	meta.Name = name
	return &corev1.Pod{ObjectMeta: meta, Spec: *template.Spec.DeepCopy()}
}

// withVolumes is the template with the volumes of the claims, as the controller adds them.
func withVolumes(set *appsv1.StatefulSet) corev1.PodTemplateSpec {
	template := *set.Spec.Template.DeepCopy()
	for _, claim := range set.Spec.VolumeClaimTemplates {
		template.Spec.Volumes = append(template.Spec.Volumes, corev1.Volume{
			Name: claim.Name,
			VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
				ClaimName: claim.Name + "-" + set.Name + "-0",
			}},
		})
	}
	return template
}

// accountFolder is where a kubelet puts the credentials of a pod's account.
const accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount/"

// outsideCluster changes a configuration that is meant for a pod so that it works beside the
// API server: where that is, and the files of the account, are said, and the targets of some
// jobs are scraped at other addresses. Their own become the label instance.
func outsideCluster(t *testing.T, config string, k *harness.Kubernetes, account string, addresses map[string]string) string {
	t.Helper()
	config = strings.ReplaceAll(config, accountFolder, account+"/")
	var c map[string]any
	require.NoError(t, yaml.UnmarshalStrict([]byte(config), &c))
	for _, section := range c["scrape_configs"].([]any) {
		job := section.(map[string]any)
		sd, _ := job["kubernetes_sd_configs"].([]any)
		for _, s := range sd {
			s := s.(map[string]any)
			s["api_server"] = k.URL
			s["authorization"] = map[string]any{"credentials_file": account + "/token"}
			s["tls_config"] = map[string]any{"ca_file": account + "/ca.crt"}
		}
		if address, ok := addresses[job["job_name"].(string)]; ok {
			rules, _ := job["relabel_configs"].([]any)
			job["relabel_configs"] = append(rules,
				map[string]any{"source_labels": []any{"__address__"}, "target_label": "instance"},
				map[string]any{"target_label": "__address__", "replacement": address})
		}
	}
	b, err := yaml.Marshal(c)
	require.NoError(t, err)
	return string(b)
}
