package operator

import (
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
)

func (o *object) consul(s *section, path string, c *monitoringv1alpha1.ConsulSDConfig) {
	s.set("server", c.Server)
	some(s, "path_prefix", c.PathPrefix)
	o.keyOf(s, "token", path+".tokenRef", c.TokenRef)
	some(s, "datacenter", c.Datacenter)
	some(s, "namespace", c.Namespace)
	some(s, "partition", c.Partition)
	o.scheme(s, path+".scheme", c.Scheme)
	list(s, "services", c.Services)
	list(s, "tags", c.Tags)
	some(s, "tag_separator", c.TagSeparator)
	if len(c.NodeMeta) > 0 {
		s.set("node_meta", sorted(c.NodeMeta))
	}
	some(s, "filter", c.Filter)
	some(s, "health_filter", c.HealthFilter)
	some(s, "allow_stale", c.AllowStale)
	some(s, "refresh_interval", c.RefreshInterval)
	o.sdClient(s, path, httpClient(c.BasicAuth, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHttp2))
}

func (o *object) kuma(s *section, path string, c *monitoringv1alpha1.KumaSDConfig) {
	o.checkURL(path+".server", string(c.Server))
	s.set("server", c.Server)
	some(s, "client_id", c.ClientID)
	some(s, "refresh_interval", c.RefreshInterval)
	some(s, "fetch_timeout", c.FetchTimeout)
	o.sdClient(s, path, httpClient(c.BasicAuth, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}

func (o *object) eureka(s *section, path string, c *monitoringv1alpha1.EurekaSDConfig) {
	s.text("server", string(c.Server))
	some(s, "refresh_interval", c.RefreshInterval)
	o.sdClient(s, path, httpClient(c.BasicAuth, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}

func (o *object) nomad(s *section, path string, c *monitoringv1alpha1.NomadSDConfig) {
	o.checkURL(path+".server", string(c.Server))
	s.set("server", c.Server)
	some(s, "allow_stale", c.AllowStale)
	some(s, "namespace", c.Namespace)
	some(s, "region", c.Region)
	some(s, "tag_separator", c.TagSeparator)
	some(s, "refresh_interval", c.RefreshInterval)
	o.sdClient(s, path, httpClient(c.BasicAuth, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}

func (o *object) puppetDB(s *section, path string, c *monitoringv1alpha1.PuppetDBSDConfig) {
	o.checkURL(path+".url", string(c.URL))
	s.set("url", c.URL)
	s.set("query", c.Query)
	some(s, "include_parameters", c.IncludeParameters)
	some(s, "port", c.Port)
	some(s, "refresh_interval", c.RefreshInterval)
	o.sdClient(s, path, httpClient(c.BasicAuth, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}

func (o *object) docker(s *section, path string, c *monitoringv1alpha1.DockerSDConfig) {
	s.set("host", c.Host)
	some(s, "port", c.Port)
	some(s, "host_networking_host", c.HostNetworkingHost)
	some(s, "match_first_network", c.MatchFirstNetwork)
	filters(s, c.Filters)
	some(s, "refresh_interval", c.RefreshInterval)
	o.sdClient(s, path, httpClient(c.BasicAuth, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}

func (o *object) dockerSwarm(s *section, path string, c *monitoringv1alpha1.DockerSwarmSDConfig) {
	s.set("host", c.Host)
	lowered(s, "role", c.Role)
	some(s, "port", c.Port)
	filters(s, c.Filters)
	some(s, "refresh_interval", c.RefreshInterval)
	o.sdClient(s, path, httpClient(c.BasicAuth, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}
