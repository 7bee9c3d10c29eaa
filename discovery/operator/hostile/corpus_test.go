package hostile_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	documents "k8s.io/apimachinery/pkg/util/yaml"
	kyaml "sigs.k8s.io/yaml"

	"github.com/gnomonhq/gnomon/discovery/operator"
)

// kinds are those that are fuzzed.
var kinds = []operator.Kind{
	operator.KindServiceMonitor, operator.KindPodMonitor, operator.KindProbe, operator.KindScrapeConfig, operator.KindPrometheusRule,
}

// corpus is what the cases of testdata/corpus have, all together.
type corpus struct {
	prometheuses []monitoringv1.Prometheus
	specs        []spec
	namespaces   operator.Namespaces
	values       map[operator.Reference]string
}

// spec is that of one object, as JSON.
type spec struct {
	kind    operator.Kind
	content []byte
}

func (c *corpus) lookup(r operator.Reference) (string, error) {
	if v, ok := c.values[r]; ok {
		return v, nil
	}
	return "", errors.New("not found")
}

func readCorpus(f *testing.F, paths []string) *corpus {
	c := &corpus{namespaces: operator.Namespaces{}, values: map[operator.Reference]string{}}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(f, err)
		stream := documents.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
		for {
			document, err := stream.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(f, err)
			require.NoError(f, c.add(document))
		}
	}
	return c
}

func (c *corpus) add(document []byte) error {
	var o struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ObjectMeta `json:"metadata"`
		Spec            any               `json:"spec"`
		Data            map[string]string `json:"data"`
		StringData      map[string]string `json:"stringData"`
	}
	if err := kyaml.Unmarshal(document, &o); err != nil {
		return err
	}
	switch o.Kind {
	case "Prometheus":
		var p monitoringv1.Prometheus
		err := kyaml.Unmarshal(document, &p)
		c.prometheuses = append(c.prometheuses, p)
		return err
	case "Namespace":
		c.namespaces[o.Metadata.Name] = o.Metadata.Labels
	case "Secret":
		for k, v := range o.StringData {
			c.values[operator.Reference{Kind: operator.ReferenceSecret, Namespace: o.Metadata.Namespace, Name: o.Metadata.Name, Key: k}] = v
		}
	case "ConfigMap":
		for k, v := range o.Data {
			c.values[operator.Reference{Kind: operator.ReferenceConfigMap, Namespace: o.Metadata.Namespace, Name: o.Metadata.Name, Key: k}] = v
		}
	default:
		content, err := kyaml.Marshal(o.Spec)
		if err == nil {
			content, err = kyaml.YAMLToJSON(content)
		}
		c.specs = append(c.specs, spec{operator.Kind(o.Kind), content})
		return err
	}
	return nil
}

// soundObjects are one of each kind.
func soundObjects() operator.Objects {
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "sound"}
	selector := metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	return operator.Objects{
		ServiceMonitors: []*monitoringv1.ServiceMonitor{{ObjectMeta: meta, Spec: monitoringv1.ServiceMonitorSpec{
			Selector: selector, Endpoints: []monitoringv1.Endpoint{{Port: "a"}, {Port: "b"}},
		}}},
		PodMonitors: []*monitoringv1.PodMonitor{{ObjectMeta: meta, Spec: monitoringv1.PodMonitorSpec{
			Selector: selector, PodMetricsEndpoints: []monitoringv1.PodMetricsEndpoint{{Interval: "5s"}},
		}}},
		Probes: []*monitoringv1.Probe{{ObjectMeta: meta, Spec: monitoringv1.ProbeSpec{
			ProberSpec: monitoringv1.ProberSpec{URL: "prober"},
			Targets:    monitoringv1.ProbeTargets{Ingress: &monitoringv1.ProbeTargetIngress{Selector: selector}},
		}}},
		ScrapeConfigs: []*monitoringv1alpha1.ScrapeConfig{{ObjectMeta: meta, Spec: monitoringv1alpha1.ScrapeConfigSpec{
			StaticConfigs: []monitoringv1alpha1.StaticConfig{{Targets: []monitoringv1alpha1.Target{"a:1"}}},
		}}},
		PrometheusRules: []*monitoringv1.PrometheusRule{{ObjectMeta: meta, Spec: monitoringv1.PrometheusRuleSpec{
			Groups: []monitoringv1.RuleGroup{{Name: "g", Rules: []monitoringv1.Rule{{Record: "a:b", Expr: intstr.FromString("sum(x)")}}}},
		}}},
	}
}
