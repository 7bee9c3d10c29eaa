package scrape

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics has the collectors of a Manager. The names and the help of those that
// begin with prometheus_ are what dashboards and alerts for Prometheus expect.
type metrics struct {
	pools, poolsFailed     prometheus.Counter
	reloads, reloadsFailed prometheus.Counter
	reloadSeconds          *prometheus.SummaryVec
	syncs                  *prometheus.CounterVec
	syncFailures           *prometheus.CounterVec
	syncSeconds            *prometheus.SummaryVec
	syncHistogram          *prometheus.HistogramVec
	targets                *prometheus.GaugeVec
	targetLimit            *prometheus.GaugeVec
	exceededTargetLimit    prometheus.Counter
	exceededLabelLimits    prometheus.Counter
	exceededBodySize       prometheus.Counter
	exceededSampleLimit    prometheus.Counter
	exceededBucketLimit    prometheus.Counter
	duplicates             prometheus.Counter
	outOfOrder             prometheus.Counter
	outOfBounds            prometheus.Counter
	exemplarsOutOfOrder    prometheus.Counter
	seriesRefused          prometheus.Counter
	seriesLimit            *prometheus.GaugeVec
	exceededSeriesLimit    *prometheus.CounterVec
	seriesOverLimit        *prometheus.CounterVec
	slotsSkipped           prometheus.Counter
	intervalSeconds        *prometheus.SummaryVec
	intervalHistogram      *prometheus.HistogramVec
	scrapeSeconds          prometheus.Histogram
}

// objectives are the quantiles of the summaries, with their allowed errors.
var objectives = map[float64]float64{0.01: 0.001, 0.05: 0.005, 0.5: 0.05, 0.90: 0.01, 0.99: 0.001}

func newCounter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func newSummary(name, help, label string) *prometheus.SummaryVec {
	return prometheus.NewSummaryVec(prometheus.SummaryOpts{Name: name, Help: help, Objectives: objectives}, []string{label})
}

func histogramOpts(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

func newMetrics() *metrics {
	job := []string{"scrape_job"}
	buckets := []float64{.01, .1, 1, 10}
	return &metrics{
		pools:         newCounter("prometheus_target_scrape_pools_total", "Total number of scrape pool creation attempts."),
		poolsFailed:   newCounter("prometheus_target_scrape_pools_failed_total", "Total number of scrape pool creations that failed."),
		reloads:       newCounter("prometheus_target_scrape_pool_reloads_total", "Total number of scrape pool reloads."),
		reloadsFailed: newCounter("prometheus_target_scrape_pool_reloads_failed_total", "Total number of failed scrape pool reloads."),
		reloadSeconds: newSummary("prometheus_target_reload_length_seconds", "Actual interval to reload the scrape pool with a given configuration.", "interval"),
		syncs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prometheus_target_scrape_pool_sync_total",
			Help: "Total number of syncs that were executed on a scrape pool."}, job),
		syncFailures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prometheus_target_sync_failed_total",
			Help: "Total number of target sync failures."}, job),
		syncSeconds:   newSummary("prometheus_target_sync_length_seconds", "Actual interval to sync the scrape pool.", "scrape_job"),
		syncHistogram: prometheus.NewHistogramVec(histogramOpts("prometheus_target_sync_length_histogram_seconds", "Actual interval to sync the scrape pool.", buckets), job),
		targets: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prometheus_target_scrape_pool_targets",
			Help: "Current number of targets in this scrape pool."}, job),
		targetLimit: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prometheus_target_scrape_pool_target_limit",
			Help: "Maximum number of targets allowed in this scrape pool."}, job),
		exceededTargetLimit: newCounter("prometheus_target_scrape_pool_exceeded_target_limit_total", "Total number of times scrape pools hit the target limit, during sync or config reload."),
		exceededLabelLimits: newCounter("prometheus_target_scrape_pool_exceeded_label_limits_total", "Total number of times scrape pools hit the label limits, during sync or config reload."),
		exceededBodySize:    newCounter("prometheus_target_scrapes_exceeded_body_size_limit_total", "Total number of scrapes that hit the body size limit"),
		exceededSampleLimit: newCounter("prometheus_target_scrapes_exceeded_sample_limit_total", "Total number of scrapes that hit the sample limit and were rejected."),
		exceededBucketLimit: newCounter("prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total", "Total number of scrapes that hit the native histogram bucket limit and were rejected."),
		duplicates:          newCounter("prometheus_target_scrapes_sample_duplicate_timestamp_total", "Total number of samples rejected due to duplicate timestamps but different values."),
		outOfOrder:          newCounter("prometheus_target_scrapes_sample_out_of_order_total", "Total number of samples rejected due to not being out of the expected order."),
		outOfBounds:         newCounter("prometheus_target_scrapes_sample_out_of_bounds_total", "Total number of samples rejected due to timestamp falling outside of the time bounds."),
		exemplarsOutOfOrder: newCounter("prometheus_target_scrapes_exemplar_out_of_order_total", "Total number of exemplar rejected due to not being out of the expected order."),
		seriesRefused:       newCounter("gnomon_target_scrapes_series_refused_total", "Total number of times a new series of a scrape was refused by the store because of a limit."),
		seriesLimit: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gnomon_target_scrape_pool_series_limit",
			Help: "Number of series of a target of this scrape pool beyond which new ones are refused, 0 for none."}, job),
		exceededSeriesLimit: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gnomon_target_scrapes_exceeded_series_limit_total",
			Help: "Total number of scrapes with new series that were refused because the target has as many as it may have."}, job),
		seriesOverLimit: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gnomon_target_scrapes_series_over_limit_total",
			Help: "Total number of samples of new series that were refused because the target has as many as it may have."}, job),
		slotsSkipped:      newCounter("gnomon_target_scrape_slots_skipped_total", "Total number of scrapes that were left out because the one before took too long or the machine was suspended."),
		intervalSeconds:   newSummary("prometheus_target_interval_length_seconds", "Actual intervals between scrapes.", "interval"),
		intervalHistogram: prometheus.NewHistogramVec(histogramOpts("prometheus_target_interval_length_histogram_seconds", "Actual intervals between scrapes.", buckets), []string{"interval"}),
		scrapeSeconds:     prometheus.NewHistogram(histogramOpts("prometheus_target_scrape_duration_seconds", "Total duration of the scrape from start to commit completion in seconds.", nil)),
	}
}

