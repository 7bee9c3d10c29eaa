package operator

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/stretchr/testify/require"
)

// newerThanRecordings are fields that the Operator of the recordings does not know.
// TestExtraScrapeMetrics is about the only one.
var newerThanRecordings = []string{"ExtraScrapeMetrics"}

// TestCorpusHasAllFields holds the comparison with the Operator to all fields of all
// kinds, and notices those that its newer versions add.
func TestCorpusHasAllFields(t *testing.T) {
	set := map[string]bool{}
	for _, name := range corpusCases(t) {
		c := readCorpus(t, name)
		for i := range c.objects.ServiceMonitors {
			markFields(set, reflect.ValueOf(c.objects.ServiceMonitors[i].Spec))
		}
		for i := range c.objects.PodMonitors {
			markFields(set, reflect.ValueOf(c.objects.PodMonitors[i].Spec))
		}
		for i := range c.objects.Probes {
			markFields(set, reflect.ValueOf(c.objects.Probes[i].Spec))
		}
		for i := range c.objects.ScrapeConfigs {
			markFields(set, reflect.ValueOf(c.objects.ScrapeConfigs[i].Spec))
		}
		for i := range c.objects.PrometheusRules {
			markFields(set, reflect.ValueOf(c.objects.PrometheusRules[i].Spec))
		}
		markFields(set, reflect.ValueOf(c.options.Spec))
	}
	var missing []string
	for _, kind := range []any{
		monitoringv1.ServiceMonitorSpec{}, monitoringv1.PodMonitorSpec{}, monitoringv1.ProbeSpec{},
		monitoringv1alpha1.ScrapeConfigSpec{}, monitoringv1.PrometheusRuleSpec{},
		monitoringv1.ScrapeClass{}, monitoringv1.APIServerConfig{},
	} {
		missing = append(missing, missingFields(set, reflect.TypeOf(kind))...)
	}
	require.Empty(t, missing)
}

// ours reports whether the fields of a type are those of the Operator's kinds.
func ours(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && strings.Contains(t.PkgPath(), "prometheus-operator")
}

// markFields notes the fields of a value that are set, by their types and names.
func markFields(set map[string]bool, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			markFields(set, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			markFields(set, v.Index(i))
		}
	case reflect.Struct:
		for i := 0; ours(v.Type()) && i < v.NumField(); i++ {
			if !v.Field(i).IsZero() {
				set[v.Type().String()+"."+v.Type().Field(i).Name] = true
			}
			markFields(set, v.Field(i))
		}
	}
}

// missingFields returns the fields of a type, and of the types of its fields, that no
// value has set.
func missingFields(set map[string]bool, t reflect.Type) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if !ours(t) {
		return nil
	}
	var missing []string
	for i := range t.NumField() {
		f := t.Field(i)
		if name := t.String() + "." + f.Name; !set[name] && !f.Anonymous && !slices.Contains(newerThanRecordings, f.Name) {
			missing = append(missing, name)
		}
		missing = append(missing, missingFields(set, f.Type)...)
	}
	return missing
}

// TestExtraScrapeMetrics: the Operator 0.95 passes the field on and lets it go before
// the settings' own.
func TestExtraScrapeMetrics(t *testing.T) {
	for _, settings := range []*bool{nil, new(true), new(false)} {
		for _, object := range []*bool{nil, new(true), new(false)} {
			c := parseCorpus(t, extraScrapeMetrics)
			c.options.Spec.ExtraScrapeMetrics = settings
			c.objects.ServiceMonitors[0].Spec.ExtraScrapeMetrics = object
			c.objects.PodMonitors[0].Spec.ExtraScrapeMetrics = object
			c.objects.Probes[0].Spec.ExtraScrapeMetrics = object
			c.objects.ScrapeConfigs[0].Spec.ExtraScrapeMetrics = object
			want := value(settings)
			if object != nil {
				want = *object
			}
			results := c.generate(t)
			require.Len(t, results, 4)
			for _, r := range results {
				require.Nil(t, r.Rejection)
				require.Equal(t, want, *r.Jobs[0].ExtraScrapeMetrics, r.Kind)
			}
		}
	}
}

const extraScrapeMetrics = `
kind: Prometheus
metadata: {name: k8s, namespace: monitoring, annotations: {corpus/shard: "0"}}
spec: {serviceMonitorSelector: {}, podMonitorSelector: {}, probeSelector: {}, scrapeConfigSelector: {}}
---
kind: ServiceMonitor
metadata: {name: a, namespace: monitoring}
spec: {selector: {}, endpoints: [{}]}
---
kind: PodMonitor
metadata: {name: a, namespace: monitoring}
spec: {selector: {}, podMetricsEndpoints: [{}]}
---
kind: Probe
metadata: {name: a, namespace: monitoring}
spec: {prober: {url: a}, targets: {staticConfig: {static: [a]}}}
---
kind: ScrapeConfig
metadata: {name: a, namespace: monitoring}
spec: {staticConfigs: [{targets: [a]}]}
`
