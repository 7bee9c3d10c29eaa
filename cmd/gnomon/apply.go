package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	promconfig "github.com/prometheus/prometheus/config"

	"github.com/gnomonhq/gnomon/alerting/rules"
	"github.com/gnomonhq/gnomon/config"
	"github.com/gnomonhq/gnomon/discovery"
	"github.com/gnomonhq/gnomon/internal/machine"
	"github.com/gnomonhq/gnomon/scrape"
	"github.com/gnomonhq/gnomon/tsdb"
	"github.com/gnomonhq/gnomon/web"
)

// defaults are what the configuration that is built in watches.
func (s *server) defaults() config.DefaultOptions {
	prefix := s.opts.web.routePrefix
	if prefix == "/" {
		prefix = ""
	}
	d := config.DefaultOptions{Address: s.opts.web.listenAddresses[0], MetricsPath: prefix + "/metrics"}
	if machine.Available {
		d.MachinePath = prefix + web.MachinePath
	}
	if name, err := os.Hostname(); err == nil {
		d.MachineName = name
	}
	return d
}

// storageOptions are those of the database at start: the flags, and the
// configuration that has just been loaded.
func (s *server) storageOptions() tsdb.Options {
	f := &s.opts.storage
	return tsdb.Options{
		Logger: s.component("tsdb"), Registerer: s.registry,
		Reloadable:       reloadableStorage(s.reloader.current.Load()),
		MinBlockDuration: f.minBlockDuration, MaxBlockDuration: f.maxBlockDuration,
		WALSync: f.walSync, WALUncompressed: !f.walCompression, WALSegmentBytes: int64(f.walSegmentBytes), WALCheckpointBytes: int64(f.walCheckpointBytes),
		ReservedBytes: int64(f.reservedBytes), NoLockfile: f.noLockfile,
		OnReplay:           func(r tsdb.ReplayStatus) { s.store.replay.Store(&r) },
		ReplayInBackground: true, FS: s.fs,
	}
}

// reloadableStorage reads what a reload can change of the database. The flags'
// retention has become the configuration's where that had none.
func reloadableStorage(c *config.Config) tsdb.Reloadable {
	own := &c.Gnomon.Storage
	r := tsdb.Reloadable{
		MaxSeries: max(own.Limits.Series, 0), MaxSeriesPerJob: max(own.Limits.SeriesPerJob, 0),
		MaxLabels: own.Limits.LabelsPerSeries, MaxLabelNameBytes: own.Limits.LabelNameLength, MaxLabelValueBytes: own.Limits.LabelValueLength,
	}
	for _, rule := range own.RetentionRules {
		r.RetentionRules = append(r.RetentionRules, tsdb.RetentionRule{Matchers: rule.Match.List, Time: time.Duration(rule.Time)})
	}
	for _, x := range own.Rollups {
		r.Rollups = append(r.Rollups, tsdb.Rollup{Resolution: time.Duration(x.Resolution), After: time.Duration(x.After), Retention: time.Duration(x.Retention)})
	}
	if t := c.Prometheus.StorageConfig.TSDBConfig; t != nil {
		r.StaleSeriesThreshold = t.StaleSeriesCompactionThreshold
		r.OutOfOrderWindow = time.Duration(t.OutOfOrderTimeWindow) * time.Millisecond
		if t.Retention != nil {
			r.Retention, r.RetentionBytes = time.Duration(t.Retention.Time), int64(t.Retention.Size)
			r.RetentionPercentage = t.Retention.Percentage
			if r.Retention == 0 && (r.RetentionBytes != 0 || r.RetentionPercentage != 0) {
				r.Retention = -1 // bounded by size only
			}
		}
	}
	if e := c.Prometheus.StorageConfig.ExemplarsConfig; e != nil {
		r.MaxExemplars = int(e.MaxExemplars)
		if e.MaxExemplars <= 0 {
			r.MaxExemplars = -1
		}
	}
	return r
}

// applyRuntime sets what the process as a whole has to heed. GOGC is written to
// the environment as well, since that is what the status API shows.
func (s *server) applyRuntime(c *config.Config) error {
	gogc := c.Prometheus.Runtime.GoGC
	debug.SetGCPercent(gogc)
	shown := "off"
	if gogc >= 0 {
		shown = strconv.Itoa(gogc)
	}
	if err := os.Setenv("GOGC", shown); err != nil {
		return err
	}
	return s.opts.log.Level.Set(string(c.Prometheus.Runtime.LogLevel))
}

func (s *server) applyStorage(c *config.Config) error {
	db, err := s.store.get()
	if err != nil {
		return nil // it opens with the configuration that is being loaded
	}
	return db.ApplyConfig(reloadableStorage(c))
}

// jobs are all there are: those of the configuration, scrape_config_files included, and
// those of the Operator's objects.
func (s *server) jobs(c *config.Config) []*promconfig.ScrapeConfig {
	return append(slices.Clip(c.ScrapeConfigs), s.operator.jobs(c.ScrapeConfigs)...)
}

// applyScrape hands all jobs over.
func (s *server) applyScrape(c *config.Config) error {
	whole := *c.Prometheus
	whole.ScrapeConfigs, whole.ScrapeConfigFiles = s.jobs(c), nil
	return s.scraper.ApplyConfig(&whole, seriesLimits(&c.Gnomon.Scrape))
}

func seriesLimits(s *config.Scrape) scrape.SeriesLimits {
	limits := scrape.SeriesLimits{ByJob: map[string]int{}}
	for _, l := range s.Limits {
		if l.Job == "" {
			limits.PerTarget = max(l.SeriesPerTarget, 0)
		} else {
			limits.ByJob[l.Job] = max(l.SeriesPerTarget, 0)
		}
	}
	return limits
}

func (s *server) applyTargetDiscovery(c *config.Config) error {
	sets := map[string]discovery.Configs{}
	for _, job := range s.jobs(c) {
		sets[job.JobName] = job.ServiceDiscoveryConfigs
	}
	return s.targetDiscovery.ApplyConfig(sets)
}

func (s *server) applyAlertDiscovery(c *config.Config) error {
	sets := map[string]discovery.Configs{}
	for key, section := range c.Prometheus.AlertingConfig.AlertmanagerConfigs.ToMap() {
		sets[key] = section.ServiceDiscoveryConfigs
	}
	return s.alertDiscovery.ApplyConfig(sets)
}

func (s *server) applyRules(c *config.Config) error {
	global := &c.Prometheus.GlobalConfig
	err := s.rules.Update(rules.Config{
		Files: c.RuleFiles, Interval: time.Duration(global.EvaluationInterval),
		QueryOffset: time.Duration(global.RuleQueryOffset), ExternalLabels: global.ExternalLabels,
		NameValidation: global.MetricNameValidationScheme,
	})
	if err != nil {
		return fmt.Errorf("rule files: %w", err)
	}
	return nil
}