func (m *metrics) register(reg prometheus.Registerer, cache *metadataCollector) error {
	if reg == nil {
		return nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.pools, m.poolsFailed, m.reloads, m.reloadsFailed, m.reloadSeconds, m.syncs, m.syncFailures,
		m.syncSeconds, m.syncHistogram, m.targets, m.targetLimit, m.exceededTargetLimit,
		m.exceededLabelLimits, m.exceededBodySize, m.exceededSampleLimit, m.exceededBucketLimit,
		m.duplicates, m.outOfOrder, m.outOfBounds, m.exemplarsOutOfOrder,
		m.seriesRefused, m.seriesLimit, m.exceededSeriesLimit, m.seriesOverLimit, m.slotsSkipped, m.intervalSeconds, m.intervalHistogram, m.scrapeSeconds, cache,
	} {
		errs = append(errs, reg.Register(c))
	}
	return errors.Join(errs...)
}

// forgetJob removes the series of a job that is gone.
func (m *metrics) forgetJob(job string) {
	m.syncs.DeleteLabelValues(job)
	m.syncFailures.DeleteLabelValues(job)
	m.syncSeconds.DeleteLabelValues(job)
	m.syncHistogram.DeleteLabelValues(job)
	m.targets.DeleteLabelValues(job)
	m.targetLimit.DeleteLabelValues(job)
	m.seriesLimit.DeleteLabelValues(job)
	m.exceededSeriesLimit.DeleteLabelValues(job)
	m.seriesOverLimit.DeleteLabelValues(job)
}

// metadataCollector collects the size of the metadata of all active targets
// when it is asked.
type metadataCollector struct {
	entries, bytes *prometheus.Desc
	active         func() map[string][]*Target
}

func newMetadataCollector(active func() map[string][]*Target) *metadataCollector {
	job := []string{"scrape_job"}
	return &metadataCollector{
		entries: prometheus.NewDesc("prometheus_target_metadata_cache_entries", "Total number of metric metadata entries in the cache", job, nil),
		bytes:   prometheus.NewDesc("prometheus_target_metadata_cache_bytes", "The number of bytes that are currently used for storing metric metadata in the cache", job, nil),
		active:  active,
	}
}

// Describe implements prometheus.Collector.
func (c *metadataCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.entries
	ch <- c.bytes
}

// Collect implements prometheus.Collector.
func (c *metadataCollector) Collect(ch chan<- prometheus.Metric) {
	for job, targets := range c.active() {
		var entries, bytes int
		for _, t := range targets {
			entries += t.LengthMetadata()
			bytes += t.SizeMetadata()
		}
		ch <- prometheus.MustNewConstMetric(c.entries, prometheus.GaugeValue, float64(entries), job)
		ch <- prometheus.MustNewConstMetric(c.bytes, prometheus.GaugeValue, float64(bytes), job)
	}
}
