package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// nowhere is an address that nothing listens on. Whatever a mechanism wants to reach is
// there, or behind a proxy that is there, so that the test stays on this machine.
const nowhere = "127.0.0.1:9"

// mechanisms has a section of each mechanism by its name. $KEY stands for the file of a
// private key.
var mechanisms = map[string]string{
	"aws":          "role: ec2, region: r, endpoint: 'http://NOWHERE', access_key: a, secret_key: s",
	"azure":        "subscription_id: s, tenant_id: t, client_id: c, client_secret: x, proxy_url: 'http://NOWHERE'",
	"consul":       "server: NOWHERE",
	"digitalocean": "authorization: {credentials: x}, proxy_url: 'http://NOWHERE'",
	"dns":          "names: [nowhere.invalid]",
	"docker":       "host: 'tcp://NOWHERE'",
	"dockerswarm":  "host: 'tcp://NOWHERE', role: nodes",
	"ec2":          "region: r, endpoint: 'http://NOWHERE', access_key: a, secret_key: s",
	"ecs":          "region: r, endpoint: 'http://NOWHERE', access_key: a, secret_key: s",
	"elasticache":  "region: r, endpoint: 'http://NOWHERE', access_key: a, secret_key: s",
	"etcd":         "endpoints: [NOWHERE], prefix: /s/",
	"eureka":       "server: 'http://NOWHERE/eureka'",
	"file":         "files: [none.json]",
	"gce":          "project: p, zone: z",
	"hetzner":      "role: hcloud, authorization: {credentials: x}, proxy_url: 'http://NOWHERE'",
	"http":         "url: 'http://NOWHERE/'",
	"ionos":        "datacenter_id: d, authorization: {credentials: x}, proxy_url: 'http://NOWHERE'",
	"kubernetes":   "role: pod, api_server: 'http://NOWHERE'",
	"kuma":         "server: 'http://NOWHERE'",
	"lightsail":    "region: r, endpoint: 'http://NOWHERE', access_key: a, secret_key: s",
	"linode":       "authorization: {credentials: x}, proxy_url: 'http://NOWHERE'",
	"marathon":     "servers: ['http://NOWHERE']",
	"msk":          "region: r, endpoint: 'http://NOWHERE', access_key: a, secret_key: s",
	"nerve":        "servers: [NOWHERE], paths: [/m]",
	"nomad":        "server: 'http://NOWHERE'",
	"oci":          "region: us-ashburn-1, tenancy: ocid1.tenancy.oc1..t, user: ocid1.user.oc1..u, fingerprint: 'aa:bb', key_file: $KEY, proxy_url: 'http://NOWHERE'",
	"openstack":    "role: instance, region: r, identity_endpoint: 'http://NOWHERE', username: u, password: p, domain_name: d, project_name: n",
	"outscale":     "region: r, access_key: a, secret_key: s, endpoint: 'http://NOWHERE'",
	"ovhcloud":     "service: vps, endpoint: 'http://NOWHERE', application_key: a, application_secret: s, consumer_key: c",
	"puppetdb":     "url: 'http://NOWHERE', query: q",
	"rds":          "region: r, endpoint: 'http://NOWHERE', access_key: a, secret_key: s",
	"scaleway":     "role: instance, project_id: 11111111-1111-1111-1111-111111111112, access_key: SCWXXXXXXXXXXXXXXXXX, secret_key: 11111111-1111-1111-1111-111111111111, api_url: 'http://NOWHERE'",
	"serverset":    "servers: [NOWHERE], paths: [/m]",
	"stackit":      "project: p, endpoint: 'http://NOWHERE', authorization: {credentials: x}",
	"static":       "targets: ['NOWHERE']",
	"triton":       "account: a, dns_suffix: d, endpoint: '127.0.0.1', version: 1",
	"uyuni":        "server: 'http://NOWHERE', username: u, password: p",
	"vultr":        "authorization: {credentials: x}, proxy_url: 'http://NOWHERE'",
}

