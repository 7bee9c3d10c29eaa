package api

import (
	"iter"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/relabel"
)

// Targets knows what is scraped. It is used by any number of goroutines.
type Targets interface {
	// ScrapePools returns the names of the scrape pools, in any order. The
	// handler owns the slice.
	ScrapePools() []string
	// ActiveTargets returns the targets of every scrape pool by the pool's
	// name, those of a pool in the order in which they are to be shown.
	ActiveTargets() map[string][]Target
	// DroppedTargets returns the label sets, before relabelling, of the targets
	// that relabelling dropped, by the pool's name. It may leave some out, see
	// keep_dropped_targets.
	DroppedTargets() map[string][]labels.Labels
	// DroppedTargetCounts returns how many targets relabelling dropped, by the
	// pool's name, whether or not DroppedTargets has them.
	DroppedTargetCounts() map[string]int
	// ScrapePoolConfig returns the configuration of a scrape pool. Its error
	// names the pool.
	ScrapePoolConfig(pool string) (ScrapePoolConfig, error)
	// TargetMetadata returns the label set of each active target with the
	// metric families that it exposes; of these only the one that is called
	// metric, unless that is empty.
	TargetMetadata(metric string) iter.Seq2[labels.Labels, []FamilyMetadata]
}

// Target is an active target.
type Target struct {
	// DiscoveredLabels are the labels before relabelling.
	DiscoveredLabels labels.Labels
	// Labels are the labels that the target's series get.
	Labels labels.Labels
	// URL is what is scraped.
	URL string
	// LastError is the error of the last scrape; empty if it went well.
	LastError string
	// LastScrape is when the last scrape began; zero if there was none.
	LastScrape time.Time
	// LastScrapeDuration is how long the last scrape took.
	LastScrapeDuration time.Duration
	// Health is "up", "down" or "unknown".
	Health string
	// ScrapeInterval and ScrapeTimeout are Prometheus durations such as 15s.
	ScrapeInterval, ScrapeTimeout string
}

// ScrapePoolConfig is the configuration of a scrape pool.
type ScrapePoolConfig struct {
	// YAML is the whole of it, without secrets.
	YAML string
	// Relabel is its relabelling of targets.
	Relabel []*relabel.Config
}

// FamilyMetadata is what a target says about a metric family.
type FamilyMetadata struct {
	Family string
	metadata.Metadata
}
