package etcd

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	rooms "github.com/gnomonhq/gnomon/discovery"
)

func TestMain(m *testing.M) {
	// Members of etcd leave connections among each other behind for a moment, which are
	// HTTP. Discovery itself uses none.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
		goleak.IgnoreAnyFunction("net/http.(*connReader).backgroundRead"))
}

func TestFollowSnapshotAndChanges(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	want := make(map[string]string)
	for i := range 7 {
		key, value := fmt.Sprintf("/s/api/%d", i), fmt.Sprintf("h:%d", i+1)
		putKey(t, c, key, value)
		want[key] = value
	}
	putKey(t, c, "/s/api/bad", "oops")
	putKey(t, c, "/r/before", "x:1")
	putKey(t, c, "/t/after", "x:1")

	cfg := baseConfig(server.client.Host)
	cfg.KeyTemplate = "/s/{job}/{instance}"
	f := follow(t, cfg, func(u *tuning) { u.pageSize = 3 })
	f.await(want)
	f.awaitUp()

	putKey(t, c, "/s/api/0", `{"targets":["a:1","b:2"],"labels":{"env":"prod"}}`)
	want["/s/api/0"] = "a:1 b:2"
	f.await(want)
	deleteKey(t, c, "/s/api/1")
	delete(want, "/s/api/1")
	f.await(want)
	putKey(t, c, "/t/after", "x:2")
	putKey(t, c, "/s/api/2", "oops") // Keeps its target.
	putKey(t, c, "/s/api/bad", "h:99")
	want["/s/api/bad"] = "h:99"
	f.await(want)

	require.Equal(t, 2, f.sent("/s/api/0"))
	for _, key := range []string{"/s/api/2", "/s/api/3", "/s/api/6"} {
		require.Equal(t, 1, f.sent(key), key)
	}
	require.Equal(t, 1, strings.Count(f.log.String(), "key=/s/api/2"))
	require.Contains(t, f.log.String(), "earlier_targets_stay=true")
	resp, err := c.Get(bounded(t), "/s/")
	require.NoError(t, err)
	require.NoError(t, testutil.GatherAndCompare(f.reg, strings.NewReader(fmt.Sprintf(`
# HELP gnomon_sd_etcd_bad_keys Keys whose present value was refused.
# TYPE gnomon_sd_etcd_bad_keys gauge
gnomon_sd_etcd_bad_keys{config="job",prefix="/s/"} 1
# HELP gnomon_sd_etcd_bad_values_total Values in etcd that were refused, by reason.
# TYPE gnomon_sd_etcd_bad_values_total counter
gnomon_sd_etcd_bad_values_total{config="job",reason="key"} 0
gnomon_sd_etcd_bad_values_total{config="job",reason="limit"} 0
gnomon_sd_etcd_bad_values_total{config="job",reason="size"} 0
gnomon_sd_etcd_bad_values_total{config="job",reason="syntax"} 2
gnomon_sd_etcd_bad_values_total{config="job",reason="template"} 0
# HELP gnomon_sd_etcd_keys Keys that are known.
# TYPE gnomon_sd_etcd_keys gauge
gnomon_sd_etcd_keys{config="job",prefix="/s/"} 7
# HELP gnomon_sd_etcd_lists_total How often all keys were read from etcd, by reason.
# TYPE gnomon_sd_etcd_lists_total counter
gnomon_sd_etcd_lists_total{config="job",reason="start"} 1
# HELP gnomon_sd_etcd_reconnects_total How often the connection to etcd was opened anew.
# TYPE gnomon_sd_etcd_reconnects_total counter
gnomon_sd_etcd_reconnects_total{config="job"} 0
# HELP gnomon_sd_etcd_refused_keys Keys that were refused since the last list because of max_keys.
# TYPE gnomon_sd_etcd_refused_keys gauge
gnomon_sd_etcd_refused_keys{config="job",prefix="/s/"} 0
# HELP gnomon_sd_etcd_revision Revision of etcd that the targets reflect.
# TYPE gnomon_sd_etcd_revision gauge
gnomon_sd_etcd_revision{config="job",prefix="/s/"} %d
# HELP gnomon_sd_etcd_up Whether changes in etcd are being followed (1) or etcd is out of reach (0).
# TYPE gnomon_sd_etcd_up gauge
gnomon_sd_etcd_up{config="job",prefix="/s/"} 1
# HELP prometheus_sd_refresh_failures_total Number of refresh failures for the given SD mechanism.
# TYPE prometheus_sd_refresh_failures_total counter
prometheus_sd_refresh_failures_total{config="job",mechanism="etcd"} 0
`, resp.Header.Revision)), "gnomon_sd_etcd_bad_keys", "gnomon_sd_etcd_bad_values_total", "gnomon_sd_etcd_keys",
		"gnomon_sd_etcd_lists_total", "gnomon_sd_etcd_reconnects_total", "gnomon_sd_etcd_refused_keys",
		"gnomon_sd_etcd_revision", "gnomon_sd_etcd_up", "prometheus_sd_refresh_failures_total"))
	require.Positive(t, f.d.gauges.updated.Load())

	f.stop()
	n, err := testutil.GatherAndCount(f.reg, "gnomon_sd_etcd_keys", "gnomon_sd_etcd_up")
	require.NoError(t, err)
	require.Zero(t, n, "a discovery that ended shows no gauges")
}

