package scrape

import (
	"context"
	"fmt"
	"net"
	"net/http"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/config"
)

// clients are the HTTP clients of a job. They are immutable but for the cache of
// those for unix sockets, which belongs to the pool's lock.
type clients struct {
	job     *config.ScrapeConfig
	options []config_util.HTTPClientOption
	network *http.Client
	// sockets has a client per path: a transport pools connections by host and
	// port, so it would take a connection to one socket for another.
	sockets map[string]*http.Client
}

func newClients(job *config.ScrapeConfig, opts *Options) (*clients, error) {
	network, err := config_util.NewClientFromConfig(job.HTTPClientConfig, job.JobName, opts.HTTPClientOptions...)
	if err != nil {
		return nil, fmt.Errorf("HTTP client of job %q: %w", job.JobName, err)
	}
	if opts.transport != nil {
		network.Transport = opts.transport
	}
	return &clients{job: job, options: opts.HTTPClientOptions, network: network, sockets: map[string]*http.Client{}}, nil
}

// of returns the client for a target.
func (c *clients) of(t *Target) (*http.Client, error) {
	path := t.labels.Get(unixSocketLabel)
	if path == "" {
		return c.network, nil
	}
	if client, ok := c.sockets[path]; ok {
		return client, nil
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	options := append([]config_util.HTTPClientOption{config_util.WithDialContextFunc(dial)}, c.options...)
	client, err := config_util.NewClientFromConfig(c.job.HTTPClientConfig, c.job.JobName, options...)
	if err != nil {
		return nil, fmt.Errorf("HTTP client for socket %q: %w", path, err)
	}
	c.sockets[path] = client
	return client, nil
}

// closeIdle closes the connections that are not in use.
func (c *clients) closeIdle() {
	c.network.CloseIdleConnections()
	for _, client := range c.sockets {
		client.CloseIdleConnections()
	}
}

func (c *clients) hasSockets() bool { return len(c.sockets) > 0 }

// keepSockets drops the clients of the sockets that are not in use.
func (c *clients) keepSockets(inUse map[string]bool) {
	for path, client := range c.sockets {
		if !inUse[path] {
			client.CloseIdleConnections()
			delete(c.sockets, path)
		}
	}
}
