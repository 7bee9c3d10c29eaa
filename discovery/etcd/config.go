package etcd

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// mechanism is the name of this discovery mechanism, in configuration and metrics.
const mechanism = "etcd"

// DefaultSDConfig holds the value of every field that a configuration leaves out.
var DefaultSDConfig = SDConfig{
	DialTimeout:     model.Duration(5 * time.Second),
	RefreshInterval: model.Duration(5 * time.Minute),
	MaxValueSize:    1 * units.MiB,
	MaxKeys:         100_000,
}

func init() {
	discovery.RegisterConfig(&SDConfig{})
}

// SDConfig is one entry of etcd_sd_configs.
type SDConfig struct {
	// Endpoints are the client addresses of the cluster's members, as host:port or as
	// http:// or https:// URL. Plain addresses use TLS if TLSConfig is set.
	Endpoints []string `yaml:"endpoints"`

	// Prefix selects the keys: those that begin with it, byte for byte.
	Prefix string `yaml:"prefix,omitempty"`

	// RangeStart and RangeEnd select keys in place of Prefix: those from RangeStart on
	// and before RangeEnd, in the order of their bytes.
	RangeStart string `yaml:"range_start,omitempty"`
	RangeEnd   string `yaml:"range_end,omitempty"`

	// KeyTemplate names parts of the keys, see [Template]. Optional.
	KeyTemplate string `yaml:"key_template,omitempty"`

	// Username and one of Password and PasswordFile log in to a cluster that has
	// authentication enabled. The file is read at every login.
	Username     string        `yaml:"username,omitempty"`
	Password     config.Secret `yaml:"password,omitempty"`
	PasswordFile string        `yaml:"password_file,omitempty"`

	// TLSConfig, if set (even if empty), makes the connection use TLS.
	TLSConfig *config.TLSConfig `yaml:"tls_config,omitempty"`

	// DialTimeout bounds connecting and logging in, and every request.
	DialTimeout model.Duration `yaml:"dial_timeout,omitempty"`

	// RefreshInterval is the time after which all keys are read again although the
	// watch is healthy, against whatever a watch cannot see (a restored backup, say).
	RefreshInterval model.Duration `yaml:"refresh_interval,omitempty"`

	// MaxValueSize is the size in bytes beyond which a value is refused.
	MaxValueSize units.Base2Bytes `yaml:"max_value_size,omitempty"`

	// MaxKeys is the number of keys beyond which further ones are refused.
	MaxKeys int `yaml:"max_keys,omitempty"`
}

// Name implements discovery.Config.
func (*SDConfig) Name() string { return mechanism }

// NewDiscoverer implements discovery.Config.
func (c *SDConfig) NewDiscoverer(opts discovery.DiscovererOptions) (discovery.Discoverer, error) {
	return New(c, opts)
}

// NewDiscovererMetrics implements discovery.Config.
func (*SDConfig) NewDiscovererMetrics(reg prometheus.Registerer, rmi discovery.RefreshMetricsInstantiator) discovery.DiscovererMetrics {
	return newMetrics(reg, rmi)
}

// SetDirectory implements config.DirectorySetter: relative file names are meant
// relative to dir, the folder of the configuration file.
func (c *SDConfig) SetDirectory(dir string) {
	c.PasswordFile = config.JoinDir(dir, c.PasswordFile)
	c.TLSConfig.SetDirectory(dir)
}

// UnmarshalYAML implements yaml.Unmarshaler: it fills in the defaults and validates.
func (c *SDConfig) UnmarshalYAML(unmarshal func(any) error) error {
	*c = DefaultSDConfig
	type plain SDConfig
	if err := unmarshal((*plain)(c)); err != nil {
		return err
	}
	return c.Validate()
}

// Validate returns every violation at once, each naming its field.
func (c *SDConfig) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("etcd_sd_configs: "+format, args...))
	}

	if _, err := c.endpointURLs(); err != nil {
		bad("%w", err)
	}
	switch hasRange := c.RangeStart != "" || c.RangeEnd != ""; {
	case c.Prefix == "" && !hasRange:
		bad("prefix is missing; name the keys to read, such as /services/")
	case c.Prefix != "" && hasRange:
		bad("prefix and a range are both set; keep one")
	case hasRange && c.RangeStart >= c.RangeEnd:
		bad("range_start %q is not before range_end %q, so that there are no keys between", c.RangeStart, c.RangeEnd)
	}
	if t, err := ParseTemplate(c.KeyTemplate); err != nil {
		bad("key_template: %w", err)
	} else if c.KeyTemplate != "" && c.Prefix != "" && !t.CompatibleWith(c.Prefix) {
		bad("key_template %q matches no key under the prefix %q; a template describes the whole key", c.KeyTemplate, c.Prefix)
	}
	switch hasPassword := c.Password != "" || c.PasswordFile != ""; {
	case c.Password != "" && c.PasswordFile != "":
		bad("password and password_file are both set; keep one")
	case c.Username == "" && hasPassword:
		bad("username is missing, but a password is set")
	case c.Username != "" && !hasPassword:
		bad("username is set, but neither password nor password_file")
	}
	if err := c.validateTLS(); err != nil {
		bad("tls_config: %w", err)
	}
	if c.DialTimeout <= 0 {
		bad("dial_timeout must be greater than 0")
	}
	if time.Duration(c.RefreshInterval) < time.Second {
		bad("refresh_interval is %s; the least is 1s", c.RefreshInterval)
	}
	if c.MaxValueSize <= 0 {
		bad("max_value_size must be greater than 0")
	}
	if c.MaxKeys <= 0 {
		bad("max_keys must be greater than 0")
	}
	return errors.Join(errs...)
}

