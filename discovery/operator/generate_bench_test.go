package operator

import (
	"fmt"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BenchmarkServiceMonitors makes the jobs of 1,000 ServiceMonitors with two endpoints
// each, one of which has credentials and relabelling of its own.
func BenchmarkServiceMonitors(b *testing.B) {
	c := manyServiceMonitors(1000)
	g, err := New(c.options)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		for _, r := range g.Generate(c.objects, c.namespaces, c.lookup) {
			if r.Rejection != nil {
				b.Fatal(r.Rejection.Message)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "µs/object")
}

// BenchmarkChangedServiceMonitor is what a watcher does when one object of them changes.
func BenchmarkChangedServiceMonitor(b *testing.B) {
	c := manyServiceMonitors(1)
	g, err := New(c.options)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if r := g.ServiceMonitor(c.objects.ServiceMonitors[0], c.lookup); r.Rejection != nil {
			b.Fatal(r.Rejection.Message)
		}
	}
}

func manyServiceMonitors(n int) *corpus {
	c := &corpus{namespaces: Namespaces{"shop": nil}, values: map[Reference]string{
		{ReferenceSecret, "shop", "account", "user"}:     "alice",
		{ReferenceSecret, "shop", "account", "password"}: "secret",
	}}
	c.options = Options{Namespace: "monitoring", Name: "k8s", Spec: monitoringv1.PrometheusSpec{
		CommonPrometheusFields: monitoringv1.CommonPrometheusFields{
			ServiceMonitorSelector: &metav1.LabelSelector{}, ServiceMonitorNamespaceSelector: &metav1.LabelSelector{},
		},
	}}
	account := monitoringv1.BasicAuth{}
	account.Username.Name, account.Username.Key = "account", "user"
	account.Password.Name, account.Password.Key = "account", "password"
	for i := range n {
		m := &monitoringv1.ServiceMonitor{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("app-%04d", i)}}
		m.Spec.Selector.MatchLabels = map[string]string{"app.kubernetes.io/name": m.Name}
		m.Spec.TargetLabels = []string{"team"}
		second := monitoringv1.Endpoint{Port: "admin", RelabelConfigs: []monitoringv1.RelabelConfig{
			{SourceLabels: []monitoringv1.LabelName{"__meta_kubernetes_pod_node_name"}, TargetLabel: "node"},
		}, MetricRelabelConfigs: []monitoringv1.RelabelConfig{
			{Action: "drop", SourceLabels: []monitoringv1.LabelName{"__name__"}, Regex: "go_.*"},
		}}
		second.BasicAuth = &account
		m.Spec.Endpoints = []monitoringv1.Endpoint{{Port: "metrics", Interval: "15s"}, second}
		c.objects.ServiceMonitors = append(c.objects.ServiceMonitors, m)
	}
	return c
}
