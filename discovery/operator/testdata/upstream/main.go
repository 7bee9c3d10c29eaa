// Upstream records what the Prometheus Operator makes of a corpus of objects, so that
// the tests of discovery/operator can compare without linking it. README.md says how it
// is run.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	documents "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	kyaml "sigs.k8s.io/yaml"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus-operator/prometheus-operator/pkg/assets"
	monitoringfake "github.com/prometheus-operator/prometheus-operator/pkg/client/versioned/fake"
	"github.com/prometheus-operator/prometheus-operator/pkg/informers"
	"github.com/prometheus-operator/prometheus-operator/pkg/namespacelabeler"
	"github.com/prometheus-operator/prometheus-operator/pkg/operator"
	prompkg "github.com/prometheus-operator/prometheus-operator/pkg/prometheus"
)

// Annotations of the Prometheus object of a case: which of its servers is meant.
const (
	shardAnnotation   = "corpus/shard"
	replicaAnnotation = "corpus/replica"
)

// recording is the content of a golden file.
type recording struct {
	Config   string            `yaml:"config"`
	Rejected map[string]string `yaml:"rejected,omitempty"`
	Rules    map[string]string `yaml:"rules,omitempty"`
}

func main() {
	cases, err := filepath.Glob("../corpus/*.yaml")
	if err != nil || len(cases) == 0 {
		log.Fatalf("no corpus: %v", err)
	}
	for _, path := range cases {
		r, err := record(path)
		if err != nil {
			log.Fatalf("%s: %v", path, err)
		}
		content, err := yaml.Marshal(r)
		if err == nil {
			err = os.WriteFile(filepath.Join("../golden", filepath.Base(path)), content, 0o644)
		}
		if err != nil {
			log.Fatalf("%s: %v", path, err)
		}
	}
}

// corpus is one case.
type corpus struct {
	prometheus      *monitoringv1.Prometheus
	serviceMonitors []*monitoringv1.ServiceMonitor
	podMonitors     []*monitoringv1.PodMonitor
	probes          []*monitoringv1.Probe
	scrapeConfigs   []*monitoringv1alpha1.ScrapeConfig
	rules           []runtime.Object
	namespaces      []*corev1.Namespace
	core            []runtime.Object
}

func readCorpus(path string) (*corpus, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	c := &corpus{}
	stream := documents.NewYAMLReader(bufio.NewReader(file))
	for {
		document, err := stream.Read()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		if err := c.add(document); err != nil {
			return nil, err
		}
	}
}

func decode[T any](document []byte) (*T, error) {
	o := new(T)
	return o, kyaml.UnmarshalStrict(document, o)
}

func (c *corpus) add(document []byte) error {
	var kind metav1.TypeMeta
	if err := kyaml.Unmarshal(document, &kind); err != nil {
		return err
	}
	var err error
	switch kind.Kind {
	case "Prometheus":
		c.prometheus, err = decode[monitoringv1.Prometheus](document)
	case "ServiceMonitor":
		err = appendTo(&c.serviceMonitors, document)
	case "PodMonitor":
		err = appendTo(&c.podMonitors, document)
	case "Probe":
		err = appendTo(&c.probes, document)
	case "ScrapeConfig":
		err = appendTo(&c.scrapeConfigs, document)
	case "PrometheusRule":
		var r *monitoringv1.PrometheusRule
		r, err = decode[monitoringv1.PrometheusRule](document)
		c.rules = append(c.rules, r)
	case "Namespace":
		err = appendTo(&c.namespaces, document)
	case "Secret":
		var s *corev1.Secret
		s, err = decode[corev1.Secret](document)
		if err == nil {
			if s.Data == nil {
				s.Data = map[string][]byte{}
			}
			for k, v := range s.StringData {
				s.Data[k] = []byte(v)
			}
			c.core = append(c.core, s)
		}
	case "ConfigMap":
		var m *corev1.ConfigMap
		m, err = decode[corev1.ConfigMap](document)
		c.core = append(c.core, m)
	default:
		err = fmt.Errorf("kind %q", kind.Kind)
	}
	return err
}

func appendTo[T any](list *[]*T, document []byte) error {
	o, err := decode[T](document)
	*list = append(*list, o)
	return err
}

