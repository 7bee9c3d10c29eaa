package operator

import (
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/prometheus/config"
)

const (
	roleEndpoints     = "endpoints"
	roleEndpointSlice = "endpointslice"
	rolePod           = "pod"
	roleService       = "service"
	roleIngress       = "ingress"
)

// ServiceMonitor makes the jobs of a ServiceMonitor, one for each endpoint. Whether it
// is selected is not looked at.
func (g *Generator) ServiceMonitor(m *monitoringv1.ServiceMonitor, lookup Lookup) Result {
	o := g.begin(KindServiceMonitor, &m.ObjectMeta, lookup)
	class := o.class("spec.scrapeClass", m.Spec.ScrapeClassName)
	o.checkSelector("spec.selector", &m.Spec.Selector)
	var jobs []*config.ScrapeConfig
	if o.checkJobs("spec.endpoints", len(m.Spec.Endpoints)) {
		for i := range m.Spec.Endpoints {
			jobs = append(jobs, o.serviceEndpoint(m, i, class))
		}
	}
	return o.withJobs(jobs)
}

// checkJobs reports whether an object may make so many jobs.
func (o *object) checkJobs(path string, jobs int) bool {
	if jobs > o.options.MaxJobs {
		o.fault(path, fmt.Errorf("there are %d, more than %d", jobs, o.options.MaxJobs))
		return false
	}
	return true
}

// serviceEndpoint makes the job of one endpoint of a ServiceMonitor.
func (o *object) serviceEndpoint(m *monitoringv1.ServiceMonitor, i int, class *monitoringv1.ScrapeClass) *config.ScrapeConfig {
	e := &m.Spec.Endpoints[i]
	path := fmt.Sprintf("spec.endpoints[%d]", i)
	if o.spec.ArbitraryFSAccessThroughSMs.Deny {
		o.denyFiles(path, e)
	}
	o.checkAccount(path, e.HTTPConfigWithoutTLS)

	s := section{{Key: "job_name", Value: fmt.Sprintf("serviceMonitor/%s/%s/%d", m.Namespace, m.Name, i)}}
	o.honor(&s, e.HonorLabels, e.HonorTimestamps, e.TrackTimestampsStaleness)
	role := o.endpointsRole(m.Spec.ServiceDiscoveryRole)
	d := discovery{role: role, namespaces: m.Spec.NamespaceSelector, attach: m.Spec.AttachMetadata, roles: []string{role, roleService}}
	if d.attach == nil {
		d.attach = class.AttachMetadata
	}
	if byRole(m.Spec.SelectorMechanism) {
		d.selector = &m.Spec.Selector
	}
	o.kubernetes(&s, d)
	o.schedule(&s, path, e.Interval, e.ScrapeTimeout)
	o.request(&s, path, e.Path, e.Scheme, e.Params)
	o.client(&s, path, client{
		HTTPConfigWithoutTLS: e.HTTPConfigWithoutTLS, ProxyConfig: e.ProxyConfig, tls: e.TLSConfig,
		bearerTokenFile: bearerTokenFile(e),
	}, class)

	r := o.serviceRelabelings(m, e, role)
	r.add(class.Relabelings...)
	o.relabeled(&r, path+".relabelings", e.RelabelConfigs)
	o.shard(&r, "__address__")
	s.set("relabel_configs", r.section())
	o.metricRelabelings(&s, path+".metricRelabelings", class, e.MetricRelabelConfigs)

	o.limits(&s, "spec", limits{
		samples: m.Spec.SampleLimit, targets: m.Spec.TargetLimit, labels: m.Spec.LabelLimit,
		labelName: m.Spec.LabelNameLengthLimit, labelValue: m.Spec.LabelValueLengthLimit,
		keepDropped: m.Spec.KeepDroppedTargets, body: m.Spec.BodySizeLimit,
	})
	o.histograms(&s, "spec", m.Spec.NativeHistogramConfig)
	protocols(&s, m.Spec.ScrapeProtocols, m.Spec.FallbackScrapeProtocol, class)
	some(&s, "extra_scrape_metrics", m.Spec.ExtraScrapeMetrics)
	return o.job(path, s)
}

