package web

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
)

// defaultExternalURL is the URL of the server as this machine would name it.
func defaultExternalURL(listenAddress string) (*url.URL, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(listenAddress)
	if err != nil {
		return nil, err
	}
	return &url.URL{Scheme: "http", Host: net.JoinHostPort(hostname, port)}, nil
}

// checkPrefix refuses a prefix that the router would take for a pattern.
func checkPrefix(prefix string) error {
	if i := strings.IndexAny(prefix, "{} \t"); i >= 0 {
		return fmt.Errorf("route prefix %q: %q is not allowed in it", prefix, prefix[i])
	}
	return nil
}

// routePrefix returns the prefix of all paths, with a leading slash and without
// a trailing one: "" if there is none.
func routePrefix(prefix string, external *url.URL) string {
	if prefix == "" {
		prefix = external.Path
	}
	prefix = strings.Trim(prefix, "/")
	if prefix == "" {
		return ""
	}
	return "/" + prefix
}
