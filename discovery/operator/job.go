package operator

import (
	"errors"
	"regexp"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v2"
)

// job reads a section as a scrape configuration of a file would be read, and completes
// it by the global settings. What is wrong with it is a fault of the field at path.
func (o *object) job(path string, s section) *config.ScrapeConfig {
	if !o.sound() {
		return nil // What is known to be bad would only be said a second time.
	}
	content, err := yaml.Marshal(s)
	if err != nil {
		o.fault(path, err)
		return nil
	}
	job := &config.ScrapeConfig{}
	if err := yaml.UnmarshalStrict(content, job); err != nil {
		o.fault(path, withoutLines(err))
		return nil
	}
	if err := job.Validate(o.global); err != nil {
		o.fault(path, err)
		return nil
	}
	return job
}

// linesOfYAML are what a decoder says of the text of a section, which nobody has seen.
var linesOfYAML = regexp.MustCompile(`(yaml: )?(unmarshal errors:\s*)?line \d+: `)

// withoutLines returns the error without line numbers, in one line.
func withoutLines(err error) error {
	return errors.New(strings.Join(strings.Fields(linesOfYAML.ReplaceAllString(err.Error(), "")), " "))
}

// schedule checks and adds how often a job is scraped. The interval of the settings
// counts if the object has none.
func (o *object) schedule(s *section, path string, interval, timeout monitoringv1.Duration) {
	s.text("scrape_interval", string(interval))
	s.text("scrape_timeout", string(timeout))
	every := o.duration(path, "scrape interval", interval)
	if every == 0 {
		every = o.global.ScrapeInterval
	}
	if within := o.duration(path, "scrape timeout", timeout); within > every {
		o.fault(path, errors.New("scrape timeout "+within.String()+" is greater than the scrape interval "+every.String()))
	}
}

// duration returns a duration of an object, 0 if it is absent or bad.
func (o *object) duration(path, name string, text monitoringv1.Duration) model.Duration {
	if text == "" {
		return 0
	}
	d, err := model.ParseDuration(string(text))
	if err != nil {
		o.fault(path, errors.New(name+": "+err.Error()))
	}
	return d
}

// honor adds whether labels and timestamps of samples win, which the settings may forbid.
func (o *object) honor(s *section, labels bool, timestamps, staleness *bool) {
	s.set("honor_labels", labels && !o.spec.OverrideHonorLabels)
	if timestamps != nil || o.spec.OverrideHonorTimestamps {
		s.set("honor_timestamps", timestamps != nil && *timestamps && !o.spec.OverrideHonorTimestamps)
	}
	some(s, "track_timestamps_staleness", staleness)
}
