// Package hostile_test fuzzes discovery/operator. It is a folder of its own, since a
// fuzzing build instruments all that it links, and the tests of the package itself link
// every discovery mechanism.
package hostile_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/config"
	_ "github.com/prometheus/prometheus/discovery/dns"
	_ "github.com/prometheus/prometheus/discovery/eureka"
	_ "github.com/prometheus/prometheus/discovery/file"
	_ "github.com/prometheus/prometheus/discovery/http"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gnomonhq/gnomon/alerting/rules"
	_ "github.com/gnomonhq/gnomon/discovery/kubernetes"
	"github.com/gnomonhq/gnomon/discovery/operator"
)

// settings are those of one case of the corpus, and what they make of the sound objects.
type settings struct {
	generator *operator.Generator
	sound     []operator.Result
}

// FuzzObject adds an object with any spec to sound ones. It has a result, the others keep
// theirs, and jobs that are accepted are such that a server can start them together.
func FuzzObject(f *testing.F) {
	commonconfig.MarshalSecretValue = true // The jobs are read a second time.
	f.Cleanup(func() { commonconfig.MarshalSecretValue = false })
	paths, err := filepath.Glob("../testdata/corpus/*.yaml")
	require.NoError(f, err)
	require.NotEmpty(f, paths)
	c := readCorpus(f, paths)
	variants := make([]settings, len(c.prometheuses))
	for i, p := range c.prometheuses {
		g, err := operator.New(operator.Options{Namespace: p.Namespace, Name: p.Name, Spec: p.Spec, CheckRules: checkRules})
		require.NoError(f, err)
		variants[i] = settings{g, g.Generate(soundObjects(), c.namespaces, c.lookup)}
	}
	for i, s := range c.specs {
		f.Add(uint8(slices.Index(kinds, s.kind)), uint8(i), s.content)
	}
	f.Fuzz(func(t *testing.T, kind, variant uint8, spec []byte) {
		s := variants[int(variant)%len(variants)]
		objects := soundObjects()
		if !addHostile(&objects, kinds[int(kind)%len(kinds)], spec) {
			t.Skip()
		}
		var own, others []operator.Result
		for _, r := range s.generator.Generate(objects, c.namespaces, c.lookup) {
			if r.Name == hostileName {
				own = append(own, r)
			} else {
				others = append(others, r)
			}
		}
		require.Equal(t, s.sound, others)
		if len(own) == 0 {
			t.Skip() // These settings do not select the kind.
		}
		require.Len(t, own, 1)
		require.False(t, own[0].Rejection != nil && (len(own[0].Jobs) > 0 || own[0].Rules != nil))
		requireStartable(t, own[0], others)
	})
}

func checkRules(path string, content []byte) error {
	_, err := rules.Reader{}.Parse(path, content)
	return err
}

// requireStartable requires that the jobs load in one file with those of the others, and
// that their clients can be made.
func requireStartable(t *testing.T, own operator.Result, others []operator.Result) {
	if own.Rules != nil {
		require.NoError(t, checkRules(own.Rules.Path, own.Rules.Content))
	}
	var jobs []*config.ScrapeConfig
	for _, r := range append(slices.Clone(others), own) {
		jobs = append(jobs, r.Jobs...)
	}
	content, err := yaml.Marshal(map[string]any{"scrape_configs": jobs})
	require.NoError(t, err)
	_, err = config.Load(string(content), slog.New(slog.DiscardHandler))
	require.NoError(t, err, string(content))
	for i, j := range own.Jobs {
		if tls := j.HTTPClientConfig.TLSConfig; tls.CAFile+tls.CertFile+tls.KeyFile == "" {
			_, err := commonconfig.NewClientFromConfig(j.HTTPClientConfig, fmt.Sprint(i))
			require.NoError(t, err)
		}
	}
}

const hostileName = "hostile"

// addHostile adds an object with the spec, if it is one.
func addHostile(o *operator.Objects, kind operator.Kind, spec []byte) bool {
	meta := metav1.ObjectMeta{Namespace: "shop", Name: hostileName}
	switch kind {
	case operator.KindServiceMonitor:
		m := &monitoringv1.ServiceMonitor{ObjectMeta: meta}
		o.ServiceMonitors = append(o.ServiceMonitors, m)
		return json.Unmarshal(spec, &m.Spec) == nil
	case operator.KindPodMonitor:
		m := &monitoringv1.PodMonitor{ObjectMeta: meta}
		o.PodMonitors = append(o.PodMonitors, m)
		return json.Unmarshal(spec, &m.Spec) == nil
	case operator.KindProbe:
		m := &monitoringv1.Probe{ObjectMeta: meta}
		o.Probes = append(o.Probes, m)
		return json.Unmarshal(spec, &m.Spec) == nil
	case operator.KindScrapeConfig:
		m := &monitoringv1alpha1.ScrapeConfig{ObjectMeta: meta}
		o.ScrapeConfigs = append(o.ScrapeConfigs, m)
		return json.Unmarshal(spec, &m.Spec) == nil
	}
	m := &monitoringv1.PrometheusRule{ObjectMeta: meta}
	o.PrometheusRules = append(o.PrometheusRules, m)
	return json.Unmarshal(spec, &m.Spec) == nil
}