// serviceRelabelings select the endpoint's targets and give them the labels that they
// have from the Operator.
func (o *object) serviceRelabelings(m *monitoringv1.ServiceMonitor, e *monitoringv1.Endpoint, role string) relabelings {
	prefix := monitoringv1.LabelName("__meta_kubernetes_endpoint_")
	if role == roleEndpointSlice {
		prefix = "__meta_kubernetes_endpointslice_"
	}
	r := newRelabelings()
	if !byRole(m.Spec.SelectorMechanism) {
		r.selected("service", m.Spec.Selector)
	}
	if e.Port != "" {
		r.keep(e.Port, prefix+"port_name")
	} else {
		r.port(e.TargetPort)
	}
	r.match("node", "Node;(.*)", "${1}", prefix+"address_target_kind", prefix+"address_target_name")
	r.match("pod", "Pod;(.*)", "${1}", prefix+"address_target_kind", prefix+"address_target_name")
	r.replace("namespace", "__meta_kubernetes_namespace")
	r.replace("service", "__meta_kubernetes_service_name")
	r.replace("pod", "__meta_kubernetes_pod_name")
	r.replace("container", "__meta_kubernetes_pod_container_name")
	r.running(e.FilterRunning)
	r.copied("service", m.Spec.TargetLabels...)
	r.copied("pod", m.Spec.PodTargetLabels...)
	r.copied("pod", o.spec.PodTargetLabels...)
	r.match("job", "", "${1}", "__meta_kubernetes_service_name")
	if m.Spec.JobLabel != "" {
		r.present("job", meta("service_label", m.Spec.JobLabel))
	}
	switch {
	case e.Port != "":
		r.set("endpoint", e.Port)
	case e.TargetPort != nil && e.TargetPort.String() != "":
		r.set("endpoint", e.TargetPort.String())
	}
	return r
}

// denyFiles faults fields that name files of this server.
func (o *object) denyFiles(path string, e *monitoringv1.Endpoint) {
	var tls monitoringv1.TLSFilesConfig
	if e.TLSConfig != nil {
		tls = e.TLSConfig.TLSFilesConfig
	}
	for _, f := range []struct{ field, file string }{
		{"bearerTokenFile", bearerTokenFile(e)},
		{"tlsConfig.caFile", tls.CAFile},
		{"tlsConfig.certFile", tls.CertFile},
		{"tlsConfig.keyFile", tls.KeyFile},
	} {
		if f.file != "" {
			o.fault(path+"."+f.field, errors.New("the settings deny files of the server (arbitraryFSAccessThroughSMs)"))
		}
	}
}

// endpointsRole is the role of discovery that finds the targets of services.
func (o *object) endpointsRole(own *monitoringv1.ServiceDiscoveryRole) string {
	if own == nil {
		own = o.spec.ServiceDiscoveryRole
	}
	if value(own) == monitoringv1.EndpointSliceRole {
		return roleEndpointSlice
	}
	return roleEndpoints
}

// byRole reports whether the API server selects objects, and not relabelling.
func byRole(m *monitoringv1.SelectorMechanism) bool {
	return value(m) == monitoringv1.SelectorMechanismRole
}

// request adds what is asked of a target.
func (o *object) request(s *section, path, metricsPath string, scheme *monitoringv1.Scheme, params map[string][]string) {
	s.text("metrics_path", metricsPath)
	o.scheme(s, path+".scheme", scheme)
	if len(params) > 0 {
		s.set("params", sorted(params))
	}
}

// scheme adds http or https. Prometheus takes others, and then fails each time.
func (o *object) scheme(s *section, path string, scheme *monitoringv1.Scheme) {
	if scheme == nil {
		return
	}
	name := scheme.String()
	if name != "http" && name != "https" {
		o.fault(path, fmt.Errorf("%q is neither http nor https", *scheme))
	}
	s.set("scheme", name)
}

// protocols adds the formats that are asked for, and the one that is assumed.
func protocols(s *section, protocols []monitoringv1.ScrapeProtocol, fallback *monitoringv1.ScrapeProtocol, class *monitoringv1.ScrapeClass) {
	list(s, "scrape_protocols", protocols)
	if fallback == nil {
		fallback = class.FallbackScrapeProtocol
	}
	some(s, "fallback_scrape_protocol", fallback)
}
