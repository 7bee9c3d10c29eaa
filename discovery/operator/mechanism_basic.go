package operator

import (
	"errors"
	"strings"

	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
)

func (o *object) static(s *section, _ string, c *monitoringv1alpha1.StaticConfig) {
	s.set("targets", c.Targets)
	s.set("labels", sorted(c.Labels))
}

func (o *object) file(s *section, _ string, c *monitoringv1alpha1.FileSDConfig) {
	s.set("files", c.Files)
	some(s, "refresh_interval", c.RefreshInterval)
}

func (o *object) http(s *section, path string, c *monitoringv1alpha1.HTTPSDConfig) {
	s.set("url", c.URL)
	some(s, "refresh_interval", c.RefreshInterval)
	o.sdClient(s, path, httpClient(c.BasicAuth, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}

func (o *object) dns(s *section, path string, c *monitoringv1alpha1.DNSSDConfig) {
	if c.Type != nil && *c.Type != "SRV" && c.Port == nil {
		o.fault(path+".port", errors.New("must be set for records of type "+string(*c.Type)))
	}
	s.set("names", c.Names)
	some(s, "refresh_interval", c.RefreshInterval)
	some(s, "type", c.Type)
	some(s, "port", c.Port)
}

func (o *object) kubernetesSD(s *section, path string, c *monitoringv1alpha1.KubernetesSDConfig) {
	some(s, "api_server", c.APIServer)
	role := strings.ToLower(string(c.Role))
	s.set("role", role)
	o.sdClient(s, path, httpClient(c.BasicAuth, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
	if c.Namespaces != nil {
		namespaces := section{{Key: "names", Value: c.Namespaces.Names}}
		some(&namespaces, "own_namespace", c.Namespaces.IncludeOwnNamespace)
		s.set("namespaces", namespaces)
	}
	var selectors []section
	for _, by := range c.Selectors {
		var selector section
		lowered(&selector, "role", by.Role)
		some(&selector, "label", by.Label)
		some(&selector, "field", by.Field)
		selectors = append(selectors, selector)
	}
	list(s, "selectors", selectors)
	// The schema takes it for all roles, and Prometheus for these.
	if c.AttachMetadata != nil && (role == rolePod || role == roleEndpoints || role == roleEndpointSlice) {
		s.set("attach_metadata", section{{Key: "node", Value: value(c.AttachMetadata.Node)}})
	}
}
