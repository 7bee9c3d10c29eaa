package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// sectionKey is the top-level key of our own settings.
const sectionKey = "gnomon"

// Section holds Gnomon's own settings, those that Prometheus does not have. The
// tags doc are the text of documentation/reference/configuration.md.
type Section struct {
	Operator Operator `yaml:"operator,omitempty" doc:"Jobs and rules from the Prometheus Operator's objects in Kubernetes, without an operator. Off without a name."`
	Scrape   Scrape   `yaml:"scrape,omitempty" doc:"Scraping."`
	Storage  Storage  `yaml:"storage,omitempty" doc:"The database."`
}

// Operator says which objects of the Prometheus Operator become jobs and rules. It is off
// in its zero value.
type Operator struct {
	Namespace      string         `yaml:"namespace,omitempty" doc:"The namespace of the Prometheus object that the server stands for. Objects are taken from it where the spec has no namespace selector."`
	Name           string         `yaml:"name,omitempty" doc:"The name of that object, which need not exist. It is in the status of objects."`
	KubeConfigFile string         `yaml:"kubeconfig_file,omitempty" doc:"How to reach the API server. By default as the service account of the pod that the server runs in."`
	WriteStatus    bool           `yaml:"write_status,omitempty" doc:"Write into the status of each object whether it was accepted, and why not. Needs the right to patch their status."`
	Spec           map[string]any `yaml:"spec,omitempty" doc:"The spec of the Prometheus object: selectors of objects and of namespaces, limits, scrape classes and the like, by their names there. A selector that is absent selects nothing, {} selects all. Fields about pods and volumes have no effect."`
}

// Enabled reports whether objects are followed at all.
func (o *Operator) Enabled() bool { return o.Name != "" }

// Scrape is about scraping.
type Scrape struct {
	Limits []SeriesLimit `yaml:"limits,omitempty" doc:"Bounds of the series that a target exposes at one time. What a target exposes already goes on, even if it is more; only new series beyond the limit are refused, and named in /api/v1/targets/scrapes. sample_limit of a scrape configuration, in contrast, fails the scrape."`
}

// SeriesLimit bounds the series of the targets of a job.
type SeriesLimit struct {
	Job             string `yaml:"job,omitempty" doc:"The job_name of a scrape configuration. Without it the limit is that of all jobs that have none of their own."`
	SeriesPerTarget int    `yaml:"series_per_target" doc:"Series of one target, after metric_relabel_configs; those that the server makes about a scrape, such as up, do not count. -1 is no bound."`
}

// Storage is about the database.
type Storage struct {
	RetentionRules []RetentionRule `yaml:"retention_rules,omitempty" doc:"How long the samples of some series are kept, shorter or longer than storage.tsdb.retention.time. The first rule that matches a series counts; series that none matches are kept as that setting says. Retention by size or percentage deletes the oldest blocks all the same."`
	Rollups        []Rollup        `yaml:"rollups,omitempty" doc:"Resolutions that are made of the samples and kept beside them, so that queries over long times read less and history outlives the samples. None by default."`
	Limits         Limits          `yaml:"limits,omitempty" doc:"Bounds of what becomes a series. Series that there are go on; a scrape keeps its other series. Those that a scrape makes about itself, such as up, are not refused for the number of series."`
}

// RetentionRule says how long some series are kept.
type RetentionRule struct {
	Match Matchers       `yaml:"match" doc:"A selector of series, such as '{job=\"debug\"}'."`
	Time  model.Duration `yaml:"time" doc:"How long their samples are kept, counted from the newest sample of the database. They disappear from queries when this is over, in steps of two hours, once they are in a block, so after three hours at least; the disk space is reclaimed in the background. Rollups are kept as long as their resolution is."`
}

// Rollup is a resolution of rollups.
type Rollup struct {
	Resolution model.Duration `yaml:"resolution" doc:"The length of time that becomes one bucket, such as 5m or 1h: a multiple of a minute, and of each finer resolution."`
	After      model.Duration `yaml:"after,omitempty" doc:"The age that samples have at least when they are rolled up. An hour more than storage.tsdb.out_of_order_time_window by default. What comes later is heeded all the same."`
	Retention  model.Duration `yaml:"retention,omitempty" doc:"How long the rollups are kept, counted from the newest sample of the database. For ever by default. Retention by size or percentage deletes the oldest blocks all the same."`
}

