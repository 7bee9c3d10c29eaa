package e2e

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

var manyPods = flag.Int("pods", 100, "pods of TestKubernetesManyPodsAtOnce")

// podName is the name of the pod that stands for a target of a load.
func podName(i int) string { return fmt.Sprintf("pod-%d", i) }

// loadConfig scrapes a target of a load for each pod; the label target of the pod is its
// number.
func loadConfig(k *harness.Kubernetes, load *harness.Load, interval string) string {
	return `
global: {scrape_interval: ` + interval + `, scrape_timeout: ` + interval + `}
scrape_configs:
- job_name: load
  kubernetes_sd_configs: [{role: pod, kubeconfig_file: ` + k.File("kubeconfig") + `, namespaces: {names: [load]}}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_label_target], target_label: __param_target}
  - {source_labels: [__meta_kubernetes_pod_label_target], target_label: instance}
  - {target_label: __address__, replacement: '` + load.Address() + `'}
`
}

// A pod that gets its address is scraped within a second and a slot of the interval.
func TestKubernetesNewTargetsAreScrapedSoon(t *testing.T) {
	t.Parallel()
	const changes = 20
	k := harness.StartKubernetes(t)
	c := cluster{t: t, client: k.Client(t)}
	c.namespace("load")
	load := harness.StartLoad(t, changes+1, 1)
	pod := func(i int) {
		c.pod(podSpec{Namespace: "load", Name: podName(i), IP: "198.51.100.7", Labels: map[string]string{"target": strconv.Itoa(i)}})
	}
	pod(0)
	server := harness.StartGnomon(t, harness.Options{Config: loadConfig(k, load, "250ms")})
	waitTargets(t, server, "load", "0")
	var waits []time.Duration
	for i := 1; i <= changes; i++ {
		pod(i)
		changed := time.Now()
		for deadline := changed.Add(soon); load.Scrapes(i) == 0; time.Sleep(5 * time.Millisecond) {
			require.True(t, time.Now().Before(deadline), "target %d is not scraped", i)
		}
		waits = append(waits, time.Since(changed))
	}
	slices.Sort(waits)
	t.Logf("from the pod's address to the first scrape, slots of 250ms included: median %s, slowest of %d %s", waits[changes/2], changes, waits[changes-1])
	require.Less(t, waits[changes/2], 3*time.Second)
	require.Greater(t, load.Scrapes(0), int64(changes/4), "the first target is scraped on")
}

// Pods that appear all at once all become targets, and those that were there are scraped on.
func TestKubernetesManyPodsAtOnce(t *testing.T) {
	t.Parallel()
	k := harness.StartKubernetes(t)
	c := cluster{t: t, client: k.Client(t)}
	c.namespace("load")
	load := harness.StartLoad(t, *manyPods, 1)
	server := harness.StartGnomon(t, harness.Options{Config: loadConfig(k, load, "5s")})
	numbers := make(chan int)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for i := range numbers {
				c.pod(podSpec{Namespace: "load", Name: podName(i), IP: "198.51.100.7", Labels: map[string]string{"target": strconv.Itoa(i)}})
			}
		})
	}
	begin := time.Now()
	for i := range *manyPods {
		numbers <- i
	}
	close(numbers)
	writers.Wait()
	written := time.Now()
	harness.Eventually(t, soon, "all targets", func() error {
		if n := len(activeTargets(t, server, "load")); n != *manyPods {
			return fmt.Errorf("there are %d of %d", n, *manyPods)
		}
		return nil
	})
	t.Logf("%d pods were written in %s; %s later all are targets", *manyPods, written.Sub(begin), time.Since(written))
	for i := range *manyPods {
		harness.Eventually(t, soon, "the first scrape of every target", func() error {
			if load.Scrapes(i) == 0 {
				return fmt.Errorf("target %d was not scraped", i)
			}
			return nil
		})
	}
}