// Every mechanism that is linked parses its section, starts, and stops in time although
// what it asks is not there.
func TestEveryMechanismStartsAndStops(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	keyText := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	keyFile, account := filepath.Join(dir, "key.pem"), filepath.Join(dir, "account.json")
	harness.WriteFile(t, keyFile, keyText)
	credentials, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "a@b", "private_key": keyText, "token_uri": "http://" + nowhere,
	})
	require.NoError(t, err)
	harness.WriteFile(t, account, string(credentials))

	config := strings.Builder{}
	config.WriteString("scrape_configs:\n")
	for name, section := range mechanisms {
		field := name + "_sd_configs"
		if name == "static" {
			field = "static_configs"
		}
		section = strings.NewReplacer("NOWHERE", nowhere, "$KEY", keyFile).Replace(section)
		fmt.Fprintf(&config, "- {job_name: %s, %s: [{%s}]}\n", name, field, section)
	}
	server := harness.StartGnomon(t, harness.Options{Config: config.String(), Env: []string{
		"GOOGLE_APPLICATION_CREDENTIALS=" + account,
		"HTTP_PROXY=http://" + nowhere, "HTTPS_PROXY=http://" + nowhere, "NO_PROXY=127.0.0.1",
		"AWS_EC2_METADATA_DISABLED=true",
	}})

	// All that there are, are here.
	_, body := server.Get(t, "/api/v1/features", nil)
	var features struct {
		Data map[string]map[string]bool `json:"data"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &features))
	linked := slices.Sorted(maps.Keys(features.Data["service_discovery_providers"]))
	require.Equal(t, slices.Sorted(maps.Keys(mechanisms)), linked)
	_, metrics := server.Get(t, "/metrics", nil)
	require.Contains(t, metrics, "prometheus_sd_failed_configs{name=\"scrape\"} 0\n", server.Output(t))
	// One that fails to look around does not keep another from it.
	harness.Eventually(t, soon, "the static target", func() error {
		if n := len(activeTargets(t, server, "static")); n != 1 {
			return fmt.Errorf("there are %d targets", n)
		}
		return nil
	})
	server.Terminate(t)
	require.NotContains(t, server.Output(t), "still running after")
}

// Targets follow a file and the answers of a server, within a second of the change being
// seen, and other targets are not disturbed.
func TestFileAndHTTPTargetsFollow(t *testing.T) {
	t.Parallel()
	load := harness.StartLoad(t, 8, 1)
	list := func(ids ...int) string {
		groups := []map[string]any{}
		for _, id := range ids {
			groups = append(groups, map[string]any{
				"targets": []string{load.Address()}, "labels": map[string]string{"__param_target": fmt.Sprint(id), "instance": fmt.Sprint(id)},
			})
		}
		b, err := json.Marshal(groups)
		require.NoError(t, err)
		return string(b)
	}
	var answer atomic.Value
	answer.Store(list(4))
	source := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answer.Load().(string)))
	}))
	t.Cleanup(source.Close)

	server := harness.NewGnomon(t, harness.Options{Config: `
global: {scrape_interval: 500ms}
scrape_configs:
- {job_name: file, file_sd_configs: [{files: [targets.json]}]}
- {job_name: http, http_sd_configs: [{url: '` + source.URL + `', refresh_interval: 1s}]}
`})
	server.WriteFile(t, "targets.json", list(0, 1))
	server.Start(t)
	waitTargets(t, server, "file", "0", "1")
	waitTargets(t, server, "http", "4")

	before := load.Scrapes(0)
	server.WriteFile(t, "targets.json", list(0, 2))
	waitTargets(t, server, "file", "0", "2")
	answer.Store(list(5, 6))
	waitTargets(t, server, "http", "5", "6")
	harness.Eventually(t, soon, "the target that did not change", func() error { return atLeast(load.Scrapes(0), before+2) })

	// What makes no sense leaves the targets as they are.
	answer.Store("oops")
	server.WriteFile(t, "targets.json", "oops")
	server.WaitFor(t, soon, `count(up{job="file"} == 1)`, 2)
	waitTargets(t, server, "file", "0", "2")
	waitTargets(t, server, "http", "5", "6")
}
