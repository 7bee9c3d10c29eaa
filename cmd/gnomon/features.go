package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// featureSet is what --enable-feature switches on.
type featureSet struct {
	experimentalFunctions  bool
	extendedRangeSelectors bool
	binopFillModifiers     bool
	delayedNameRemoval     bool
	perStepStats           bool
	useStartTimestamps     bool
	concurrentRuleEval     bool
	extraScrapeMetrics     bool
	openMetrics2           bool
	startTimestamps        bool
	typeAndUnitLabels      bool
	autoReloadConfig       bool
}

// parserOptions are the parts of the expression language that are on. Duration
// expressions always are.
func (f featureSet) parserOptions() parser.Options {
	return parser.Options{
		EnableExperimentalFunctions:  f.experimentalFunctions,
		ExperimentalDurationExpr:     true,
		EnableExtendedRangeSelectors: f.extendedRangeSelectors,
		EnableBinopFillModifiers:     f.binopFillModifiers,
	}
}

// feature is a name that --enable-feature knows.
type feature struct {
	name string
	// set returns what the feature switches on; nil if it switches nothing.
	set func(*featureSet) *bool
	// note is warned with if the feature is given: why it switches nothing, or
	// what is better used instead.
	note string
}

// inherentNote marks features about the insides of Prometheus's own database.
const inherentNote = "it is about the insides of Prometheus's database, which Gnomon does not share"

// features are all names that Prometheus knows, sorted.
var features = []feature{
	{"auto-reload-config", func(f *featureSet) *bool { return &f.autoReloadConfig }, "use --config.auto-reload instead"},
	{"concurrent-rule-eval", func(f *featureSet) *bool { return &f.concurrentRuleEval }, ""},
	{"created-timestamp-zero-ingestion", nil, "no samples of zero are added at start timestamps yet"},
	{"delayed-compaction", nil, inherentNote},
	{"exemplar-storage", nil, "exemplars are always stored"},
	{"extra-scrape-metrics", func(f *featureSet) *bool { return &f.extraScrapeMetrics }, "use extra_scrape_metrics in the configuration file instead"},
	{"fast-startup", nil, inherentNote},
	{"histograms-st-encoding", nil, inherentNote},
	{"memory-snapshot-on-shutdown", nil, inherentNote},
	{"metadata-wal-records", nil, "metadata is always written to the log"},
	{"native-histograms", nil, "use scrape_native_histograms in the configuration file instead"},
	{"old-ui", nil, "there is no other UI"},
	{"ooo-native-histograms", nil, "it is always on"},
	{"openmetrics2", func(f *featureSet) *bool { return &f.openMetrics2 }, ""},
	{"otlp-deltatocumulative", nil, "there is no OTLP receiver yet"},
	{"otlp-native-delta-ingestion", nil, "there is no OTLP receiver yet"},
	{"promql-binop-fill-modifiers", func(f *featureSet) *bool { return &f.binopFillModifiers }, ""},
	{"promql-delayed-name-removal", func(f *featureSet) *bool { return &f.delayedNameRemoval }, ""},
	{"promql-duration-expr", nil, "it is always on"},
	{"promql-experimental-functions", func(f *featureSet) *bool { return &f.experimentalFunctions }, ""},
	{"promql-extended-range-selectors", func(f *featureSet) *bool { return &f.extendedRangeSelectors }, ""},
	{"promql-per-step-stats", func(f *featureSet) *bool { return &f.perStepStats }, ""},
	{"search-api", nil, "there is no search API yet"},
	{"st-storage", func(f *featureSet) *bool { return &f.startTimestamps }, ""},
	{"st-synthesis", nil, "start timestamps are not synthesized yet"},
	{"type-and-unit-labels", func(f *featureSet) *bool { return &f.typeAndUnitLabels }, ""},
	{"use-start-timestamps", func(f *featureSet) *bool { return &f.useStartTimestamps }, ""},
	{"use-uncached-io", nil, inherentNote},
	{"xor2-encoding", nil, inherentNote},
	{"zstd-scrape", nil, "zstd is always offered to targets where enable_compression is on"},
}

// knownFeatures lists the names for the help text.
func knownFeatures() string {
	names := make([]string, len(features))
	for i, f := range features {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// parseFeatures reads the values of --enable-feature, each a list of names
// separated by commas. Each name is warned about at most once.
func parseFeatures(lists []string) (featureSet, []string, error) {
	var set featureSet
	var warnings []string
	seen := map[string]bool{}
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			if seen[name] {
				continue
			}
			seen[name] = true
			i := slices.IndexFunc(features, func(f feature) bool { return f.name == name })
			if i < 0 {
				warnings = append(warnings, fmt.Sprintf("--enable-feature: unknown feature %q", name))
				continue
			}
			f := features[i]
			if f.set != nil {
				*f.set(&set) = true
			}
			switch {
			case f.note != "" && f.set != nil:
				warnings = append(warnings, fmt.Sprintf("--enable-feature=%s: %s", f.name, f.note))
			case f.note != "":
				warnings = append(warnings, fmt.Sprintf("--enable-feature=%s has no effect: %s", f.name, f.note))
			}
		}
	}
	if seen["otlp-deltatocumulative"] && seen["otlp-native-delta-ingestion"] {
		return set, warnings, errors.New("--enable-feature: otlp-deltatocumulative and otlp-native-delta-ingestion exclude each other")
	}
	return set, warnings, nil
}
