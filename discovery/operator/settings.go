package operator

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v2"
	kyaml "sigs.k8s.io/yaml"
)

const (
	// defaultInterval is what the Operator's schema sets for scrapeInterval and
	// evaluationInterval.
	defaultInterval = monitoringv1.Duration("30s")

	// DefaultMaxJobs is how many jobs one object may make.
	DefaultMaxJobs = 1000
	// DefaultMaxRuleFileBytes is how large the rule file of one object may be, as in the
	// Operator.
	DefaultMaxRuleFileBytes = 512 << 10
	// DefaultMaxExpressionBytes is how long the expression of one rule may be.
	DefaultMaxExpressionBytes = 64 << 10
)

// Options says for which server jobs and rules are made. The zero value of a bound is
// its default.
type Options struct {
	// Namespace and Name are those of the Prometheus object whose spec Spec is. Objects
	// are taken from this namespace if there is no namespace selector, and Secrets that
	// the spec itself refers to are in it.
	Namespace string
	Name      string
	// Spec is the spec of the Prometheus object, as ReadSpec reads it.
	Spec monitoringv1.PrometheusSpec

	// Replica is the value of the external label that tells replicas apart, which is
	// the name of the pod in the Operator. Without it there is no such label.
	Replica string
	// Shard is the number of this server, from 0 to below Spec.Shards.
	Shard int

	// Parser parses the expressions of rules; nil is upstream's parser without
	// experimental features.
	Parser ExprParser
	// CheckRules is asked whether a rule file is in order, which is whoever reads it.
	// path is that of a RuleFile. Without it only sizes and expressions are checked.
	CheckRules func(path string, content []byte) error

	// MaxJobs is how many jobs one object may make.
	MaxJobs int
	// MaxRuleFileBytes is how large the rule file of one object may be.
	MaxRuleFileBytes int
	// MaxExpressionBytes is how long the expression of one rule may be.
	MaxExpressionBytes int
}

func (o Options) withDefaults() Options {
	if o.Spec.ScrapeInterval == "" {
		o.Spec.ScrapeInterval = defaultInterval
	}
	if o.Spec.EvaluationInterval == "" {
		o.Spec.EvaluationInterval = defaultInterval
	}
	if o.Parser == nil {
		o.Parser = parser.NewParser(parser.Options{})
	}
	if o.MaxJobs == 0 {
		o.MaxJobs = DefaultMaxJobs
	}
	if o.MaxRuleFileBytes == 0 {
		o.MaxRuleFileBytes = DefaultMaxRuleFileBytes
	}
	if o.MaxExpressionBytes == 0 {
		o.MaxExpressionBytes = DefaultMaxExpressionBytes
	}
	return o
}

// validate returns every violation, joined.
func (o Options) validate() error {
	var faults []error
	if o.Namespace == "" || o.Name == "" {
		faults = append(faults, errors.New("namespace and name of the Prometheus object must be set"))
	}
	if shards := int(shardsOf(&o.Spec)); o.Shard < 0 || o.Shard >= shards {
		faults = append(faults, fmt.Errorf("shard %d: must be from 0 to %d, since spec.shards is %d", o.Shard, shards-1, shards))
	}
	for _, b := range []struct {
		name  string
		value int
	}{{"jobs", o.MaxJobs}, {"rule file bytes", o.MaxRuleFileBytes}, {"expression bytes", o.MaxExpressionBytes}} {
		if b.value < 0 {
			faults = append(faults, fmt.Errorf("greatest number of %s: %d is negative", b.name, b.value))
		}
	}
	return errors.Join(faults...)
}

// Generator makes jobs and rules of objects. See the package's comment for concurrency.
type Generator struct {
	options   Options
	spec      *monitoringv1.PrometheusSpec
	global    config.GlobalConfig
	selectors map[Kind]selector
	classes   scrapeClasses
	exclusion exclusion
	ignored   []string
}

