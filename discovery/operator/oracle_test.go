package operator

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/azure"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v2"

	"github.com/gnomonhq/gnomon/alerting/rules"
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
var differentRejections = map[string]map[string]string{
	"rules-enforced": {
		"PrometheusRule/shop/broken": "the Operator leaves it out and says nothing",
	},
}

// differentRules are the rule files that are meant to differ, by case and file, with
// what the Operator's has to become.
var differentRules = map[string]map[string]func([]rules.GroupSpec){
	"rules-enforced": {
		// The Operator does not enforce the namespace in parameters of aggregations.
		"shop-parameter-.yaml": func(groups []rules.GroupSpec) {
			parameter := groups[0].Rules[0].Expr.(*parser.AggregateExpr).Param.(*parser.Call).Args[0].(*parser.VectorSelector)
			parameter.LabelMatchers = append(parameter.LabelMatchers, labels.MustNewMatcher(labels.MatchEqual, "tenant", "shop"))
		},
	},
}

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
			got, files := map[string]*config.ScrapeConfig{}, map[string]string{}
			rejected := map[string]string{}
			for _, r := range readCorpus(t, name).generate(t) {
				if r.Rejection != nil {
					rejected[fmt.Sprintf("%s/%s/%s", r.Kind, r.Namespace, r.Name)] = r.Rejection.Message
				}
				for _, j := range r.Jobs {
					got[j.JobName] = j
				}
				if r.Rules != nil {
					files[fmt.Sprintf("%s-%s-.yaml", r.Namespace, r.Name)] = string(r.Rules.Content)
				}
			}
			compareRejections(t, recorded.Rejected, rejected, differentRejections[name])
			compareJobs(t, want, got, differentJobs[name])
			compareRules(t, recorded, files, differentRules[name])
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

// compareRules compares what the server reads of rule files. The Operator leaves what
// groups do not say to the global settings, which are in ours.
func compareRules(t *testing.T, recorded recording, got map[string]string, different map[string]func([]rules.GroupSpec)) {
	loaded, err := config.Load(recorded.Config, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	for file := range different {
		require.Contains(t, recorded.Rules, file)
	}
	for _, file := range slices.Sorted(maps.Keys(merged(recorded.Rules, got))) {
		if !assert.Contains(t, recorded.Rules, file) || !assert.Contains(t, got, file) {
			continue
		}
		want := groupsOf(t, recorded.Rules[file])
		for i := range want {
			if want[i].Interval == 0 {
				want[i].Interval = time.Duration(loaded.GlobalConfig.EvaluationInterval)
			}
			if want[i].QueryOffset == nil && loaded.GlobalConfig.RuleQueryOffset != 0 {
				want[i].QueryOffset = new(time.Duration(loaded.GlobalConfig.RuleQueryOffset))
			}
		}
		ours := groupsOf(t, got[file])
		if change := different[file]; change != nil {
			require.NotEqual(t, rulesText(want), rulesText(ours), file)
			change(want)
		}
		assert.Equal(t, rulesText(want), rulesText(ours), file)
	}
}

func groupsOf(t *testing.T, content string) []rules.GroupSpec {
	f, err := rules.Reader{}.Parse("rules", []byte(content))
	require.NoError(t, err)
	return f.Groups
}

// rulesText prints groups with their expressions, whose positions do not count.
func rulesText(groups []rules.GroupSpec) string {
	var b strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&b, "%s interval %s offset %v limit %d %v\n", g.Name, g.Interval, value(g.QueryOffset), g.Limit, g.Labels)
		for _, r := range g.Rules {
			fmt.Fprintf(&b, "  %s %s for %s keep %s %v %v: %s\n", r.Record, r.Alert, r.For, r.KeepFiringFor, r.Labels, r.Annotations, r.Expr)
		}
	}
	return b.String()
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
