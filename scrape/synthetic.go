package scrape

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
)

// synthetic are the series that a scrape has besides those of its body, in this
// order. The last three are on demand.
const (
	syntheticUp = iota
	syntheticDuration
	syntheticScraped
	syntheticPostRelabelling
	syntheticSeriesAdded
	syntheticTimeout
	syntheticSampleLimit
	syntheticBodySize
	syntheticCount
	syntheticExtra = syntheticTimeout
)

var synthetic = [syntheticCount]struct {
	name string
	metadata.Metadata
}{
	{"up", gauge("targets", "Health of the scrape target. 1 means the target is healthy, 0 if the scrape failed.")},
	{"scrape_duration_seconds", gauge("seconds", "Duration of the last scrape in seconds.")},
	{"scrape_samples_scraped", gauge("samples", "Number of samples last scraped.")},
	{"scrape_samples_post_metric_relabeling", gauge("samples", "Number of samples remaining after metric relabeling was applied.")},
	{"scrape_series_added", gauge("series", "Number of series in the last scrape.")},
	{"scrape_timeout_seconds", gauge("seconds", "The configured scrape timeout for a target.")},
	{"scrape_sample_limit", gauge("samples", "The configured sample limit for a target. Returns zero if there is no limit configured.")},
	{"scrape_body_size_bytes", gauge("bytes", "The uncompressed size of the last scrape response, if successful. Scrapes failing because body_size_limit is exceeded report -1, other scrape failures report 0.")},
}

func gauge(unit, help string) metadata.Metadata {
	return metadata.Metadata{Type: model.MetricTypeGauge, Unit: unit, Help: help}
}
