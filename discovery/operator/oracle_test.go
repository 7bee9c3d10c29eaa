package operator

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/config"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v2"

	_ "github.com/gnomonhq/gnomon/discovery/plugins"
)

// recording is a golden file: what the Operator makes of a case. testdata/upstream
// writes it.
type recording struct {
	Config   string            `yaml:"config"`
	Rejected map[string]string `yaml:"rejected"`
	Rules    map[string]string `yaml:"rules"`
}

func readRecording(t *testing.T, name string) recording {
	content, err := os.ReadFile(filepath.Join("testdata/golden", name+".yaml"))
	require.NoError(t, err)
	var r recording
	require.NoError(t, yaml.UnmarshalStrict(content, &r))
	return r
}

// jobsOf returns the jobs of a configuration file by name.
func jobsOf(t *testing.T, content string) map[string]*config.ScrapeConfig {
	loaded, err := config.Load(content, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	all, err := loaded.GetScrapeConfigs()
	require.NoError(t, err)
	jobs := map[string]*config.ScrapeConfig{}
	for _, j := range all {
		jobs[j.JobName] = j
	}
	return jobs
}

// refusedByPrometheus are the cases whose recording no Prometheus loads, so that the
// Operator's users have the configuration before the objects came.
var refusedByPrometheus = []string{"broken"}

// differentJobs are the jobs that are meant to differ from the Operator's, by case and
// job, with the reason.
var differentJobs = map[string]map[string]string{
	"scrapeclass": {
		"serviceMonitor/monitoring/secret/0": classCredentials,
		"podMonitor/monitoring/secret/0":     classCredentials,
	},
}

const classCredentials = "the Operator does not find the credentials of a scrape class and sends none"

// differentRejections are the objects that only one of both rejects, by case and object,
// with the reason.
var differentRejections = map[string]map[string]string{}

// TestJobsAreThoseOfTheOperator compares effective scrape configurations: what is left
// when defaults and global settings are applied.
func TestJobsAreThoseOfTheOperator(t *testing.T) {
	revealSecrets(t)
	for _, name := range corpusCases(t) {
		if slices.Contains(refusedByPrometheus, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			recorded := readRecording(t, name)
			want := jobsOf(t, recorded.Config)
			got := map[string]*config.ScrapeConfig{}
			rejected := map[string]string{}
			for _, r := range readCorpus(t, name).generate(t) {
				if r.Rejection != nil {
					rejected[fmt.Sprintf("%s/%s/%s", r.Kind, r.Namespace, r.Name)] = r.Rejection.Message
				}
				for _, j := range r.Jobs {
					got[j.JobName] = j
				}
			}
			compareRejections(t, recorded.Rejected, rejected, differentRejections[name])
			compareJobs(t, want, got, differentJobs[name])
		})
	}
}

func compareRejections(t *testing.T, want, got, different map[string]string) {
	for _, object := range slices.Sorted(maps.Keys(merged(want, got))) {
		w, theirs := want[object]
		g, ours := got[object]
		if _, meant := different[object]; meant != (theirs != ours) {
			t.Errorf("%s: the Operator rejects it: %v (%s); we do: %v (%s)", object, theirs, w, ours, g)
		}
	}
}

func compareJobs(t *testing.T, want, got map[string]*config.ScrapeConfig, different map[string]string) {
	for _, job := range slices.Sorted(maps.Keys(merged(want, got))) {
		_, meant := different[job]
		if same := reflect.DeepEqual(want[job], got[job]); same == meant {
			t.Errorf("job %s: meant to differ: %v", job, meant)
			require.Equal(t, text(t, want[job]), text(t, got[job]))
		}
	}
}

func merged[V any](a, b map[string]V) map[string]V {
	m := maps.Clone(a)
	if m == nil {
		m = map[string]V{}
	}
	maps.Copy(m, b)
	return m
}

// text returns a job as YAML with its secrets.
func text(t *testing.T, job *config.ScrapeConfig) string {
	content, err := yaml.Marshal(job)
	require.NoError(t, err)
	return string(content)
}

// revealSecrets makes differences between secrets readable.
func revealSecrets(t *testing.T) {
	commonconfig.MarshalSecretValue = true
	t.Cleanup(func() { commonconfig.MarshalSecretValue = false })
}
