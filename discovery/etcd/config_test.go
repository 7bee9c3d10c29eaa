package etcd

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v2"
)

// load reads the fields of one entry of etcd_sd_configs.
func load(t *testing.T, fields string) (*SDConfig, error) {
	t.Helper()
	var configs discovery.Configs
	text := "etcd_sd_configs:\n- " + strings.ReplaceAll(strings.TrimSpace(fields), "\n", "\n  ")
	if err := yaml.UnmarshalStrict([]byte(text), &configs); err != nil {
		return nil, err
	}
	require.Len(t, configs, 1)
	return configs[0].(*SDConfig), nil
}

func TestConfigDefaults(t *testing.T) {
	got, err := load(t, "endpoints: [etcd:2379]\nprefix: /services/")
	require.NoError(t, err)
	require.Equal(t, &SDConfig{
		Endpoints:       []string{"etcd:2379"},
		Prefix:          "/services/",
		DialTimeout:     model.Duration(5 * time.Second),
		RefreshInterval: model.Duration(5 * time.Minute),
		MaxValueSize:    1 << 20,
		MaxKeys:         100_000,
	}, got)
}

func TestConfigAllFields(t *testing.T) {
	got, err := load(t, `
endpoints: ["https://a:1", "https://[::1]:2/"]
prefix: /services/
key_template: /services/{job}/{instance}
username: gnomon
password_file: secret
tls_config:
  ca_file: ca.pem
  cert_file: cert.pem
  key_file: key.pem
dial_timeout: 7s
refresh_interval: 1h
max_value_size: 64KB
max_keys: 12`)
	require.NoError(t, err)
	got.SetDirectory("/etc/gnomon")
	require.Equal(t, &SDConfig{
		Endpoints:    []string{"https://a:1", "https://[::1]:2/"},
		Prefix:       "/services/",
		KeyTemplate:  "/services/{job}/{instance}",
		Username:     "gnomon",
		PasswordFile: "/etc/gnomon/secret",
		TLSConfig: &config.TLSConfig{
			CAFile:   filepath.FromSlash("/etc/gnomon/ca.pem"),
			CertFile: filepath.FromSlash("/etc/gnomon/cert.pem"),
			KeyFile:  filepath.FromSlash("/etc/gnomon/key.pem"),
		},
		DialTimeout:     model.Duration(7 * time.Second),
		RefreshInterval: model.Duration(time.Hour),
		MaxValueSize:    64 * units.KiB,
		MaxKeys:         12,
	}, got)
	urls, err := got.endpointURLs()
	require.NoError(t, err)
	require.Equal(t, []string{"https://a:1", "https://[::1]:2"}, urls)
}

func TestConfigSchemeFollowsTLS(t *testing.T) {
	for fields, want := range map[string]string{
		"endpoints: [a:1]\nprefix: /":                                "http://a:1",
		"endpoints: [a:1]\nprefix: /\ntls_config: {}":                "https://a:1",
		"endpoints: ['http://a:1']\nprefix: /":                       "http://a:1",
		"endpoints: ['https://a:1']\nprefix: /":                      "https://a:1",
		"endpoints: ['[::1]:1']\nprefix: /":                          "http://[::1]:1",
		"endpoints: ['https://a:1', b:1]\nprefix: /\ntls_config: {}": "https://a:1",
	} {
		c, err := load(t, fields)
		require.NoError(t, err, fields)
		urls, err := c.endpointURLs()
		require.NoError(t, err, fields)
		require.Equal(t, want, urls[0], fields)
	}
}

