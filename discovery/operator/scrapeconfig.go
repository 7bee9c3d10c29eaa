package operator

import (
	"fmt"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
)

// ScrapeConfig makes the job of a ScrapeConfig. Whether it is selected is not looked at.
func (g *Generator) ScrapeConfig(m *monitoringv1alpha1.ScrapeConfig, lookup Lookup) Result {
	o := g.begin(KindScrapeConfig, &m.ObjectMeta, lookup)
	spec := &m.Spec
	class := o.class("spec.scrapeClass", spec.ScrapeClassName)

	s := section{{Key: "job_name", Value: fmt.Sprintf("scrapeConfig/%s/%s", m.Namespace, m.Name)}}
	o.honor(&s, value(spec.HonorLabels), spec.HonorTimestamps, spec.TrackTimestampsStaleness)
	o.schedule(&s, "spec", value(spec.ScrapeInterval), value(spec.ScrapeTimeout))
	o.request(&s, "spec", value(spec.MetricsPath), spec.Scheme, spec.Params)
	some(&s, "enable_compression", spec.EnableCompression)
	o.client(&s, "spec", httpClient(spec.BasicAuth, spec.Authorization, spec.OAuth2, spec.TLSConfig, spec.ProxyConfig, nil, spec.EnableHTTP2), class)
	o.mechanisms(&s, spec)

	nameSchemes(&s, spec.NameValidationScheme, spec.NameEscapingScheme)
	switch value(spec.NameValidationScheme) {
	case monitoringv1.LegacyNameValidationScheme:
		o.names = model.LegacyValidation
	case monitoringv1.UTF8NameValidationScheme:
		o.names = model.UTF8Validation
	}
	s.set("relabel_configs", o.scrapeConfigRelabelings(spec, class).section())
	o.metricRelabelings(&s, "spec.metricRelabelings", class, spec.MetricRelabelConfigs)

	o.limits(&s, "spec", limits{
		samples: spec.SampleLimit, targets: spec.TargetLimit, labels: spec.LabelLimit,
		labelName: spec.LabelNameLengthLimit, labelValue: spec.LabelValueLengthLimit,
		keepDropped: spec.KeepDroppedTargets, body: spec.BodySizeLimit,
	})
	o.histograms(&s, "spec", spec.NativeHistogramConfig)
	protocols(&s, spec.ScrapeProtocols, spec.FallbackScrapeProtocol, class)
	some(&s, "extra_scrape_metrics", spec.ExtraScrapeMetrics)
	return o.withJobs([]*config.ScrapeConfig{o.job("spec", s)})
}

// scrapeConfigRelabelings are little more than those of the object, whose targets are
// not of Kubernetes in general.
func (o *object) scrapeConfigRelabelings(spec *monitoringv1alpha1.ScrapeConfigSpec, class *monitoringv1.ScrapeClass) relabelings {
	r := newRelabelings()
	r.add(class.Relabelings...)
	if spec.JobName != nil {
		r.set("job", *spec.JobName)
	}
	o.relabeled(&r, "spec.relabelings", spec.RelabelConfigs)
	if shardsOf(o.spec) > 1 && !r.sharded() {
		o.shard(&r, "__address__")
	}
	return r
}

// sharded reports whether the steps divide the targets themselves.
func (r relabelings) sharded() bool {
	return slices.ContainsFunc(r, func(c monitoringv1.RelabelConfig) bool { return strings.EqualFold(c.Action, "hashmod") })
}
