package config

import (
	"fmt"
	"path/filepath"

	promconfig "github.com/prometheus/prometheus/config"
	yamlv2 "go.yaml.in/yaml/v2"
	"go.yaml.in/yaml/v3"
)

// allScrapeConfigs returns the jobs of the main file and of the files that
// scrape_config_files name, validated. Upstream would read those files again
// at every call; here one load reads every file once.
func allScrapeConfigs(c *promconfig.Config, main *document, f files) ([]*promconfig.ScrapeConfig, error) {
	jobs := append([]*promconfig.ScrapeConfig(nil), c.ScrapeConfigs...)
	origin := map[string]string{}
	for i, job := range c.ScrapeConfigs {
		origin[job.JobName] = jobOrigin(main, i)
	}
	for _, pattern := range c.ScrapeConfigFiles {
		names, err := main.expand("scrape_config_files", pattern, f)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			more, doc, err := scrapeConfigsOf(name, c.GlobalConfig, f)
			if err != nil {
				return nil, err
			}
			for i, job := range more {
				if first, ok := origin[job.JobName]; ok {
					return nil, &Error{Faults: []Fault{doc.faultAt(doc.placeOfJob(i),
						fmt.Sprintf("found multiple scrape configs with job name %q (first in %s)", job.JobName, first))}}
				}
				origin[job.JobName] = jobOrigin(doc, i)
			}
			jobs = append(jobs, more...)
		}
	}
	return jobs, nil
}

// scrapeConfigsOf loads one of scrape_config_files.
func scrapeConfigsOf(name string, global promconfig.GlobalConfig, f files) ([]*promconfig.ScrapeConfig, *document, error) {
	content, err := f.read(name)
	if err != nil {
		return nil, nil, fmt.Errorf("scrape config file: %w", err)
	}
	doc := parseDocument(name, content)
	jobs, err := decodeScrapeFile(doc.text, global)
	if err != nil {
		return nil, nil, doc.faults(err, func(text []byte) error {
			_, err := decodeScrapeFile(text, global)
			return err
		})
	}
	for _, job := range jobs {
		job.SetDirectory(filepath.Dir(name))
	}
	return jobs, doc, nil
}

// decodeScrapeFile decodes and validates the text of a scrape config file. Job
// names that repeat are not its business.
func decodeScrapeFile(text []byte, global promconfig.GlobalConfig) (jobs []*promconfig.ScrapeConfig, err error) {
	defer func() {
		if r := recover(); r != nil {
			jobs, err = nil, fmt.Errorf("decoding panicked: %v", r)
		}
	}()
	var content promconfig.ScrapeConfigs
	if err := yamlv2.UnmarshalStrict(text, &content); err != nil {
		return nil, err
	}
	for _, job := range content.ScrapeConfigs {
		if err := job.Validate(global); err != nil {
			return nil, err
		}
	}
	return content.ScrapeConfigs, nil
}

// placeOfJob finds the i-th job of a document; without a line if there is no tree.
func (d *document) placeOfJob(i int) place {
	list := child(d.root, "scrape_configs")
	if list == nil || list.Kind != yaml.SequenceNode || i >= len(list.Content) {
		return place{path: fmt.Sprintf("scrape_configs[%d]", i)}
	}
	at, _ := placeOf(d.root, list.Content[i])
	return at
}

// expand returns the files that match a pattern in a top-level list.
func (d *document) expand(key, pattern string, f files) ([]string, error) {
	names, err := f.glob(pattern)
	if err != nil {
		message := fmt.Sprintf("pattern %q: %v", pattern, err)
		return nil, &Error{Faults: []Fault{d.faultAt(d.placeOfItem(key, pattern), message)}, Cause: err}
	}
	return names, nil
}

// placeOfItem finds the item of a top-level list of strings that ends as value
// does, which had a folder put before it.
func (d *document) placeOfItem(key, value string) place {
	at := place{path: key}
	list := child(d.root, key)
	if list == nil {
		return at
	}
	at, _ = placeOf(d.root, list)
	for _, item := range list.Content {
		if item.Kind == yaml.ScalarNode && filepath.Base(item.Value) == filepath.Base(value) {
			at, _ = placeOf(d.root, item)
			break
		}
	}
	return at
}

// jobOrigin names the file and line of the i-th job of a document.
func jobOrigin(d *document, i int) string {
	if line := d.placeOfJob(i).line; line > 0 {
		return fmt.Sprintf("%s:%d", d.name, line)
	}
	return d.name
}
