package operator

import (
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// checkAPIServer checks what is said about the API server that discovery asks.
func checkAPIServer(c *monitoringv1.APIServerConfig) error {
	if c == nil {
		return nil
	}
	var faults []error
	fault := func(field string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("spec.apiserverConfig%s: %w", field, err))
		}
	}
	if c.Host == "" {
		fault(".host", errors.New("must be set"))
	}
	fault(".tlsConfig", c.TLSConfig.Validate())
	fault(".authorization", c.Authorization.Validate())
	fault("", c.ProxyConfig.Validate())
	return errors.Join(faults...)
}

// discovery is what a monitor asks of Kubernetes.
type discovery struct {
	role       string
	namespaces monitoringv1.NamespaceSelector
	attach     *monitoringv1.AttachMetadata
	// selector restricts what the API server sends of each of the roles; nil leaves
	// that to relabelling.
	selector *metav1.LabelSelector
	roles    []string
}

// kubernetes adds the discovery of a monitor.
func (o *object) kubernetes(s *section, d discovery) {
	sd := section{{Key: "role", Value: d.role}}
	if names := o.namespaces(d.namespaces); len(names) > 0 {
		sd.set("namespaces", section{{Key: "names", Value: names}})
	}
	o.apiServer(&sd)
	if d.attach != nil {
		sd.set("attach_metadata", section{{Key: "node", Value: value(d.attach.Node)}})
	}
	if compiled, err := metav1.LabelSelectorAsSelector(d.selector); err == nil && d.selector != nil {
		var selectors []section
		for _, role := range d.roles {
			selectors = append(selectors, section{{Key: "role", Value: role}, {Key: "label", Value: compiled.String()}})
		}
		sd.set("selectors", selectors)
	}
	s.set("kubernetes_sd_configs", []section{sd})
}

// namespaces returns the namespaces that a monitor looks into, none for all.
func (o *object) namespaces(s monitoringv1.NamespaceSelector) []string {
	switch {
	case o.spec.IgnoreNamespaceSelectors:
	case s.Any:
		return nil
	case len(s.MatchNames) > 0:
		return s.MatchNames
	}
	return []string{o.meta.Namespace}
}

// apiServer adds how the API server is talked to, as the settings have it. Their Secrets
// are where the Prometheus object is.
func (o *object) apiServer(s *section) {
	c := o.spec.APIServerConfig
	if c == nil {
		return
	}
	const path = "settings.apiserverConfig"
	s.set("api_server", c.Host)
	o.basicAuth(s, path, o.options.Namespace, c.BasicAuth)
	apiServerToken(s, c)
	if c.Authorization != nil {
		o.classAuthorization(s, path+".authorization", c.Authorization)
	}
	o.tls(s, path+".tlsConfig", o.options.Namespace, c.TLSConfig)
	o.proxy(s, path, o.options.Namespace, c.ProxyConfig)
}

// checkSelector checks a label selector of an object.
func (o *object) checkSelector(path string, s *metav1.LabelSelector) {
	if _, err := metav1.LabelSelectorAsSelector(s); err != nil {
		o.fault(path, err)
	}
}
