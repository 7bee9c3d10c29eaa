package operator

import (
	"fmt"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/util/strutil"
	"go.yaml.in/yaml/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// relabelings are the steps of one job, those of the object and those that give its
// targets the labels that dashboards know.
type relabelings []monitoringv1.RelabelConfig

// newRelabelings begins with the step that keeps the job's name, since the label job is
// going to name the service.
func newRelabelings() relabelings {
	var r relabelings
	r.replace("__tmp_prometheus_job_name", "job")
	return r
}

func (r *relabelings) add(steps ...monitoringv1.RelabelConfig) { *r = append(*r, steps...) }

// replace sets target to what the sources have.
func (r *relabelings) replace(target string, sources ...monitoringv1.LabelName) {
	r.add(monitoringv1.RelabelConfig{SourceLabels: sources, TargetLabel: target})
}

// set sets target to a value. As in every replacement, $1 in it is that of the regular
// expression, which matches anything.
func (r *relabelings) set(target, value string) {
	r.add(monitoringv1.RelabelConfig{TargetLabel: target, Replacement: &value})
}

// match sets target to replacement if the sources match.
func (r *relabelings) match(target, regex, replacement string, sources ...monitoringv1.LabelName) {
	r.add(monitoringv1.RelabelConfig{SourceLabels: sources, Regex: regex, TargetLabel: target, Replacement: &replacement})
}

// present sets target to what source has, if that is anything.
func (r *relabelings) present(target string, source monitoringv1.LabelName) {
	r.match(target, "(.+)", "${1}", source)
}

func (r *relabelings) keep(regex string, sources ...monitoringv1.LabelName) {
	r.add(monitoringv1.RelabelConfig{Action: "keep", SourceLabels: sources, Regex: regex})
}

func (r *relabelings) drop(regex string, sources ...monitoringv1.LabelName) {
	r.add(monitoringv1.RelabelConfig{Action: "drop", SourceLabels: sources, Regex: regex})
}

// meta returns the label that discovery gives a label of a Kubernetes object, such as
// pod_label or service_label.
func meta(kind, name string) monitoringv1.LabelName {
	return monitoringv1.LabelName("__meta_kubernetes_" + kind + "_" + strutil.SanitizeLabelName(name))
}

// selected keeps the targets whose Kubernetes object (pod, service or ingress) a
// selector selects.
func (r *relabelings) selected(kind string, s metav1.LabelSelector) {
	value := func(key string) monitoringv1.LabelName { return meta(kind+"_label", key) }
	present := func(key string) monitoringv1.LabelName { return meta(kind+"_labelpresent", key) }
	for _, m := range sorted(s.MatchLabels) {
		key := m.Key.(string)
		r.keep(fmt.Sprintf("(%s);true", m.Value), value(key), present(key))
	}
	for _, e := range s.MatchExpressions {
		switch e.Operator {
		case metav1.LabelSelectorOpIn:
			r.keep(fmt.Sprintf("(%s);true", strings.Join(e.Values, "|")), value(e.Key), present(e.Key))
		case metav1.LabelSelectorOpNotIn:
			r.drop(fmt.Sprintf("(%s);true", strings.Join(e.Values, "|")), value(e.Key), present(e.Key))
		case metav1.LabelSelectorOpExists:
			r.keep("true", present(e.Key))
		case metav1.LabelSelectorOpDoesNotExist:
			r.drop("true", present(e.Key))
		}
	}
}

// port keeps the targets of a port of a container, which has a name or a number.
func (r *relabelings) port(port *intstr.IntOrString) {
	switch {
	case port == nil:
	case port.StrVal != "":
		r.keep(port.StrVal, "__meta_kubernetes_pod_container_port_name")
	case port.IntVal != 0:
		r.keep(port.String(), "__meta_kubernetes_pod_container_port_number")
	}
}

// running drops the targets of pods that have ended.
func (r *relabelings) running(filter *bool) {
	if filter == nil || *filter {
		r.drop("(Failed|Succeeded)", "__meta_kubernetes_pod_phase")
	}
}

// copied gives targets the labels of their pod or service.
func (r *relabelings) copied(kind string, names ...string) {
	for _, name := range names {
		r.present(strutil.SanitizeLabelName(name), meta(kind+"_label", name))
	}
}

// section returns the steps in the form of a configuration file.
func (r relabelings) section() []section {
	steps := make([]section, len(r))
	for i := range r {
		steps[i] = relabelSection(&r[i])
	}
	return steps
}

func relabelSection(c *monitoringv1.RelabelConfig) section {
	var s section
	list(&s, "source_labels", c.SourceLabels)
	some(&s, "separator", c.Separator)
	s.text("target_label", c.TargetLabel)
	s.text("regex", c.Regex)
	if c.Modulus != 0 {
		s.set("modulus", c.Modulus)
	}
	some(&s, "replacement", c.Replacement)
	s.text("action", strings.ToLower(c.Action))
	return s
}

// checkRelabelings checks steps that people wrote one by one, so that the message names
// the bad one.
func checkRelabelings(steps []monitoringv1.RelabelConfig, scheme model.ValidationScheme, fault func(i int, err error)) {
	for i := range steps {
		content, err := yaml.Marshal(relabelSection(&steps[i]))
		if err == nil {
			var c relabel.Config
			if err = yaml.UnmarshalStrict(content, &c); err == nil {
				err = c.Validate(scheme)
			}
		}
		if err != nil {
			fault(i, withoutLines(err))
		}
	}
}

// relabeled adds the object's relabelling, which comes after that of its scrape class,
// and the enforced namespace label after it, which no step of theirs can take away.
func (o *object) relabeled(r *relabelings, path string, steps []monitoringv1.RelabelConfig) {
	checkRelabelings(steps, o.names, func(i int, err error) {
		o.fault(fmt.Sprintf("%s[%d]", path, i), err)
	})
	r.add(steps...)
	if o.enforced() {
		r.set(o.spec.EnforcedNamespaceLabel, o.meta.Namespace)
	}
}

// metricRelabelings adds the relabelling of samples.
func (o *object) metricRelabelings(s *section, path string, class *monitoringv1.ScrapeClass, steps []monitoringv1.RelabelConfig) {
	var r relabelings
	r.add(class.MetricRelabelings...)
	o.relabeled(&r, path, steps)
	list(s, "metric_relabel_configs", r.section())
}
