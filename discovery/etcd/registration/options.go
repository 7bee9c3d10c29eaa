package registration

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Defaults and bounds of [Options].
const (
	// DefaultTTL is the time after which targets disappear when their program died.
	DefaultTTL = 15 * time.Second
	// DefaultTimeout bounds each request.
	DefaultTimeout = 5 * time.Second
	// MinTTL is the shortest lease; shorter ones would end with every election of a
	// leader.
	MinTTL = 2 * time.Second
)

// Options say what is registered and where.
type Options struct {
	// Endpoints are the client URLs or addresses of the cluster's members. Required.
	Endpoints []string
	// TLS, if set, is used for connections.
	TLS *tls.Config
	// Username and Password log in to a cluster with authentication.
	Username, Password string
	// Login, if set, takes the place of Username and Password. It is called for each
	// connection, so that credentials can be rotated.
	Login func() (username, password string, err error)

	// Key is the key to write. No other program may use it. Required.
	Key string
	// Targets are the addresses, as host:port. Required.
	Targets []string
	// Labels are added to all of the targets.
	Labels map[string]string

	// TTL is the lease's time to live, in whole seconds. Default: DefaultTTL.
	TTL time.Duration
	// Timeout bounds each request. Default: DefaultTimeout.
	Timeout time.Duration

	// Logger is told about registrations and failures. Default: discard.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Login == nil {
		username, password := o.Username, o.Password
		o.Login = func() (string, string, error) { return username, password, nil }
	}
	return o
}

// validate returns every violation at once.
func (o *Options) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(o.Endpoints) == 0 {
		bad("no endpoint is given; name at least one member of the etcd cluster, such as 127.0.0.1:2379")
	}
	if o.Key == "" {
		bad("no key is given; it names this target in etcd, such as /services/api/web-1")
	}
	if len(o.Targets) == 0 {
		bad("no target is given; name at least one address, such as 10.0.0.1:8080")
	}
	if slices.ContainsFunc(o.Targets, func(t string) bool { return strings.TrimSpace(t) == "" }) {
		bad("a target is empty")
	}
	if o.TTL < MinTTL || o.TTL%time.Second != 0 {
		bad("the time to live is %s; it has to be whole seconds, at least %s", o.TTL, MinTTL)
	}
	if o.Timeout < 0 {
		bad("the timeout is %s; it must be greater than 0", o.Timeout)
	}
	return errors.Join(errs...)
}

// value returns what is written: a target group as etcd_sd_configs reads it.
func (o *Options) value() (string, error) {
	b, err := json.Marshal(struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels,omitempty"`
	}{o.Targets, o.Labels})
	return string(b), err
}
