package operator

import (
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/prometheus/config"
)

// PodMonitor makes the jobs of a PodMonitor, one for each endpoint. Whether it is
// selected is not looked at.
func (g *Generator) PodMonitor(m *monitoringv1.PodMonitor, lookup Lookup) Result {
	o := g.begin(KindPodMonitor, &m.ObjectMeta, lookup)
	class := o.class("spec.scrapeClass", m.Spec.ScrapeClassName)
	o.checkSelector("spec.selector", &m.Spec.Selector)
	var jobs []*config.ScrapeConfig
	if o.checkJobs("spec.podMetricsEndpoints", len(m.Spec.PodMetricsEndpoints)) {
		for i := range m.Spec.PodMetricsEndpoints {
			jobs = append(jobs, o.podEndpoint(m, i, class))
		}
	}
	return o.withJobs(jobs)
}

// podEndpoint makes the job of one endpoint of a PodMonitor.
func (o *object) podEndpoint(m *monitoringv1.PodMonitor, i int, class *monitoringv1.ScrapeClass) *config.ScrapeConfig {
	e := &m.Spec.PodMetricsEndpoints[i]
	path := fmt.Sprintf("spec.podMetricsEndpoints[%d]", i)
	o.checkAccount(path, e.HTTPConfigWithoutTLS)

	s := section{{Key: "job_name", Value: fmt.Sprintf("podMonitor/%s/%s/%d", m.Namespace, m.Name, i)}}
	o.honor(&s, e.HonorLabels, e.HonorTimestamps, e.TrackTimestampsStaleness)
	d := discovery{role: rolePod, namespaces: m.Spec.NamespaceSelector, attach: m.Spec.AttachMetadata, roles: []string{rolePod}}
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
		HTTPConfigWithoutTLS: e.HTTPConfigWithoutTLS, ProxyConfig: e.ProxyConfig, tls: withSecrets(e.TLSConfig),
	}, class)

	r := o.podRelabelings(m, e)
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

// podRelabelings select the endpoint's targets and give them the labels that they have
// from the Operator.
func (o *object) podRelabelings(m *monitoringv1.PodMonitor, e *monitoringv1.PodMetricsEndpoint) relabelings {
	targetPort := podTargetPort(e)
	name, number := value(e.Port), value(e.PortNumber)
	r := newRelabelings()
	r.running(e.FilterRunning)
	if !byRole(m.Spec.SelectorMechanism) {
		r.selected("pod", m.Spec.Selector)
	}
	switch {
	case name != "":
		r.keep(name, "__meta_kubernetes_pod_container_port_name")
	case number != 0:
		r.keep(fmt.Sprint(number), "__meta_kubernetes_pod_container_port_number")
	default:
		r.port(targetPort)
	}
	r.replace("namespace", "__meta_kubernetes_namespace")
	r.replace("container", "__meta_kubernetes_pod_container_name")
	r.replace("pod", "__meta_kubernetes_pod_name")
	r.copied("pod", m.Spec.PodTargetLabels...)
	r.copied("pod", o.spec.PodTargetLabels...)
	r.set("job", m.Namespace+"/"+m.Name)
	if m.Spec.JobLabel != "" {
		r.present("job", meta("pod_label", m.Spec.JobLabel))
	}
	switch {
	case name != "":
		r.set("endpoint", name)
	case targetPort != nil && targetPort.String() != "":
		r.set("endpoint", targetPort.String())
	}
	return r
}