// Limits are bounds of what becomes a series. 0 is the default.
type Limits struct {
	Series           int `yaml:"series,omitempty" doc:"Series in memory. By default there is no bound."`
	SeriesPerJob     int `yaml:"series_per_job,omitempty" doc:"Series in memory with the same label job. By default there is no bound."`
	LabelsPerSeries  int `yaml:"labels_per_series,omitempty" doc:"Labels of a series, the metric name included. 512 by default; -1 is no bound."`
	LabelNameLength  int `yaml:"label_name_length,omitempty" doc:"Bytes of a label's name. 4096 by default; -1 is no bound."`
	LabelValueLength int `yaml:"label_value_length,omitempty" doc:"Bytes of a label's value. 65536 by default; -1 is no bound."`
}

// Matchers is a selector in the configuration file.
type Matchers struct {
	// Text is as it was written.
	Text string
	List []*labels.Matcher
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (m *Matchers) UnmarshalYAML(n *yaml.Node) error {
	if err := n.Decode(&m.Text); err != nil {
		return err
	}
	var err error
	if m.List, err = parser.NewParser(parser.Options{}).ParseMetricSelector(m.Text); err != nil {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: selector %q: %v", n.Line, m.Text, err)}}
	}
	return nil
}

// MarshalYAML implements yaml.Marshaler.
func (m Matchers) MarshalYAML() (any, error) { return m.Text, nil }

// parseSection decodes the text that [document.cutSection] returned, in which
// everything but our section is blank. Empty text yields the zero value.
func parseSection(name string, text []byte) (Section, error) {
	if len(text) == 0 {
		return Section{}, nil
	}
	doc := parseDocument(name, text)
	s, err := decodeSection(text)
	if err != nil {
		return Section{}, doc.faults(err, func(text []byte) error {
			_, err := decodeSection(text)
			return err
		})
	}
	return s, s.validate(doc)
}

func decodeSection(text []byte) (Section, error) {
	var root struct {
		Gnomon Section `yaml:"gnomon"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return Section{}, err
	}
	return root.Gnomon, nil
}

// validate checks what the types do not. doc has the section's text.
func (s *Section) validate(doc *document) error {
	var faults []Fault
	list := child(child(child(doc.root, sectionKey), "storage"), "retention_rules")
	for i, r := range s.Storage.RetentionRules {
		at := place{path: fmt.Sprintf("%s.storage.retention_rules[%d]", sectionKey, i), line: list.Content[i].Line}
		if r.Match.List == nil {
			faults = append(faults, doc.faultAt(at, "match is missing: it selects the series of the rule"))
		}
		if r.Time <= 0 {
			faults = append(faults, doc.faultAt(at, "time must be above 0, such as 30d"))
		}
	}
	list = child(child(child(doc.root, sectionKey), "storage"), "rollups")
	for i, r := range s.Storage.Rollups {
		if d := time.Duration(r.Resolution); d <= 0 || d%time.Minute != 0 {
			at := place{path: fmt.Sprintf("%s.storage.rollups[%d]", sectionKey, i), line: list.Content[i].Line}
			faults = append(faults, doc.faultAt(at, "resolution must be a multiple of a minute, such as 5m"))
		}
	}
	if o := &s.Operator; !reflect.ValueOf(*o).IsZero() && (o.Namespace == "" || o.Name == "") {
		at := place{path: sectionKey + ".operator", line: child(child(doc.root, sectionKey), "operator").Line}
		faults = append(faults, doc.faultAt(at, "namespace and name must both be set: they are those of the Prometheus object that the server stands for"))
	}
	if len(faults) > 0 {
		return &Error{Faults: faults}
	}
	return nil
}

// validateScrape checks what is about jobs. doc has the section's text.
func (s *Section) validateScrape(doc *document, jobs []*promconfig.ScrapeConfig) error {
	var faults []Fault
	list := child(child(child(doc.root, sectionKey), "scrape"), "limits")
	first := map[string]int{}
	for i, l := range s.Scrape.Limits {
		at := place{path: fmt.Sprintf("%s.scrape.limits[%d]", sectionKey, i), line: list.Content[i].Line}
		if l.SeriesPerTarget < -1 || l.SeriesPerTarget == 0 {
			faults = append(faults, doc.faultAt(at, "series_per_target must be above 0, or -1 for no bound"))
		}
		if line, twice := first[l.Job]; twice {
			faults = append(faults, doc.faultAt(at, fmt.Sprintf("there is a limit of job %q already, on line %d", l.Job, line)))
		} else {
			first[l.Job] = at.line
		}
		if l.Job != "" && !slices.ContainsFunc(jobs, func(j *promconfig.ScrapeConfig) bool { return j.JobName == l.Job }) {
			faults = append(faults, doc.faultAt(at, fmt.Sprintf("there is no scrape configuration with the job_name %q", l.Job)))
		}
	}
	if len(faults) > 0 {
		return &Error{Faults: faults}
	}
	return nil
}
