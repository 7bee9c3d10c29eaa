package api

import (
	"net"
	"net/url"
	"strings"
)

// globalURL is the URL of a target as it is reachable from elsewhere. If err is
// set, url is the original.
type globalURL struct {
	url string
	err error
}

// globalURL rewrites the URL of a target on this machine: a target that is this
// very server gets the host of the external URL, another one its host name.
func (a *API) globalURL(raw string) globalURL {
	u, err := url.Parse(raw)
	if err != nil {
		return globalURL{raw, err}
	}
	host, port, err := splitHostPort(u.Host)
	if err != nil {
		return globalURL{raw, err}
	}
	switch host {
	case "127.0.0.1", "localhost", "::1":
	default:
		return globalURL{u.String(), nil}
	}
	_, ownPort, err := net.SplitHostPort(a.opts.ListenAddress)
	if err != nil {
		return globalURL{raw, err}
	}
	external := a.opts.ExternalURL
	if port == ownPort {
		u.Scheme, u.Host = external.Scheme, external.Host
		return globalURL{u.String(), nil}
	}
	// The port is that of another server, which the external URL knows nothing
	// of. That it is reachable under the same name is the best guess.
	externalHost, _, err := splitHostPort(external.Host)
	if err != nil {
		return globalURL{raw, err}
	}
	u.Host = externalHost
	if port != "" {
		u.Host = net.JoinHostPort(u.Host, port)
	}
	return globalURL{u.String(), nil}
}

// splitHostPort is net.SplitHostPort, but the port may be missing. The brackets
// around an IPv6 address are always cut off.
func splitHostPort(hostport string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(hostport)
	if err != nil && strings.HasSuffix(err.Error(), "missing port in address") {
		if h, _, err := net.SplitHostPort(hostport + ":80"); err == nil {
			return h, "", nil
		}
	}
	return host, port, err
}
