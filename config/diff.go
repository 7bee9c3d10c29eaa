package config

import (
	"reflect"
	"slices"

	promconfig "github.com/prometheus/prometheus/config"
)

// Changes say by how much a configuration differs from the one before.
type Changes struct {
	// Added, Removed, Changed and Unchanged are the names of scrape jobs. A
	// job has changed if anything about it has, secrets and values that come
	// from the global section included. Added, Changed and Unchanged are in
	// the order of the new configuration, Removed in that of the old one.
	Added, Removed, Changed, Unchanged []string
	// Sections are the names of the top-level sections that differ, apart from
	// scrape_configs and scrape_config_files, sorted. rule_files is among them
	// if the list of files or the content of one differs.
	Sections []string
}

// None reports whether nothing differs.
func (c Changes) None() bool {
	return len(c.Added)+len(c.Removed)+len(c.Changed)+len(c.Sections) == 0
}

// Section reports whether a top-level section differs.
func (c Changes) Section(name string) bool {
	return slices.Contains(c.Sections, name)
}

// Compare returns what a reload from one configuration to the next has to
// touch. A nil old configuration stands for nothing at all.
func Compare(before, after *Config) Changes {
	if before == nil {
		before = &Config{Prometheus: &promconfig.Config{}}
	}
	var c Changes
	old := map[string]*promconfig.ScrapeConfig{}
	for _, job := range before.ScrapeConfigs {
		old[job.JobName] = job
	}
	for _, job := range after.ScrapeConfigs {
		was, ok := old[job.JobName]
		delete(old, job.JobName)
		switch {
		case !ok:
			c.Added = append(c.Added, job.JobName)
		case reflect.DeepEqual(was, job):
			c.Unchanged = append(c.Unchanged, job.JobName)
		default:
			c.Changed = append(c.Changed, job.JobName)
		}
	}
	for _, job := range before.ScrapeConfigs {
		if _, ok := old[job.JobName]; ok {
			c.Removed = append(c.Removed, job.JobName)
		}
	}
	c.Sections = changedSections(before, after)
	return c
}

// changedSections compares everything but the scrape jobs.
func changedSections(before, after *Config) []string {
	a, b := before.Prometheus, after.Prometheus
	equal := map[string]bool{
		"global":       reflect.DeepEqual(a.GlobalConfig, b.GlobalConfig),
		"runtime":      reflect.DeepEqual(a.Runtime, b.Runtime),
		"alerting":     reflect.DeepEqual(a.AlertingConfig, b.AlertingConfig),
		"storage":      reflect.DeepEqual(a.StorageConfig, b.StorageConfig),
		"tracing":      reflect.DeepEqual(a.TracingConfig, b.TracingConfig),
		"remote_write": reflect.DeepEqual(a.RemoteWriteConfigs, b.RemoteWriteConfigs),
		"remote_read":  reflect.DeepEqual(a.RemoteReadConfigs, b.RemoteReadConfigs),
		"otlp":         reflect.DeepEqual(a.OTLPConfig, b.OTLPConfig),
		"rule_files":   slices.Equal(before.filesOf(RuleFile), after.filesOf(RuleFile)),
		sectionKey:     reflect.DeepEqual(before.Gnomon, after.Gnomon),
	}
	var changed []string
	for name, same := range equal {
		if !same {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return changed
}

// filesOf returns the files of a kind.
func (c *Config) filesOf(kind FileKind) []File {
	var some []File
	for _, f := range c.Files {
		if f.Kind == kind {
			some = append(some, f)
		}
	}
	return some
}