// New returns a generator. The error joins everything that is wrong with the settings,
// each with the field's name.
func New(options Options) (*Generator, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, err
	}
	options.Spec = *options.Spec.DeepCopy()
	g := &Generator{options: options, spec: &options.Spec, ignored: ignoredFields(&options.Spec)}
	var faults [4]error
	g.selectors, faults[0] = newSelectors(options.Namespace, g.spec)
	g.global, faults[1] = newGlobal(options)
	if faults[1] == nil {
		g.classes, faults[2] = newScrapeClasses(g.spec.ScrapeClasses, g.global.MetricNameValidationScheme)
	}
	g.exclusion = newExclusion(g.spec)
	faults[3] = checkAPIServer(g.spec.APIServerConfig)
	if err := errors.Join(faults[:]...); err != nil {
		return nil, err
	}
	return g, nil
}

// Global returns the global section that the settings make: intervals, limits and
// external labels. Jobs are complete without it.
func (g *Generator) Global() config.GlobalConfig { return g.global }

// Object returns the namespace and name of the Prometheus object.
func (g *Generator) Object() (namespace, name string) { return g.options.Namespace, g.options.Name }

// Ignored returns the names of the settings' fields that are set and have no effect,
// because they are about pods and volumes, or about parts of the server that its own
// flags and configuration file set up. They deserve a warning.
func (g *Generator) Ignored() []string { return slices.Clone(g.ignored) }

// jsonPrefix is what the decoder says before the point.
var jsonPrefix = regexp.MustCompile(`^(error [a-z ]+JSON: )?(while decoding JSON: )?(json: )?`)

// ReadSpec reads the spec of a Prometheus object from YAML or JSON. A field that no such
// spec has is an error.
func ReadSpec(content []byte) (monitoringv1.PrometheusSpec, error) {
	var spec monitoringv1.PrometheusSpec
	if err := kyaml.UnmarshalStrict(content, &spec); err != nil {
		return monitoringv1.PrometheusSpec{}, fmt.Errorf("spec of the Prometheus object: %s", jsonPrefix.ReplaceAllString(err.Error(), ""))
	}
	return spec, nil
}

// honoured are the fields of a spec that have an effect here.
var honoured = []string{
	"additionalScrapeConfigs", "apiserverConfig", "arbitraryFSAccessThroughSMs", "bodySizeLimit",
	"convertClassicHistogramsToNHCB", "enforcedBodySizeLimit", "enforcedKeepDroppedTargets",
	"enforcedLabelLimit", "enforcedLabelNameLengthLimit", "enforcedLabelValueLengthLimit",
	"enforcedNamespaceLabel", "enforcedSampleLimit", "enforcedTargetLimit", "evaluationInterval",
	"excludedFromEnforcement", "externalLabels", "extraScrapeMetrics", "ignoreNamespaceSelectors",
	"keepDroppedTargets", "labelLimit", "labelNameLengthLimit", "labelValueLengthLimit",
	"nameEscapingScheme", "nameValidationScheme", "overrideHonorLabels", "overrideHonorTimestamps",
	"podMonitorNamespaceSelector", "podMonitorSelector", "podTargetLabels", "probeNamespaceSelector",
	"probeSelector", "prometheusExternalLabelName", "prometheusRulesExcludedFromEnforce",
	"replicaExternalLabelName", "ruleNamespaceSelector", "ruleQueryOffset", "ruleSelector",
	"sampleLimit", "scrapeClasses", "scrapeClassicHistograms", "scrapeConfigNamespaceSelector",
	"scrapeConfigSelector", "scrapeInterval", "scrapeNativeHistograms", "scrapeProtocols",
	"scrapeTimeout", "serviceDiscoveryRole", "serviceMonitorNamespaceSelector",
	"serviceMonitorSelector", "shards", "targetLimit",
}