// keyRange returns the first key to read and the one that is no longer read.
func (c *SDConfig) keyRange() (start, end string) {
	if c.Prefix != "" {
		return c.Prefix, clientv3.GetPrefixRangeEnd(c.Prefix)
	}
	// An empty key means something else to etcd; no key is before this one.
	return max(c.RangeStart, "\x00"), c.RangeEnd
}

// selection describes the keys in metrics and logs.
func (c *SDConfig) selection() string {
	if c.Prefix != "" {
		return c.Prefix
	}
	return "[" + c.RangeStart + ", " + c.RangeEnd + ")"
}

// validateTLS checks what can be known without opening files: they may appear, or be
// rotated, while the server runs.
func (c *SDConfig) validateTLS() error {
	t := c.TLSConfig
	if t == nil {
		return nil
	}
	if t.CARef != "" || t.CertRef != "" || t.KeyRef != "" {
		return errors.New("ca_ref, cert_ref and key_ref need a secret manager, which there is none of; use the _file fields")
	}
	if t.MinVersion != 0 && t.MaxVersion != 0 && t.MaxVersion < t.MinVersion {
		return errors.New("max_version is lower than min_version")
	}
	return t.Validate()
}

// endpointURLs returns the endpoints as URLs of one scheme. The etcd client decides on
// TLS by its first endpoint only, so that mixing them would silently not do what it says.
func (c *SDConfig) endpointURLs() ([]string, error) {
	if len(c.Endpoints) == 0 {
		return nil, errors.New("endpoints is empty; name at least one member, such as 127.0.0.1:2379")
	}
	defaultScheme := "http"
	if c.TLSConfig != nil {
		defaultScheme = "https"
	}
	urls := make([]string, 0, len(c.Endpoints))
	first := ""
	for i, e := range c.Endpoints {
		u, err := parseEndpoint(e, defaultScheme)
		if err != nil {
			return nil, fmt.Errorf("endpoints[%d]: %w", i, err)
		}
		switch {
		case u.Scheme == "http" && c.TLSConfig != nil:
			return nil, fmt.Errorf("endpoints[%d]: %q is not encrypted, but tls_config is set", i, e)
		case first == "":
			first = u.Scheme
		case u.Scheme != first:
			return nil, fmt.Errorf("endpoints[%d]: %q mixes http and https; use one for all endpoints", i, e)
		}
		urls = append(urls, u.String())
	}
	return urls, nil
}

// parseEndpoint reads host:port or an http or https URL of nothing but host and port.
func parseEndpoint(s, defaultScheme string) (*url.URL, error) {
	if strings.Contains(s, "@") {
		// The text is not repeated: it may hold a password.
		return nil, errors.New("holds an @; credentials go into username and password")
	}
	u := &url.URL{Scheme: defaultScheme, Host: s}
	if strings.Contains(s, "://") {
		parsed, err := url.Parse(s)
		if err != nil {
			return nil, err
		}
		if parsed.Scheme != "http" && parsed.Scheme != "https" {
			return nil, fmt.Errorf("%q: the scheme must be http or https", s)
		}
		if (parsed.Path != "" && parsed.Path != "/") || parsed.RawQuery != "" || parsed.Fragment != "" {
			return nil, fmt.Errorf("%q: only host and port may follow the scheme", s)
		}
		u = &url.URL{Scheme: parsed.Scheme, Host: parsed.Host}
	}
	if err := checkAddress(u.Host); err != nil {
		return nil, fmt.Errorf("%q: %w", s, err)
	}
	return u, nil
}

// checkAddress reports why s is not host:port with a numeric port.
func checkAddress(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		// Only the reason: the caller names the address.
		if e, ok := errors.AsType[*net.AddrError](err); ok {
			return fmt.Errorf("%s, want host:port", e.Err)
		}
		return err
	}
	if host == "" {
		return errors.New("the host is missing, want host:port")
	}
	for _, r := range host {
		if r <= ' ' || r == '/' || r == 0x7f {
			return fmt.Errorf("the host holds %q, want host:port", r)
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("the port is %q, want a number from 1 to 65535", port)
	}
	return nil
}
