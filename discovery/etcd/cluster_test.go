package etcd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// putEventually writes a key as soon as the cluster takes it.
func putEventually(t *testing.T, c *clientv3.Client, key, value string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := c.Put(bounded(t), key, value)
		return err == nil
	}, patience, 10*time.Millisecond)
}

// Each of three members is killed once, the leader among them, and comes back; and each
// is cut off once, silently, while it runs on. Changes arrive all the same, and nothing
// else is sent.
func TestFollowAClusterInTrouble(t *testing.T) {
	t.Parallel()
	members := newCluster(t, 3, nil)
	cfg := baseConfig("")
	cfg.Endpoints = nil
	cfg.DialTimeout = model.Duration(500 * time.Millisecond)
	var proxies []*proxy
	var direct []string
	for _, m := range members {
		p := newProxy(t, m.client.Host)
		proxies = append(proxies, p)
		cfg.Endpoints = append(cfg.Endpoints, p.address())
		direct = append(direct, m.client.String())
	}
	c := members[0].dial(func(c *clientv3.Config) { c.Endpoints = direct })
	putKey(t, c, "/s/still", "still:1")
	f := follow(t, cfg)
	want := map[string]string{"/s/still": "still:1"}
	f.await(want)
	f.awaitUp()

	for i, m := range members {
		m.stop()
		key := fmt.Sprintf("/s/killed-%d", i)
		putEventually(t, c, key, "a:1")
		want[key] = "a:1"
		f.await(want)
		start(t, m)
	}
	for i, p := range proxies {
		p.set("nobody", true)
		key := fmt.Sprintf("/s/cut-%d", i)
		putEventually(t, c, key, "a:1")
		want[key] = "a:1"
		f.await(want)
		p.set(members[i].client.Host, false)
	}
	require.Equal(t, 1, f.sent("/s/still"))
	require.Equal(t, 1.0, f.lists(relistStart))
	require.Zero(t, f.lists(relistHistory)+f.lists(relistCompaction))
}

// The token of a login expires while the watch is idle; the session goes on.
func TestFollowOutlivesItsToken(t *testing.T) {
	t.Parallel()
	members := newCluster(t, 1, nil, func(m *member) { m.tokenTTL = 1 })
	server := members[0]
	c := server.dial()
	putKey(t, c, "/s/a", "a:1")
	ctx := bounded(t)
	for _, step := range []func() error{
		func() error { _, err := c.UserAdd(ctx, "root", "rootpw"); return err },
		func() error { _, err := c.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := c.AuthEnable(ctx); return err },
	} {
		require.NoError(t, step())
	}
	cfg := baseConfig(server.client.Host)
	cfg.Username, cfg.Password = "root", "rootpw"
	f := follow(t, cfg, func(u *tuning) { u.probeInterval = 3 * time.Second })
	f.await(map[string]string{"/s/a": "a:1"})
	f.awaitUp()
	began := time.Now()
	f.until("several lives of a token", func() bool { return time.Since(began) > 4*time.Second })
	root := server.dial(func(c *clientv3.Config) { c.Username, c.Password = "root", "rootpw" })
	putKey(t, root, "/s/b", "b:1")
	f.await(map[string]string{"/s/a": "a:1", "/s/b": "b:1"})
	require.Equal(t, 1, f.sent("/s/a"))
	require.Equal(t, 1.0, f.lists(relistStart))

	// A password that changes ends the session's login, and the next one uses it.
	_, err := root.UserChangePassword(bounded(t), "root", "other")
	require.NoError(t, err)
	f.until("refused", func() bool { return strings.Contains(f.log.String(), "level=WARN") })
	require.Len(t, f.targets(), 2)
}

// A range selects keys that have no common prefix.
func TestFollowARange(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	for _, k := range []string{"/a", "/b", "/c/1", "/d"} {
		putKey(t, c, k, "h:1")
	}
	cfg := baseConfig(server.client.Host)
	cfg.Prefix, cfg.RangeStart, cfg.RangeEnd = "", "/b", "/d"
	f := follow(t, cfg)
	f.await(map[string]string{"/b": "h:1", "/c/1": "h:1"})
	f.awaitUp()
	putKey(t, c, "/d", "h:2")
	putKey(t, c, "/c/2", "h:1")
	f.await(map[string]string{"/b": "h:1", "/c/1": "h:1", "/c/2": "h:1"})
	f.stop()

	cfg.RangeStart, cfg.RangeEnd = "", "/b"
	f = follow(t, cfg)
	f.await(map[string]string{"/a": "h:1"})
}
