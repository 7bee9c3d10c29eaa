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
	"github.com/prometheus/prometheus/discovery/azure"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/stretchr/testify/assert"
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

// difference is one that is meant: what the Operator's job has to become.
type difference struct {
	reason string
	change func(*config.ScrapeConfig)
}

// differentJobs are the jobs that are meant to differ from the Operator's, by case and
// job.
var differentJobs = map[string]map[string]difference{
	"scrapeclass": {
		"serviceMonitor/monitoring/secret/0": classCredentials,
		"podMonitor/monitoring/secret/0":     classCredentials,
		"probe/monitoring/secret":            classCredentials,
		"scrapeConfig/monitoring/secret":     classCredentials,
	},
	"governance": {
		"scrapeConfig/shop/lower":      overriddenTimestamps,
		"scrapeConfig/shop/timestamps": overriddenTimestamps,
		"scrapeConfig/shop/unrelabelled": {
			"the Operator enforces the namespace label on targets with relabelling only, so that up has none",
			func(c *config.ScrapeConfig) {
				enforced := relabel.DefaultRelabelConfig
				enforced.TargetLabel, enforced.Replacement = "tenant", "shop"
				enforced.NameValidationScheme = c.MetricNameValidationScheme
				enforced.Regex = c.RelabelConfigs[0].Regex
				c.RelabelConfigs = append(c.RelabelConfigs, &enforced)
			},
		},
	},
	"scrapeconfig-mechanisms": {
		"scrapeConfig/shop/azure-environment-auth": {
			"the Operator loses the credentials for Azure if there is an environment",
			func(c *config.ScrapeConfig) {
				azureClient(c).Authorization = &commonconfig.Authorization{Type: "Token", Credentials: "abc123"}
			},
		},
		"scrapeConfig/shop/azure-connection": {
			"the Operator does not pass on the settings of connections to Azure",
			func(c *config.ScrapeConfig) {
				client := azureClient(c)
				client.FollowRedirects, client.EnableHTTP2 = false, false
				client.TLSConfig.InsecureSkipVerify = true
				client.TLSConfig.CA = corpusCertificate
			},
		},
	},
}

var classCredentials = difference{
	"the Operator does not find the credentials of a scrape class and sends none",
	func(c *config.ScrapeConfig) { c.HTTPClientConfig.Authorization.Credentials = "abc123" },
}

var overriddenTimestamps = difference{
	"the Operator overrides timestamps of a ScrapeConfig only if it says something about them",
	func(c *config.ScrapeConfig) { c.HonorTimestamps = false },
}

func azureClient(c *config.ScrapeConfig) *commonconfig.HTTPClientConfig {
	return &c.ServiceDiscoveryConfigs[0].(*azure.SDConfig).HTTPClientConfig
}

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

func compareJobs(t *testing.T, want, got map[string]*config.ScrapeConfig, different map[string]difference) {
	for job := range different {
		require.Contains(t, want, job)
	}
	for _, job := range slices.Sorted(maps.Keys(merged(want, got))) {
		if d, meant := different[job]; meant {
			require.False(t, reflect.DeepEqual(want[job], got[job]), "%s no longer differs: %s", job, d.reason)
			d.change(want[job])
		}
		if !reflect.DeepEqual(want[job], got[job]) {
			assert.Equal(t, text(t, want[job]), text(t, got[job]), job)
			t.Errorf("job %s differs", job)
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
