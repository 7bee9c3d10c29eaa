package operator

import (
	"reflect"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
)

// TestHonouredFieldsExist notices fields that the Operator renames, which would be
// ignored without it.
func TestHonouredFieldsExist(t *testing.T) {
	fields := specFields(reflect.ValueOf(monitoringv1.PrometheusSpec{}))
	for _, name := range honoured {
		require.Contains(t, fields, name)
	}
}

func TestReadSpec(t *testing.T) {
	spec, err := ReadSpec([]byte("shards: 3\nserviceMonitorSelector: {matchLabels: {a: b}}\n"))
	require.NoError(t, err)
	require.EqualValues(t, 3, *spec.Shards)
	require.Equal(t, "b", spec.ServiceMonitorSelector.MatchLabels["a"])

	for _, content := range []string{"shards: many", "[]", "a: {", "scrapeInterval: 1\nscrapeInterval: 2"} {
		_, err := ReadSpec([]byte(content))
		require.ErrorContains(t, err, "spec of the Prometheus object: ", content)
	}
}

func TestOptionsAreValidated(t *testing.T) {
	_, err := New(Options{Shard: -1, MaxJobs: -1})
	require.ErrorContains(t, err, "namespace and name of the Prometheus object must be set")
	require.ErrorContains(t, err, "shard -1: must be from 0 to 0")
	require.ErrorContains(t, err, "greatest number of jobs: -1 is negative")
}

// TestSettingsAreNotShared: a caller that changes its spec does not change the generator.
func TestSettingsAreNotShared(t *testing.T) {
	c := readCorpus(t, "governance")
	g, err := New(c.options)
	require.NoError(t, err)
	before := g.Generate(c.objects, c.namespaces, c.lookup)
	*c.options.Spec.EnforcedSampleLimit = 1
	c.options.Spec.ExternalLabels["cluster"] = "us"
	require.Equal(t, before, g.Generate(c.objects, c.namespaces, c.lookup))
	require.Equal(t, "eu", g.Global().ExternalLabels.Get("cluster"))
}
