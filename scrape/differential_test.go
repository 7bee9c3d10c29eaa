package scrape

import (
	"flag"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var seeds = flag.Uint64("seeds", 4, "random expositions of each format and setting that are scraped with both")

// settingsOfJobs are the lines of jobs that change what is stored of a body.
var settingsOfJobs = map[string][]string{
	"plain":            nil,
	"native":           {"scrape_native_histograms: true"},
	"native, classic":  {"scrape_native_histograms: true", "always_scrape_classic_histograms: true"},
	"custom buckets":   {"convert_classic_histograms_to_nhcb: true"},
	"all histograms":   {"scrape_native_histograms: true", "always_scrape_classic_histograms: true", "convert_classic_histograms_to_nhcb: true"},
	"native, custom":   {"scrape_native_histograms: true", "convert_classic_histograms_to_nhcb: true"},
	"few buckets":      {"scrape_native_histograms: true", "native_histogram_bucket_limit: 4"},
	"coarse":           {"scrape_native_histograms: true", "native_histogram_min_bucket_factor: 1.5"},
	"honor labels":     {"honor_labels: true", "extra_scrape_metrics: true"},
	"own timestamps":   {"honor_timestamps: false"},
	"tracked":          {"track_timestamps_staleness: true"},
	"sample limit":     {"sample_limit: 40"},
	"drop":             {"metric_relabel_configs: [{source_labels: [__name__], regex: 'm[0-3].*', action: drop}]"},
	"rename":           {"metric_relabel_configs: [{source_labels: [b], regex: 'with.*', target_label: __name__, replacement: one}]"},
	"legacy":           {"metric_name_validation_scheme: legacy", "metric_name_escaping_scheme: underscores"},
	"label limit":      {"label_limit: 5"},
	"name limit":       {"label_name_length_limit: 8"},
	"everything timed": {"scrape_native_histograms: true", "track_timestamps_staleness: true", "honor_labels: true"},
}

// TestFormatsAsPrometheus scrapes expositions of all types of metrics in all
// formats with both, and compares every bit that reaches storage: values,
// histograms, start timestamps, exemplars, metadata, staleness.
func TestFormatsAsPrometheus(t *testing.T) {
	for _, format := range slices.Sorted(maps.Keys(formats)) {
		for _, name := range slices.Sorted(maps.Keys(settingsOfJobs)) {
			t.Run(format+"/"+name, func(t *testing.T) {
				for seed := range *seeds {
					// Prometheus keeps the labels of series of a body that it refused halfway,
					// also if its lines were in disorder and the type was another's.
					f := features{startTimestamps: seed%2 == 1, typeAndUnitLabels: seed%8 == 2 && name != "sample limit"}
					timed := name != "rename"
					answers := answersIn(t, rand.New(rand.NewPCG(seed, 11)), format, 25, timed)
					requireSameAsUpstream(t, job(settingsOfJobs[name]...), f, answers)
				}
			})
		}
	}
}

// requireSameAsUpstream scrapes the answers with both.
func requireSameAsUpstream(t *testing.T, yaml string, f features, answers []answer) {
	t.Helper()
	want, got := scrapeUpstream(t, yaml, f, answers), scrapeOurs(t, yaml, f, answers)
	require.Len(t, want, len(answers))
	require.GreaterOrEqual(t, len(got), len(answers))
	requireSameRows(t, want, got[:len(answers)], answers)
}

// TestRecordedAsPrometheus scrapes recorded bodies of real targets, some of them
// damaged, with both.
func TestRecordedAsPrometheus(t *testing.T) {
	for _, name := range []string{"alertmanager", "etcd", "kubeapiserver", "node", "prometheus", "victoriametrics"} {
		t.Run(name, func(t *testing.T) {
			bodies := recordedBodies(t, name)
			rng := rand.New(rand.NewPCG(3, 12))
			var answers []answer
			for i := range 12 {
				body := slices.Clone(bodies[i%len(bodies)])
				body = body[:min(len(body), 200<<10)]
				if i%3 == 2 {
					body = damage(rng, "text", body)
				}
				answers = append(answers, answer{body: string(body)})
			}
			for _, f := range []features{{}, {typeAndUnitLabels: true}} {
				requireSameAsUpstream(t, job(), f, answers)
			}
		})
	}
}
