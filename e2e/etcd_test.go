package e2e

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// Targets follow the keys in etcd, stay while etcd is away, and follow again afterwards.
func TestEtcdTargetsFollowKeys(t *testing.T) {
	t.Parallel()
	etcd, load := harness.StartEtcd(t), harness.StartLoad(t, 4, 3)
	client := etcdClient(t, etcd)
	add := func(id string) { register(t, client, "/load/"+id, load.Address()) }
	add("0")
	add("1")

	server := harness.StartGnomon(t, harness.Options{Config: `
global: {scrape_interval: 500ms}
scrape_configs:
- job_name: load
  etcd_sd_configs:
  - endpoints: ['` + etcd.URL + `']
    prefix: /load/
    key_template: /load/{id}
  relabel_configs:
  - source_labels: [__meta_etcd_id]
    target_label: __param_target
  - source_labels: [__meta_etcd_id]
    target_label: instance
`})
	waitTargets(t, server, "load", "0", "1")

	add("2")
	waitTargets(t, server, "load", "0", "1", "2")
	unregister(t, client, "/load/1")
	waitTargets(t, server, "load", "0", "2")

	// While etcd is away the targets stay and are scraped on.
	etcd.Kill(t)
	for _, target := range []int{0, 2} {
		before := load.Scrapes(target)
		harness.Eventually(t, soon, "scrapes without etcd", func() error {
			return atLeast(load.Scrapes(target), before+6)
		})
	}
	waitTargets(t, server, "load", "0", "2")

	// What changes before the server finds etcd again is seen then, although the revision
	// it had followed is compacted away.
	address := etcd.Address
	etcd.StartAt(t, harness.FreeAddress(t))
	hidden := etcdClient(t, etcd)
	register(t, hidden, "/load/3", load.Address())
	unregister(t, hidden, "/load/0")
	compact(t, hidden)
	etcd.Kill(t)
	etcd.StartAt(t, address)
	waitTargets(t, server, "load", "2", "3")
}

// etcdClient connects to an etcd until the test ends.
func etcdClient(t *testing.T, etcd *harness.Peer) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{etcd.URL},
		DialTimeout: 20 * time.Second,
		Logger:      zap.NewNop(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// register puts a key, trying again while etcd starts.
func register(t *testing.T, client *clientv3.Client, key, value string) {
	t.Helper()
	harness.Eventually(t, soon, "etcd to take "+key, func() error {
		ctx, cancel := withTimeout(t)
		defer cancel()
		_, err := client.Put(ctx, key, value)
		return err
	})
}

// unregister deletes a key, trying again while etcd starts.
func unregister(t *testing.T, client *clientv3.Client, key string) {
	t.Helper()
	harness.Eventually(t, soon, "etcd to delete "+key, func() error {
		ctx, cancel := withTimeout(t)
		defer cancel()
		_, err := client.Delete(ctx, key)
		return err
	})
}

// compact makes etcd forget every revision before the current one.
func compact(t *testing.T, client *clientv3.Client) {
	t.Helper()
	ctx, cancel := withTimeout(t)
	defer cancel()
	answer, err := client.Get(ctx, "/")
	require.NoError(t, err)
	_, err = client.Compact(ctx, answer.Header.Revision)
	require.NoError(t, err)
}

// New targets are scraped within a second of the change and the time to their first slot,
// while others are not disturbed. The bound of the test is wider, as machines are busy; it
// says what it measured.
func TestNewTargetsAreScrapedSoon(t *testing.T) {
	t.Parallel()
	const changes = 20
	etcd, load := harness.StartEtcd(t), harness.StartLoad(t, changes+1, 1)
	client := etcdClient(t, etcd)
	register(t, client, "/load/0", load.Address())
	server := harness.StartGnomon(t, harness.Options{Config: `
global: {scrape_interval: 250ms, scrape_timeout: 250ms}
scrape_configs:
- job_name: load
  etcd_sd_configs: [{endpoints: ['` + etcd.URL + `'], prefix: /load/, key_template: '/load/{id}'}]
  relabel_configs:
  - {source_labels: [__meta_etcd_id], target_label: __param_target}
  - {source_labels: [__meta_etcd_id], target_label: instance}
`})
	waitTargets(t, server, "load", "0")

	var waits []time.Duration
	for i := 1; i <= changes; i++ {
		register(t, client, "/load/"+strconv.Itoa(i), load.Address())
		changed := time.Now()
		for deadline := changed.Add(soon); load.Scrapes(i) == 0; time.Sleep(5 * time.Millisecond) {
			require.True(t, time.Now().Before(deadline), "target %d is not scraped", i)
		}
		waits = append(waits, time.Since(changed))
	}
	slices.Sort(waits)
	t.Logf("from the change to the first scrape, slots of 250ms included: median %s, slowest of %d %s", waits[changes/2], changes, waits[changes-1])
	require.Less(t, waits[changes/2], 3*time.Second)
	require.Greater(t, load.Scrapes(0), int64(changes/4), "the first target is scraped on")
}
