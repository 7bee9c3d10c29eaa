package operator

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"strconv"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/prometheus/config"
)

// Probe makes the job of a Probe, whose targets are asked for by way of a prober.
// Whether it is selected is not looked at.
func (g *Generator) Probe(m *monitoringv1.Probe, lookup Lookup) Result {
	o := g.begin(KindProbe, &m.ObjectMeta, lookup)
	class := o.class("spec.scrapeClass", m.Spec.ScrapeClassName)
	if err := checkHost(m.Spec.ProberSpec.URL); err != nil {
		o.fault("spec.prober.url", err)
	}

	s := section{{Key: "job_name", Value: fmt.Sprintf("probe/%s/%s", m.Namespace, m.Name)}}
	honor := true
	o.honor(&s, false, &honor, nil)
	o.schedule(&s, "spec", m.Spec.Interval, m.Spec.ScrapeTimeout)
	path := m.Spec.ProberSpec.Path
	if path == "" {
		path = "/probe" // The default of the schema.
	}
	o.request(&s, "spec.prober", path, m.Spec.ProberSpec.Scheme, probeParams(m))
	c := client{HTTPConfigWithoutTLS: m.Spec.HTTPConfig.HTTPConfigWithoutTLS, tls: withSecrets(m.Spec.TLSConfig)}
	c.Authorization = m.Spec.Authorization
	o.client(&s, "spec", c, class)
	o.proxy(&s, "spec.prober", m.Namespace, m.Spec.ProberSpec.ProxyConfig)

	r := newRelabelings()
	if m.Spec.JobName != "" {
		r.set("job", m.Spec.JobName)
	}
	switch targets := m.Spec.Targets; {
	case targets.StaticConfig != nil:
		o.staticTargets(&s, &r, m, class)
	case targets.Ingress != nil:
		o.ingressTargets(&s, &r, m, class)
	default:
		o.fault("spec.targets", errors.New("one of staticConfig and ingress must be set"))
	}
	o.shard(&r, "__param_target")
	s.set("relabel_configs", r.section())
	o.metricRelabelings(&s, "spec.metricRelabelings", class, m.Spec.MetricRelabelConfigs)

	o.limits(&s, "spec", limits{
		samples: m.Spec.SampleLimit, targets: m.Spec.TargetLimit, labels: m.Spec.LabelLimit,
		labelName: m.Spec.LabelNameLengthLimit, labelValue: m.Spec.LabelValueLengthLimit,
		keepDropped: m.Spec.KeepDroppedTargets,
	})
	o.histograms(&s, "spec", m.Spec.NativeHistogramConfig)
	protocols(&s, m.Spec.ScrapeProtocols, m.Spec.FallbackScrapeProtocol, class)
	some(&s, "extra_scrape_metrics", m.Spec.ExtraScrapeMetrics)
	return o.withJobs([]*config.ScrapeConfig{o.job("spec", s)})
}

// probeParams are the parameters of the request to the prober. The module of the Probe
// goes before a parameter of that name.
func probeParams(m *monitoringv1.Probe) map[string][]string {
	params := map[string][]string{}
	for _, p := range m.Spec.Params {
		params[p.Name] = p.Values
	}
	if m.Spec.Module != "" {
		params["module"] = []string{m.Spec.Module}
	}
	return params
}

// staticTargets adds the targets that the Probe lists.
func (o *object) staticTargets(s *section, r *relabelings, m *monitoringv1.Probe, class *monitoringv1.ScrapeClass) {
	static := m.Spec.Targets.StaticConfig
	labels := map[string]string{"namespace": m.Namespace}
	maps.Copy(labels, static.Labels)
	config := section{{Key: "targets", Value: static.Targets}, {Key: "labels", Value: sorted(labels)}}
	o.checkMechanism("spec.targets.staticConfig", "static_configs", config)
	s.set("static_configs", []section{config})
	r.replace("__param_target", "__address__")
	r.prober(m)
	r.add(class.Relabelings...)
	o.relabeled(r, "spec.targets.staticConfig.relabelingConfigs", static.RelabelConfigs)
}

// ingressTargets adds the paths of the ingresses that the Probe selects.
func (o *object) ingressTargets(s *section, r *relabelings, m *monitoringv1.Probe, class *monitoringv1.ScrapeClass) {
	ingress := m.Spec.Targets.Ingress
	o.checkSelector("spec.targets.ingress.selector", &ingress.Selector)
	o.kubernetes(s, discovery{role: roleIngress, namespaces: ingress.NamespaceSelector})
	r.selected("ingress", ingress.Selector)
	r.match("__param_target", "(.+);(.+);(.+)", "${1}://${2}${3}",
		"__meta_kubernetes_ingress_scheme", "__address__", "__meta_kubernetes_ingress_path")
	r.replace("namespace", "__meta_kubernetes_namespace")
	r.replace("ingress", "__meta_kubernetes_ingress_name")
	r.match("__tmp_ingress_address", "(.*)", "$1", "__address__")
	r.prober(m)
	r.add(class.Relabelings...)
	o.relabeled(r, "spec.targets.ingress.relabelingConfigs", ingress.RelabelConfigs)
}

// prober makes the target a parameter of a request to the prober.
func (r *relabelings) prober(m *monitoringv1.Probe) {
	r.replace("instance", "__param_target")
	r.set("__address__", m.Spec.ProberSpec.URL)
}

// hostName is what may stand for a host besides an address.
var hostName = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_-]{0,62}(\.[a-zA-Z0-9_][a-zA-Z0-9_-]{0,62})*\.?$`)

// checkHost checks that the text is a host, with or without a port.
func checkHost(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = text, "1" // The error says at most that there is no port.
	}
	_, address := netip.ParseAddr(host)
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 || address != nil && (len(host) > 255 || !hostName.MatchString(host)) {
		return fmt.Errorf("%q is neither a host nor host:port", text)
	}
	return nil
}