func TestFollowNothing(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	f := follow(t, baseConfig(server.client.Host))
	f.await(map[string]string{}) // The first update comes although it is empty.
	f.awaitUp()
	putKey(t, server.dial(), "/s/a", "a:1")
	f.await(map[string]string{"/s/a": "a:1"})
}

// TestFollowAdvancesWithoutChanges is about a quiet prefix in a busy cluster: what happens
// elsewhere must not make the revision old enough to be compacted away.
func TestFollowAdvancesWithoutChanges(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	putKey(t, c, "/s/a", "a:1")
	p := newProxy(t, server.client.Host)
	f := follow(t, baseConfig(p.address()))
	f.await(map[string]string{"/s/a": "a:1"})
	for range 10 {
		putKey(t, c, "/other", "x")
	}
	resp, err := c.Get(bounded(t), "/s/a")
	require.NoError(t, err)
	f.until("advanced", func() bool { return f.d.gauges.revision.Load() == resp.Header.Revision })

	p.set("", false)
	f.awaitFailure()
	_, err = c.Compact(bounded(t), resp.Header.Revision)
	require.NoError(t, err)
	p.set(server.client.Host, false)
	f.awaitUp()
	putKey(t, c, "/s/a", "a:2")
	f.await(map[string]string{"/s/a": "a:2"})
	require.Zero(t, f.lists(relistCompaction))
}

func TestFollowSurvivesCompactionWhileAway(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	for _, k := range []string{"same", "changed", "deleted"} {
		putKey(t, c, "/s/"+k, k+":1")
	}
	p := newProxy(t, server.client.Host)
	f := follow(t, baseConfig(p.address()))
	f.await(map[string]string{"/s/same": "same:1", "/s/changed": "changed:1", "/s/deleted": "deleted:1"})
	f.awaitUp()

	p.set("", false)
	f.awaitFailure()
	require.Len(t, f.targets(), 3, "targets stay while etcd is away")
	putKey(t, c, "/s/changed", "changed:2")
	putKey(t, c, "/s/new", "new:1")
	deleteKey(t, c, "/s/deleted")
	resp, err := c.Get(bounded(t), "/s/")
	require.NoError(t, err)
	_, err = c.Compact(bounded(t), resp.Header.Revision, clientv3.WithCompactPhysical())
	require.NoError(t, err)

	p.set(server.client.Host, false)
	f.await(map[string]string{"/s/same": "same:1", "/s/changed": "changed:2", "/s/new": "new:1"})
	require.Equal(t, 1, f.sent("/s/same"), "what did not change is not sent again")
	f.until("listed again", func() bool { return f.lists(relistCompaction) == 1 })
	f.awaitUp()
	putKey(t, c, "/s/same", "same:2")
	f.await(map[string]string{"/s/same": "same:2", "/s/changed": "changed:2", "/s/new": "new:1"})
}