// ignoredFields returns the fields of a spec that are set and not honoured, sorted.
func ignoredFields(spec *monitoringv1.PrometheusSpec) []string {
	var names []string
	for name, value := range specFields(reflect.ValueOf(spec).Elem()) {
		if !value.IsZero() && !slices.Contains(honoured, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// specFields returns the fields of a spec by the names that they have in an object.
func specFields(spec reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range spec.NumField() {
		name, inline, _ := strings.Cut(spec.Type().Field(i).Tag.Get("json"), ",")
		if name == "" && inline == "inline" {
			for n, v := range specFields(spec.Field(i)) {
				fields[n] = v
			}
			continue
		}
		fields[name] = spec.Field(i)
	}
	return fields
}

// newGlobal makes the global section and reads it as that of a file.
func newGlobal(o Options) (config.GlobalConfig, error) {
	spec := &o.Spec
	if err := checkLimits(spec); err != nil {
		return config.GlobalConfig{}, err
	}
	var s section
	s.set("scrape_interval", string(spec.ScrapeInterval))
	s.text("scrape_timeout", string(spec.ScrapeTimeout))
	s.set("evaluation_interval", string(spec.EvaluationInterval))
	some(&s, "rule_query_offset", spec.RuleQueryOffset)
	list(&s, "scrape_protocols", spec.ScrapeProtocols)
	s.set("external_labels", sorted(externalLabels(o)))
	globalLimits(&s, spec)
	nameSchemes(&s, spec.NameValidationScheme, spec.NameEscapingScheme)
	some(&s, "convert_classic_histograms_to_nhcb", spec.ConvertClassicHistogramsToNHCB)
	some(&s, "always_scrape_classic_histograms", spec.ScrapeClassicHistograms)
	some(&s, "scrape_native_histograms", spec.ScrapeNativeHistograms)
	some(&s, "extra_scrape_metrics", spec.ExtraScrapeMetrics)
	content, err := yaml.Marshal(section{{Key: "global", Value: s}})
	if err != nil {
		return config.GlobalConfig{}, fmt.Errorf("global settings of the spec: %w", err)
	}
	loaded, err := config.Load(string(content), slog.New(slog.DiscardHandler))
	if err != nil {
		return config.GlobalConfig{}, fmt.Errorf("global settings of the spec: %w", withoutLines(err))
	}
	return loaded.GlobalConfig, nil
}

// externalLabels are those of the spec and the two that name the server. The spec's
// cannot replace these.
func externalLabels(o Options) map[string]string {
	labels := map[string]string{}
	for name, value := range o.Spec.ExternalLabels {
		labels[name] = value
	}
	identity := func(name *string, otherwise, value string) {
		if name != nil {
			otherwise = *name
		}
		if otherwise != "" && value != "" {
			labels[otherwise] = value
		}
	}
	identity(o.Spec.PrometheusExternalLabelName, "prometheus", o.Namespace+"/"+o.Name)
	identity(o.Spec.ReplicaExternalLabelName, "prometheus_replica", o.Replica)
	return labels
}

// nameSchemes adds how names are validated and escaped.
func nameSchemes(s *section, validation *monitoringv1.NameValidationSchemeOptions, escaping *monitoringv1.NameEscapingSchemeOptions) {
	if validation != nil {
		s.set("metric_name_validation_scheme", strings.ToLower(string(*validation)))
	}
	if escaping == nil {
		return
	}
	name, known := map[monitoringv1.NameEscapingSchemeOptions]string{
		monitoringv1.AllowUTF8NameEscapingScheme:   "allow-utf-8",
		monitoringv1.UnderscoresNameEscapingScheme: "underscores",
		monitoringv1.DotsNameEscapingScheme:        "dots",
		monitoringv1.ValuesNameEscapingScheme:      "values",
	}[*escaping]
	if !known {
		name = string(*escaping) // The loader says which ones there are.
	}
	s.set("metric_name_escaping_scheme", name)
}
