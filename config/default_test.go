package config

import (
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/stretchr/testify/require"
)

func TestDefault(t *testing.T) {
	text, err := Default(DefaultOptions{
		Address: "0.0.0.0:9090", Scheme: "https", MetricsPath: "/prom/metrics", MachinePath: "/prom/metrics/machine", MachineName: `my "host"`,
	})
	require.NoError(t, err)
	c := parse(t, string(text), Options{})
	require.Len(t, c.ScrapeConfigs, 2)
	self, node := c.ScrapeConfigs[0], c.ScrapeConfigs[1]
	require.Equal(t, "gnomon", self.JobName)
	require.Equal(t, "/prom/metrics", self.MetricsPath)
	require.Equal(t, "https", self.Scheme)
	require.Equal(t, "5s", self.ScrapeInterval.String())
	require.Equal(t, "node", node.JobName)
	require.Equal(t, "/prom/metrics/machine", node.MetricsPath)
	groups := node.ServiceDiscoveryConfigs[0].(discovery.StaticConfig)
	require.Equal(t, []model.LabelSet{{"__address__": "127.0.0.1:9090"}}, groups[0].Targets)
	require.Equal(t, model.LabelSet{"instance": `my "host"`}, groups[0].Labels)
}

func TestDefaultWithoutMachine(t *testing.T) {
	text, err := Default(DefaultOptions{Address: "localhost:80"})
	require.NoError(t, err)
	c := parse(t, string(text), Options{})
	require.Len(t, c.ScrapeConfigs, 1)
	require.Equal(t, "/metrics", c.ScrapeConfigs[0].MetricsPath)
	require.Equal(t, "http", c.ScrapeConfigs[0].Scheme)
	require.Empty(t, c.Gnomon)
}

func TestDefaultAddress(t *testing.T) {
	for listen, want := range map[string]string{
		":9090": "127.0.0.1:9090", "[::]:9090": "[::1]:9090", "[::1]:1": "[::1]:1", "10.0.0.1:1": "10.0.0.1:1", "host:x": "host:x",
	} {
		text, err := Default(DefaultOptions{Address: listen})
		require.NoError(t, err)
		groups := parse(t, string(text), Options{}).ScrapeConfigs[0].ServiceDiscoveryConfigs[0].(discovery.StaticConfig)
		require.Equal(t, model.LabelValue(want), groups[0].Targets[0]["__address__"], listen)
	}
	_, err := Default(DefaultOptions{Address: "9090"})
	require.Error(t, err)
}
