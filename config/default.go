package config

import (
	"fmt"
	"net"
	"strings"
)

// DefaultOptions say what the built-in configuration watches.
type DefaultOptions struct {
	// Address is where the server listens, host:port. A host that stands for
	// all interfaces becomes the loopback address.
	Address string
	// Scheme is http or https. "" means http.
	Scheme string
	// MetricsPath is where the server serves its own metrics, a prefix
	// included. "" means /metrics.
	MetricsPath string
	// MachinePath is where the server serves the metrics of the machine it
	// runs on; "" leaves that job out.
	MachinePath string
	// MachineName becomes the instance label of the machine's metrics. ""
	// leaves it at the address.
	MachineName string
}

// Default returns the text of the configuration that serves while there is no
// file: the server itself as job gnomon, and the machine it runs on as job
// node, the name that dashboards for the node exporter expect.
//
// It scrapes every 5 seconds. A first run then shows a rate after 10 seconds
// and not after 30, and the whole load is two small targets.
func Default(opts DefaultOptions) ([]byte, error) {
	host, port, err := net.SplitHostPort(opts.Address)
	if err != nil {
		return nil, fmt.Errorf("address of the built-in configuration: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	address := net.JoinHostPort(host, port)
	var b strings.Builder
	b.WriteString("global:\n  scrape_interval: 5s\n\nscrape_configs:\n")
	job := func(name, path, instance string) {
		fmt.Fprintf(&b, "  - job_name: %s\n", name)
		if opts.Scheme != "" && opts.Scheme != "http" {
			fmt.Fprintf(&b, "    scheme: %q\n", opts.Scheme)
		}
		if path != "" && path != "/metrics" {
			fmt.Fprintf(&b, "    metrics_path: %q\n", path)
		}
		fmt.Fprintf(&b, "    static_configs:\n      - targets: [%q]\n", address)
		if instance != "" {
			fmt.Fprintf(&b, "        labels:\n          instance: %q\n", instance)
		}
	}
	job("gnomon", opts.MetricsPath, "")
	if opts.MachinePath != "" {
		job("node", opts.MachinePath, opts.MachineName)
	}
	return []byte(b.String()), nil
}