func TestFollowResumesAfterRestart(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	putKey(t, c, "/s/a", "a:1")
	putKey(t, c, "/s/b", "b:1")
	f := follow(t, baseConfig(server.client.Host))
	f.await(map[string]string{"/s/a": "a:1", "/s/b": "b:1"})
	f.awaitUp()

	server.stop()
	f.awaitFailure()
	f.awaitFailure() // It goes on trying.
	require.Contains(t, f.log.String(), "connection refused")
	require.Len(t, f.targets(), 2, "targets stay while etcd is away")

	start(t, server)
	putKey(t, c, "/s/b", "b:2")
	f.await(map[string]string{"/s/a": "a:1", "/s/b": "b:2"})
	require.Equal(t, 1, f.sent("/s/a"))
	require.Equal(t, 1.0, f.lists(relistStart), "it goes on from the revision")
	require.Zero(t, f.lists(relistCompaction)+f.lists(relistHistory)+f.lists(relistRefresh))
	require.Contains(t, f.log.String(), "etcd discovery is interrupted, targets stay as they are")
}

func TestFollowWaitsForEtcdAtStart(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	putKey(t, server.dial(), "/s/a", "a:1")
	server.stop()
	f := follow(t, baseConfig(server.client.Host))
	f.awaitFailure()
	require.Empty(t, f.targets())
	start(t, server)
	f.await(map[string]string{"/s/a": "a:1"})
}

func TestFollowNoticesSilence(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	putKey(t, c, "/s/a", "a:1")
	p := newProxy(t, server.client.Host)
	cfg := baseConfig(p.address())
	cfg.DialTimeout = model.Duration(500 * time.Millisecond)
	f := follow(t, cfg)
	f.await(map[string]string{"/s/a": "a:1"})
	f.awaitUp()

	p.set("nobody", true) // Connections are accepted, but nothing answers.
	f.awaitFailure()
	require.Len(t, f.targets(), 1)
	p.set(server.client.Host, false)
	putKey(t, c, "/s/a", "a:2")
	f.await(map[string]string{"/s/a": "a:2"})
}

func TestFollowSurvivesLossOfLeader(t *testing.T) {
	t.Parallel()
	members := newCluster(t, 3, nil)
	c := members[0].dial()
	putKey(t, c, "/s/a", "a:1")
	cfg := baseConfig(members[0].client.Host)
	cfg.DialTimeout = model.Duration(time.Second)
	// No probe: it is the watch that has to notice.
	f := follow(t, cfg, func(u *tuning) { u.probeInterval = time.Hour })
	f.await(map[string]string{"/s/a": "a:1"})
	f.awaitUp()

	members[1].stop()
	members[2].stop()
	f.until("without a leader", func() bool {
		return strings.Contains(f.log.String(), "no leader") && !f.d.gauges.up.Load()
	})
	require.Equal(t, map[string]string{"/s/a": "a:1"}, f.targets(), "targets stay without a leader")

	start(t, members[1], members[2])
	putKey(t, c, "/s/b", "b:1")
	f.await(map[string]string{"/s/a": "a:1", "/s/b": "b:1"})
	require.Equal(t, 1, f.sent("/s/a"))
	require.Equal(t, 1.0, f.lists(relistStart))
}

