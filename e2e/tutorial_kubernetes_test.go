package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// needsCluster are the commands of the tutorial that make a cluster, or wait for pods and talk
// to them.
var needsCluster = regexp.MustCompile(`^\$ (kind |git clone |make image$|kubectl --namespace=gnomon (?:rollout status|port-forward) (\S+))`)

// cluster skips a block of commands that need a cluster, and makes sure that what they name is
// there.
func (tu *tutorial) cluster(k *harness.Kubernetes) {
	tu.t.Helper()
	for line := range strings.Lines(tu.next("console")) {
		command := needsCluster.FindStringSubmatch(strings.TrimSpace(line))
		require.NotNil(tu.t, command, "%q need not be left to the reader", line)
		if object := command[2]; object != "" {
			k.Kubectl(tu.t, "--namespace=gnomon", "get", object)
		}
	}
}

// The tutorial does what it says. Where a pod would run, the test does as the scheduler and
// the kubelet: it says that the pod runs, and starts Gnomon with what its pod has.
func TestTutorialKubernetes(t *testing.T) {
	t.Parallel()
	k := harness.StartKubernetes(t)
	c := cluster{t: t, client: k.Client(t)}
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	tu := readTutorial(t, "kubernetes.md")
	tu.env = append(tu.env, "KUBECONFIG="+k.File("kubeconfig"), "HOME="+tu.dir)

	tu.cluster(k)
	c.node("kind-control-plane", "198.51.100.1", nil)
	tu.cluster(k)
	require.NoError(t, os.Symlink(filepath.Join(root, "deploy"), filepath.Join(tu.dir, "deploy")))
	tu.until("text")
	tu.until("text")
	tu.until("text")
	tu.cluster(k)

	site := harness.StartSite(t)
	site.Set("/metrics", harness.Page{ContentType: "text/plain; version=0.0.4", Body: "version 1\n"})
	kubelet := startKubelet(t, c.client, "default", "hello").Listener.Addr().String()
	d := startDeployment(t, k, "gnomon", map[string]string{"kubelet": kubelet, "cadvisor": kubelet, "pods": site.Address()})
	tu.port("9090", d.Address)
	tu.ask()

	tu.file("hello.yaml")
	tu.until("text")
	require.NoError(t, c.client.CoreV1().Pods("default").Bind(t.Context(), &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: "hello"}, Target: corev1.ObjectReference{Kind: "Node", Name: "kind-control-plane"},
	}, metav1.CreateOptions{}))
	c.podStatus("default", "hello", "198.51.100.10", true)
	tu.ask()
	tu.ask()
	waitTargets(t, d.Gnomon, "pods", "198.51.100.10:8080")

	tu.until("text")
	tu.cluster(k)
	tu.ask()

	// kubectl waits until the kubelet says that the pod has ended.
	deletion := tu.start("kubectl")
	harness.Eventually(t, soon, "the deletion of the pod", func() error {
		pod, err := c.client.CoreV1().Pods("default").Get(t.Context(), "hello", metav1.GetOptions{})
		if err == nil && pod.DeletionTimestamp == nil {
			err = fmt.Errorf("it is not deleted")
		}
		return err
	})
	c.deletePod("default", "hello")
	require.Zero(t, deletion.Wait(t), deletion.Output(t))
	require.Contains(t, deletion.Output(t), strings.TrimSpace(tu.next("text")))
	tu.ask()
	tu.cluster(k)
	require.Empty(t, tu.blocks)
	d.Terminate(t)
}
