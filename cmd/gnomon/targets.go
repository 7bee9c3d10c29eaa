package main

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v2"

	"github.com/gnomonhq/gnomon/scrape"
	"github.com/gnomonhq/gnomon/web/api"
)

// apiTargets shows what is scraped to the HTTP API.
type apiTargets struct{ scraper *scrape.Manager }

func (t apiTargets) ScrapePools() []string { return t.scraper.ScrapePools() }

func (t apiTargets) ActiveTargets() map[string][]api.Target {
	out := map[string][]api.Target{}
	for pool, targets := range t.scraper.TargetsActive() {
		sortTargets(targets)
		for _, target := range targets {
			out[pool] = append(out[pool], apiTarget(target))
		}
	}
	return out
}

// sortTargets sorts in the order in which a person looks for one.
func sortTargets(targets []*scrape.Target) {
	slices.SortFunc(targets, func(a, b *scrape.Target) int {
		return strings.Compare(a.Labels().Get(model.InstanceLabel), b.Labels().Get(model.InstanceLabel))
	})
}

// ScrapeHistory is an api.ScrapeHistory.
func (t apiTargets) ScrapeHistory(pool string, scrapes int) iter.Seq[api.ScrapedTarget] {
	return func(yield func(api.ScrapedTarget) bool) {
		active := t.scraper.TargetsActive()
		for _, name := range slices.Sorted(maps.Keys(active)) {
			if pool != "" && pool != name {
				continue
			}
			sortTargets(active[name])
			for _, target := range active[name] {
				shown := api.ScrapedTarget{Pool: name, URL: target.URL().String(), Labels: target.Labels()}
				refused := target.Refused()
				shown.Refused = api.RefusedSeries{OverLimit: refused.OverLimit, Limit: refused.Limit, ByStore: refused.ByStore, Series: refused.Series}
				records := target.Records()
				for i := len(records) - 1; i >= 0 && len(shown.Scrapes) != scrapes; i-- {
					shown.Scrapes = append(shown.Scrapes, apiScrape(&records[i]))
				}
				if !yield(shown) {
					return
				}
			}
		}
	}
}

func apiScrape(r *scrape.Record) api.Scrape {
	out := api.Scrape{
		Start: r.Start, Duration: r.Duration, Bytes: r.Bytes,
		Scraped: r.Scraped, Kept: r.Samples, Added: r.Added, Class: r.Class.String(),
	}
	if r.Err != nil {
		out.Error = r.Err.Error()
	}
	return out
}

func apiTarget(t *scrape.Target) api.Target {
	out := api.Target{
		DiscoveredLabels: t.DiscoveredLabels(), Labels: t.Labels(), URL: t.URL().String(),
		LastScrape: t.LastScrape(), LastScrapeDuration: t.LastScrapeDuration(), Health: string(t.Health()),
		ScrapeInterval: durationText(t.Interval()), ScrapeTimeout: durationText(t.Timeout()),
	}
	if err := t.LastError(); err != nil {
		out.LastError = err.Error()
	}
	return out
}

func durationText(d time.Duration) string { return model.Duration(d).String() }

func (t apiTargets) DroppedTargets() map[string][]labels.Labels {
	out := map[string][]labels.Labels{}
	for pool, targets := range t.scraper.TargetsDropped() {
		for _, target := range targets {
			out[pool] = append(out[pool], target.DiscoveredLabels())
		}
	}
	return out
}

func (t apiTargets) DroppedTargetCounts() map[string]int { return t.scraper.TargetsDroppedCounts() }

func (t apiTargets) ScrapePoolConfig(pool string) (api.ScrapePoolConfig, error) {
	job, err := t.scraper.ScrapePoolConfig(pool)
	if err != nil {
		return api.ScrapePoolConfig{}, err
	}
	out, err := yaml.Marshal(job)
	if err != nil {
		return api.ScrapePoolConfig{}, fmt.Errorf("scrape pool %q: %w", pool, err)
	}
	return api.ScrapePoolConfig{YAML: string(out), Relabel: job.RelabelConfigs}, nil
}

func (t apiTargets) TargetMetadata(metric string) iter.Seq2[labels.Labels, []api.FamilyMetadata] {
	return func(yield func(labels.Labels, []api.FamilyMetadata) bool) {
		active := t.scraper.TargetsActive()
		for _, pool := range slices.Sorted(maps.Keys(active)) {
			for _, target := range active[pool] {
				if !yield(target.Labels(), targetFamilies(target, metric)) {
					return
				}
			}
		}
	}
}

func targetFamilies(t *scrape.Target, metric string) []api.FamilyMetadata {
	var out []api.FamilyMetadata
	for _, m := range t.ListMetadata() {
		if metric == "" || m.MetricFamily == metric {
			family := api.FamilyMetadata{Family: m.MetricFamily}
			family.Type, family.Unit, family.Help = m.Type, m.Unit, m.Help
			out = append(out, family)
		}
	}
	return out
}