func TestFollowUsesAnotherMember(t *testing.T) {
	t.Parallel()
	members := newCluster(t, 3, nil)
	cfg := baseConfig(members[0].client.Host)
	cfg.Endpoints = append(cfg.Endpoints, members[1].client.Host, members[2].client.Host)
	f := follow(t, cfg)
	f.await(map[string]string{})
	f.awaitUp()
	members[0].stop()
	c := members[1].dial()
	// There may be no leader for a moment.
	require.Eventually(t, func() bool {
		_, err := c.Put(bounded(t), "/s/a", "a:1")
		return err == nil
	}, patience, 10*time.Millisecond)
	f.await(map[string]string{"/s/a": "a:1"})
}

func TestFollowNoticesAnotherHistory(t *testing.T) {
	t.Parallel()
	old, other := newCluster(t, 1, nil)[0], newCluster(t, 1, nil)[0]
	c := old.dial()
	for i := range 20 { // Far ahead of the other one.
		putKey(t, c, "/s/a", fmt.Sprintf("a:%d", i+1))
	}
	putKey(t, c, "/s/same", "same:1")
	putKey(t, other.dial(), "/s/same", "same:1")
	putKey(t, other.dial(), "/s/b", "b:1")

	p := newProxy(t, old.client.Host)
	f := follow(t, baseConfig(p.address()))
	f.await(map[string]string{"/s/a": "a:20", "/s/same": "same:1"})
	f.awaitUp()
	p.set(other.client.Host, false)
	f.await(map[string]string{"/s/b": "b:1", "/s/same": "same:1"})
	require.Equal(t, 1, f.sent("/s/same"))
	require.Equal(t, 1.0, f.lists(relistHistory))
	f.awaitUp()
	putKey(t, other.dial(), "/s/b", "b:2")
	f.await(map[string]string{"/s/b": "b:2", "/s/same": "same:1"})
}

func TestFollowReadsAgainAtIntervals(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	putKey(t, c, "/s/a", "a:1")
	cfg := baseConfig(server.client.Host)
	cfg.RefreshInterval = model.Duration(time.Second)
	f := follow(t, cfg)
	f.until("listed twice more", func() bool { return f.lists(relistRefresh) >= 2 })
	putKey(t, c, "/s/a", "a:2")
	f.await(map[string]string{"/s/a": "a:2"})
	require.Equal(t, 2, f.sent("/s/a"))
	require.Zero(t, f.failures())
	require.Zero(t, testutil.ToFloat64(f.d.metrics.reconnects.WithLabelValues("job")))
}

func TestFollowLargeValues(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	want := make(map[string]string)
	// Ten values that fit into a message one by one, not together, around two that
	// do not fit at all.
	for i := range 10 {
		key, target := fmt.Sprintf("/s/%d", i), strings.Repeat("x", 20<<10)
		putKey(t, c, key, fmt.Sprintf(`{"targets":[%q]}`, target))
		want[key] = target
	}
	huge := fmt.Sprintf(`{"targets":[%q]}`, strings.Repeat("y", 200<<10))
	putKey(t, c, "/s/4-huge", huge)
	putKey(t, c, "/s/5-huge", huge)
	f := follow(t, baseConfig(server.client.Host), func(u *tuning) { u.maxMessage = 64 << 10 })
	f.await(want)
	f.awaitUp()
	require.EqualValues(t, 2, f.d.gauges.badKeys.Load())

	// One that arrives later costs a list, and nothing else.
	putKey(t, c, "/s/6-huge", huge)
	f.until("listed again", func() bool { return f.lists(relistOversize) >= 1 })
	f.until("reported", func() bool { return f.d.gauges.badKeys.Load() == 3 })
	putKey(t, c, "/s/a", "a:1")
	want["/s/a"] = "a:1"
	f.await(want)
	require.Equal(t, 1, f.sent("/s/9"))
	require.Equal(t, 3.0, testutil.ToFloat64(f.d.metrics.badValues.WithLabelValues("job", reasonSize)))
	require.Zero(t, f.failures())
}