func TestConfigErrorsNameTheField(t *testing.T) {
	const good = "endpoints: [a:1]\nprefix: /s/\n"
	for _, c := range []struct{ fields, err string }{
		{"prefix: /s/", "etcd_sd_configs: endpoints is empty; name at least one member, such as 127.0.0.1:2379"},
		{"endpoints: [a:1]", "prefix is missing; name the keys to read"},
		{"endpoints: [a:1]\nprefix: /s/\nrange_end: /t", "prefix and a range are both set; keep one"},
		{"endpoints: [a:1]\nrange_start: /b\nrange_end: /b", `range_start "/b" is not before range_end "/b"`},
		{"endpoints: [a:1]\nrange_start: /b", `range_start "/b" is not before range_end ""`},
		{"endpoints: [a]\nprefix: /s/", `endpoints[0]: "a": missing port in address, want host:port`},
		{"endpoints: [a:1, ':1']\nprefix: /s/", `endpoints[1]: ":1": the host is missing`},
		{"endpoints: ['a:x']\nprefix: /s/", `endpoints[0]: "a:x": the port is "x"`},
		{"endpoints: ['ftp://a:1']\nprefix: /s/", `endpoints[0]: "ftp://a:1": the scheme must be http or https`},
		{"endpoints: ['http://a:1/v3']\nprefix: /s/", "only host and port may follow the scheme"},
		{"endpoints: ['http://a']\nprefix: /s/", `"http://a": missing port in address`},
		{"endpoints: ['http://a:1', 'https://b:1']\nprefix: /s/", `endpoints[1]: "https://b:1" mixes http and https`},
		{"endpoints: ['http://a:1']\nprefix: /s/\ntls_config: {}", `endpoints[0]: "http://a:1" is not encrypted, but tls_config is set`},
		{"endpoints: [a:1]", "etcd_sd_configs: prefix is missing"},
		{good + "key_template: /t/{a}", `key_template "/t/{a}" matches no key under the prefix "/s/"`},
		{good + "key_template: /s/{a", `key_template: "/s/{a", byte 4: { without }`},
		{good + "password: x", "username is missing, but a password is set"},
		{good + "username: x", "username is set, but neither password nor password_file"},
		{good + "username: x\npassword: y\npassword_file: z", "password and password_file are both set"},
		{good + "tls_config: {ca: x, ca_file: y}", "at most one of ca, ca_file"},
		{good + "tls_config: {cert_file: y}", "exactly one of key or key_file"},
		{good + "tls_config: {ca_ref: y}", "tls_config: ca_ref, cert_ref and key_ref need a secret manager"},
		{good + "tls_config: {min_version: TLS13, max_version: TLS12}", "tls_config: max_version is lower"},
		{good + "dial_timeout: 0s", "dial_timeout must be greater than 0"},
		{good + "refresh_interval: 10ms", "refresh_interval is 10ms; the least is 1s"},
		{good + "max_value_size: 0", "max_value_size must be greater than 0"},
		{good + "max_keys: -1", "max_keys must be greater than 0"},
		{good + "endpoint: a", "field endpoint not found"},
		{good + "tls_config: {ca_fil: a}", "field ca_fil not found"},
	} {
		_, err := load(t, c.fields)
		require.ErrorContains(t, err, c.err, c.fields)
	}
	_, err := load(t, "max_keys: 0\nprefix: ''")
	for _, field := range []string{"endpoints", "prefix", "max_keys"} {
		require.ErrorContains(t, err, field, "all violations are reported at once")
	}
}

func TestConfigErrorsKeepSecrets(t *testing.T) {
	for _, endpoint := range []string{"http://u:hunter2@a:1", "u:hunter2@a:1", "http://u:hunter2@a:%zz"} {
		_, err := load(t, "endpoints: ['"+endpoint+"']\nprefix: /s/")
		require.ErrorContains(t, err, "endpoints[0]: holds an @; credentials go into username and password")
		require.NotContains(t, err.Error(), "hunter2")
	}
}

const wholeConfig = `
scrape_configs:
- job_name: services
  etcd_sd_configs:
  - endpoints: [a:1]
    prefix: /services/
    username: gnomon
    password: hunter2
    tls_config: {key: hunter2, cert: x}
alerting:
  alertmanagers:
  - etcd_sd_configs:
    - endpoints: [a:1]
      prefix: /alertmanagers/
      password_file: secret
      username: gnomon
`

func TestConfigIsPartOfUpstreams(t *testing.T) {
	c, err := promconfig.Load(wholeConfig, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	scrape := c.ScrapeConfigs[0].ServiceDiscoveryConfigs
	require.Equal(t, "/services/", scrape[0].(*SDConfig).Prefix)

	require.NotContains(t, c.String(), "hunter2")
	require.Contains(t, c.String(), "password: <secret>")
	// What is shown can be read again.
	again, err := promconfig.Load(c.String(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Equal(t, c.String(), again.String())

	c.SetDirectory("/etc/gnomon")
	notify := c.AlertingConfig.AlertmanagerConfigs[0].ServiceDiscoveryConfigs[0].(*SDConfig)
	require.Equal(t, "/etc/gnomon/secret", notify.PasswordFile)

	_, err = promconfig.Load(strings.Replace(wholeConfig, "/services/", "''", 1), slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "etcd_sd_configs: prefix is missing")
}
