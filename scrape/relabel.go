package scrape

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

// Labels by which discovery or relabelling configures a single target, besides
// those that package model names.
const (
	unixSocketLabel       = "__unix_socket__"
	classicToNHCBLabel    = "__convert_classic_histograms_to_nhcb__"
	keepClassicLabel      = "__always_scrape_classic_histograms__"
	nativeHistogramsLabel = "__scrape_native_histograms__"
)

// populateDiscoveredLabels fills lb with the labels that relabelling starts
// from: those of the target, of its group, and of the configuration of the job,
// in this order of precedence.
func populateDiscoveredLabels(lb *labels.Builder, job *config.ScrapeConfig, discovered, ofGroup model.LabelSet) {
	lb.Reset(labels.EmptyLabels())
	for name, value := range discovered {
		lb.Set(string(name), string(value))
	}
	for name, value := range ofGroup {
		if _, ok := discovered[name]; !ok {
			lb.Set(string(name), string(value))
		}
	}
	for _, l := range [...]labels.Label{
		{Name: model.JobLabel, Value: job.JobName},
		{Name: model.ScrapeIntervalLabel, Value: job.ScrapeInterval.String()},
		{Name: model.ScrapeTimeoutLabel, Value: job.ScrapeTimeout.String()},
		{Name: model.MetricsPathLabel, Value: job.MetricsPath},
		{Name: model.SchemeLabel, Value: job.Scheme},
		{Name: classicToNHCBLabel, Value: strconv.FormatBool(job.ConvertClassicHistogramsToNHCBEnabled())},
		{Name: keepClassicLabel, Value: strconv.FormatBool(job.AlwaysScrapeClassicHistogramsEnabled())},
		{Name: nativeHistogramsLabel, Value: strconv.FormatBool(job.ScrapeNativeHistogramsEnabled())},
	} {
		if lb.Get(l.Name) == "" {
			lb.Set(l.Name, l.Value)
		}
	}
	for name, values := range job.Params {
		if name = model.ParamLabelPrefix + name; len(values) > 0 && lb.Get(name) == "" {
			lb.Set(name, values[0])
		}
	}
}

// populateLabels returns the labels of a target after relabelling. They are
// empty, and the error nil, if relabelling dropped the target.
func populateLabels(lb *labels.Builder, job *config.ScrapeConfig, discovered, ofGroup model.LabelSet) (labels.Labels, error) {
	populateDiscoveredLabels(lb, job, discovered, ofGroup)
	if !relabel.ProcessBuilder(lb, job.RelabelConfigs...) {
		return labels.EmptyLabels(), nil
	}
	address := lb.Get(model.AddressLabel)
	if address == "" {
		return labels.EmptyLabels(), errors.New("no address")
	}
	if err := config.CheckTargetAddress(model.LabelValue(address)); err != nil {
		return labels.EmptyLabels(), err
	}
	if err := checkScrapeLabels(lb); err != nil {
		return labels.EmptyLabels(), err
	}
	// Meta labels end here. The other internal ones stay with the target, which
	// is configured by them, but are not labels of its samples.
	lb.Range(func(l labels.Label) {
		if strings.HasPrefix(l.Name, model.MetaLabelPrefix) {
			lb.Del(l.Name)
		}
	})
	if lb.Get(model.InstanceLabel) == "" {
		lb.Set(model.InstanceLabel, address)
	}
	ls := lb.Labels()
	err := ls.Validate(func(l labels.Label) error {
		if !model.LabelValue(l.Value).IsValid() {
			return fmt.Errorf("invalid label value for %q: %q", l.Name, l.Value)
		}
		return nil
	})
	if err != nil {
		return labels.EmptyLabels(), err
	}
	return ls, nil
}

// checkScrapeLabels checks the labels by which a target is configured.
func checkScrapeLabels(lb *labels.Builder) error {
	interval, err := positiveDuration(lb, model.ScrapeIntervalLabel, "scrape interval")
	if err != nil {
		return err
	}
	timeout, err := positiveDuration(lb, model.ScrapeTimeoutLabel, "scrape timeout")
	if err != nil {
		return err
	}
	if timeout > interval {
		return fmt.Errorf("scrape timeout cannot be greater than scrape interval (%q > %q)",
			lb.Get(model.ScrapeTimeoutLabel), lb.Get(model.ScrapeIntervalLabel))
	}
	for _, l := range [...]struct{ name, meaning string }{
		{classicToNHCBLabel, "convert classic histograms to nhcb"},
		{keepClassicLabel, "always scrape classic histograms"},
		{nativeHistogramsLabel, "scrape native histograms"},
	} {
		if v := lb.Get(l.name); v != "" {
			if _, err := strconv.ParseBool(v); err != nil {
				return fmt.Errorf("error parsing %s: %w", l.meaning, err)
			}
		}
	}
	return nil
}

func positiveDuration(lb *labels.Builder, name, meaning string) (time.Duration, error) {
	d, err := model.ParseDuration(lb.Get(name))
	if err != nil {
		return 0, fmt.Errorf("error parsing %s: %w", meaning, err)
	}
	if d == 0 {
		return 0, fmt.Errorf("%s cannot be 0", meaning)
	}
	return time.Duration(d), nil
}