func TestFollowLimits(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	for i := range 30 {
		putKey(t, c, fmt.Sprintf("/s/%02d", i), "oops")
	}
	cfg := baseConfig(server.client.Host)
	cfg.MaxKeys = 20
	f := follow(t, cfg)
	f.await(map[string]string{})
	f.awaitUp()
	require.Equal(t, 10.0, testutil.ToFloat64(f.d.metrics.badValues.WithLabelValues("job", reasonLimit)))
	require.EqualValues(t, 10, f.d.gauges.refusedKeys.Load())
	log := f.log.String()
	require.Equal(t, maxLoggedBadValues, strings.Count(log, `msg="value in etcd refused"`))
	require.Contains(t, log, `msg="further values in etcd refused"`)
	require.Contains(t, log, "max_keys=20 keys=10 first=/s/20")
}

func TestFollowWithPassword(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	putKey(t, c, "/s/a", "a:1")
	ctx := bounded(t)
	for _, step := range []func() error{
		func() error { _, err := c.UserAdd(ctx, "root", "rootpw"); return err },
		func() error { _, err := c.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := c.RoleAdd(ctx, "reader"); return err },
		func() error {
			_, err := c.RoleGrantPermission(ctx, "reader", "/s/", clientv3.GetPrefixRangeEnd("/s/"),
				clientv3.PermissionType(clientv3.PermRead))
			return err
		},
		func() error { _, err := c.UserAdd(ctx, "gnomon", "hunter2"); return err },
		func() error { _, err := c.UserGrantRole(ctx, "gnomon", "reader"); return err },
		func() error { _, err := c.AuthEnable(ctx); return err },
	} {
		require.NoError(t, step())
	}
	root := server.dial(func(c *clientv3.Config) { c.Username, c.Password = "root", "rootpw" })

	anonymous := follow(t, baseConfig(server.client.Host))
	anonymous.awaitFailure()
	require.Contains(t, anonymous.log.String(), "user name is empty")
	anonymous.stop()

	cfg := baseConfig(server.client.Host)
	cfg.Username = "gnomon"
	cfg.PasswordFile = filepath.Join(t.TempDir(), "password")
	f := follow(t, cfg)
	f.awaitFailure()
	require.Contains(t, f.log.String(), "password_file: open")
	require.NoError(t, os.WriteFile(cfg.PasswordFile, []byte("wrong\n"), 0o600))
	f.until("refused", func() bool { return strings.Contains(f.log.String(), "authentication failed") })
	require.Empty(t, f.targets())
	require.NoError(t, os.WriteFile(cfg.PasswordFile, []byte("hunter2\n"), 0o600))
	f.await(map[string]string{"/s/a": "a:1"})
	f.awaitUp()
	putKey(t, root, "/s/b", "b:1")
	f.await(map[string]string{"/s/a": "a:1", "/s/b": "b:1"})
	require.NotContains(t, f.log.String(), "hunter2")

	elsewhere := baseConfig(server.client.Host)
	elsewhere.Username, elsewhere.Password, elsewhere.Prefix = "gnomon", "hunter2", "/other/"
	forbidden := follow(t, elsewhere)
	forbidden.awaitFailure()
	require.Contains(t, forbidden.log.String(), "permission denied")
}

func TestFollowWithTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	serverCert, serverKey := ca.issue("server")
	clientCert, clientKey := ca.issue("client")
	server := newCluster(t, 1, &transport.TLSInfo{
		CertFile: serverCert, KeyFile: serverKey, TrustedCAFile: ca.file("ca.pem"), ClientCertAuth: true,
	})[0]
	tlsConfig := &config.TLSConfig{CAFile: ca.file("ca.pem"), CertFile: clientCert, KeyFile: clientKey}
	dialTLS, err := config.NewTLSConfig(tlsConfig)
	require.NoError(t, err)
	c := server.dial(func(c *clientv3.Config) { c.TLS = dialTLS })
	putKey(t, c, "/s/a", "a:1")

	for name, bad := range map[string]struct {
		tls *config.TLSConfig
		err string
	}{
		"unknown authority": {&config.TLSConfig{CertFile: clientCert, KeyFile: clientKey}, "certificate signed by unknown authority"},
		"missing file":      {&config.TLSConfig{CAFile: ca.file("none.pem")}, "tls_config: unable to read CA cert"},
		"wrong name":        {&config.TLSConfig{CAFile: ca.file("ca.pem"), CertFile: clientCert, KeyFile: clientKey, ServerName: "other"}, "not other"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := baseConfig(server.client.Host)
			cfg.TLSConfig = bad.tls
			f := follow(t, cfg)
			f.awaitFailure()
			require.Contains(t, f.log.String(), bad.err)
			require.Empty(t, f.targets())
		})
	}

	cfg := baseConfig(server.client.Host)
	cfg.TLSConfig = tlsConfig
	cfg.TLSConfig.ServerName = "etcd.test" // Not the endpoint's address.
	f := follow(t, cfg)
	f.await(map[string]string{"/s/a": "a:1"})
	f.awaitUp()
	putKey(t, c, "/s/a", "a:2")
	f.await(map[string]string{"/s/a": "a:2"})
}

func TestFollowStopsAtOnce(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	p := newProxy(t, "nobody")
	p.set("nobody", true)
	for name, cfg := range map[string]*SDConfig{
		"following":             baseConfig(server.client.Host),
		"waiting for an answer": baseConfig(p.address()),
		"waiting for the login": baseConfig(p.address()),
		"between attempts":      baseConfig(address(t)),
	} {
		t.Run(name, func(t *testing.T) {
			cfg.DialTimeout = model.Duration(time.Hour)
			if name == "waiting for the login" {
				cfg.Username, cfg.Password = "u", "p"
			}
			f := follow(t, cfg, func(u *tuning) { u.minBackoff, u.maxBackoff = time.Hour, time.Hour })
			switch name {
			case "following":
				f.awaitUp()
			case "between attempts":
				f.awaitFailure()
			default:
				f.until("connected", func() bool { return p.connections() > 0 })
			}
			f.stop()
		})
	}
}

func TestFollowThroughManager(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	putKey(t, c, "/s/api/1", "10.0.0.1:80")
	putKey(t, c, "/am/1", "10.0.0.2:9093")
	loaded, err := promconfig.Load(fmt.Sprintf(`
scrape_configs:
- job_name: services
  etcd_sd_configs:
  - endpoints: [%q]
    prefix: /s/
    key_template: /s/{job}/{instance}
alerting:
  alertmanagers:
  - etcd_sd_configs:
    - endpoints: [%[1]q]
      prefix: /am/
`, server.client.Host), slog.New(slog.DiscardHandler))
	require.NoError(t, err)

	m, err := rooms.New(rooms.Options{UpdateInterval: 100 * time.Millisecond})
	require.NoError(t, err)
	done := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- m.Run(ctx) }()
	require.NoError(t, m.ApplyConfig(map[string]rooms.Configs{
		"services": loaded.ScrapeConfigs[0].ServiceDiscoveryConfigs,
		"am":       loaded.AlertingConfig.AlertmanagerConfigs[0].ServiceDiscoveryConfigs,
	}))
	deadline := time.After(patience)
	for {
		var sets map[string][]*targetgroup.Group
		select {
		case sets = <-m.SyncCh():
		case <-deadline:
			require.FailNow(t, "targets did not come")
		}
		if len(sets["services"]) == 1 && len(sets["am"]) == 1 {
			require.Equal(t, &targetgroup.Group{
				Source:  "etcd/" + server.client.Host + ":/s/api/1",
				Targets: []model.LabelSet{{"__address__": "10.0.0.1:80"}},
				Labels: model.LabelSet{
					"__meta_etcd_key": "/s/api/1", "__meta_etcd_job": "api", "__meta_etcd_instance": "1",
				},
			}, sets["services"][0])
			break
		}
	}
	cancel()
	require.NoError(t, <-done)
}