func record(path string) (*recording, error) {
	c, err := readCorpus(path)
	if err != nil {
		return nil, err
	}
	p := c.prometheus
	// The schema's defaults, which an API server would have set.
	if p.Spec.ScrapeInterval == "" {
		p.Spec.ScrapeInterval = "30s"
	}
	if p.Spec.EvaluationInterval == "" {
		p.Spec.EvaluationInterval = "30s"
	}
	ctx := context.Background()
	client := fake.NewClientset(c.core...)
	store := assets.NewStoreBuilder(client.CoreV1(), client.CoreV1())
	namespaces := cache.NewSharedIndexInformer(&cache.ListWatch{}, &corev1.Namespace{}, 0, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for _, n := range c.namespaces {
		if err := namespaces.GetStore().Add(n); err != nil {
			return nil, err
		}
	}
	logger := slog.New(slog.DiscardHandler)
	selector, err := prompkg.NewResourceSelector(logger, p, store, namespaces, operator.NewMetrics(prometheus.NewRegistry()), operator.NewFakeRecorder(10000, p))
	if err != nil {
		return nil, err
	}
	r := &recording{Rejected: map[string]string{}}
	serviceMonitors, err := selector.SelectServiceMonitors(ctx, lister(c.serviceMonitors))
	if err != nil {
		return nil, err
	}
	note(r, "ServiceMonitor", serviceMonitors)
	podMonitors, err := selector.SelectPodMonitors(ctx, lister(c.podMonitors))
	if err != nil {
		return nil, err
	}
	note(r, "PodMonitor", podMonitors)
	probes, err := selector.SelectProbes(ctx, lister(c.probes))
	if err != nil {
		return nil, err
	}
	note(r, "Probe", probes)
	scrapeConfigs, err := selector.SelectScrapeConfigs(ctx, lister(c.scrapeConfigs))
	if err != nil {
		return nil, err
	}
	note(r, "ScrapeConfig", scrapeConfigs)
	if err := prompkg.AddAPIServerConfigToStore(ctx, store, p.Namespace, p.Spec.APIServerConfig); err != nil {
		return nil, err
	}
	if err := prompkg.AddScrapeClassesToStore(ctx, store, p.Namespace, p.Spec.ScrapeClasses); err != nil {
		return nil, err
	}
	additional, err := additionalScrapeConfigs(ctx, store, p)
	if err != nil {
		return nil, err
	}
	generator, err := prompkg.NewConfigGenerator(logger, p, prompkg.WithEndpointSliceSupport(), prompkg.WithInlineTLSConfig())
	if err != nil {
		return nil, err
	}
	content, err := generator.GenerateServerConfiguration(p, serviceMonitors.ValidResources(), podMonitors.ValidResources(),
		probes.ValidResources(), scrapeConfigs.ValidResources(), store, additional, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	// What the reloader beside Prometheus does.
	r.Config = strings.NewReplacer("$(SHARD)", p.Annotations[shardAnnotation], "$(POD_NAME)", p.Annotations[replicaAnnotation]).Replace(string(content))
	return r, r.rules(c, namespaces, logger)
}

func additionalScrapeConfigs(ctx context.Context, store *assets.StoreBuilder, p *monitoringv1.Prometheus) ([]byte, error) {
	if p.Spec.AdditionalScrapeConfigs == nil {
		return nil, nil
	}
	content, err := store.GetSecretKey(ctx, p.Namespace, *p.Spec.AdditionalScrapeConfigs)
	return []byte(content), err
}

// lister lists objects that are in memory.
func lister[T metav1.Object](objects []T) prompkg.ListAllByNamespaceFn {
	return func(namespace string, selector labels.Selector, do cache.AppendFunc) error {
		for _, o := range objects {
			if o.GetNamespace() == namespace && selector.Matches(labels.Set(o.GetLabels())) {
				do(o)
			}
		}
		return nil
	}
}

// note records what was rejected.
func note[T operator.ConfigurationResource](r *recording, kind string, selection operator.TypedResourcesSelection[T]) {
	valid := selection.ValidResources()
	for _, key := range slices.Sorted(maps.Keys(selection)) {
		if _, ok := valid[key]; !ok {
			resource := selection[key]
			message := "rejected"
			for _, condition := range resource.Conditions() {
				message = condition.Message
			}
			r.Rejected[kind+"/"+key] = message
		}
	}
}

// rules records the rule files.
func (r *recording) rules(c *corpus, namespaces cache.SharedIndexInformer, logger *slog.Logger) error {
	p := c.prometheus
	factory := informers.NewMonitoringInformerFactories(map[string]struct{}{metav1.NamespaceAll: {}}, nil,
		monitoringfake.NewSimpleClientset(c.rules...), 0, nil)
	rules, err := informers.NewInformersForResource(factory, monitoringv1.SchemeGroupVersion.WithResource(monitoringv1.PrometheusRuleName))
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	defer close(stop)
	rules.Start(stop)
	cache.WaitForCacheSync(stop, rules.HasSynced)

	excluded := p.Spec.ExcludedFromEnforcement
	for _, e := range p.Spec.PrometheusRulesExcludedFromEnforce {
		excluded = append(excluded, monitoringv1.ObjectReference{Namespace: e.RuleNamespace, Group: "monitoring.coreos.com", Resource: monitoringv1.PrometheusRuleName, Name: e.RuleName})
	}
	selector, err := operator.NewPrometheusRuleSelector(operator.PrometheusFormat, operator.DefaultPrometheusVersion, p.Spec.RuleSelector,
		namespacelabeler.New(p.Spec.EnforcedNamespaceLabel, excluded, true), rules, operator.NewFakeRecorder(10000, p), logger, parser.Options{})
	if err != nil {
		return err
	}
	from, err := operator.SelectNamespacesFromCache(p, p.Spec.RuleNamespaceSelector, namespaces)
	if err != nil {
		return err
	}
	selection, err := selector.Select(from)
	if err != nil {
		return err
	}
	note(r, "PrometheusRule", selection.Selected())
	r.Rules = map[string]string{}
	for name, content := range selection.RuleFiles() {
		r.Rules[name] = content
	}
	return nil
}
