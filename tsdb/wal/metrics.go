package wal

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the metrics of a log, its Writer and its Readers.
type Metrics struct {
	fsync             prometheus.Summary
	writesFailed      prometheus.Counter
	truncations       prometheus.Counter
	truncationsFailed prometheus.Counter
	segmentCurrent    prometheus.Gauge
	records           prometheus.Counter
	bytes             prometheus.Counter
	corruptions       prometheus.Counter
	diskFull          prometheus.Gauge
}

// NewMetrics makes the metrics and registers them; reg may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &Metrics{
		fsync: prometheus.NewSummary(prometheus.SummaryOpts{
			Name:       "prometheus_tsdb_wal_fsync_duration_seconds",
			Help:       "Duration of syncing the write-ahead log.",
			Objectives: map[float64]float64{0.5: 0.05, 0.9: 0.01, 0.99: 0.001},
		}),
		writesFailed: counter("prometheus_tsdb_wal_writes_failed_total",
			"Total number of writes to the write-ahead log that failed."),
		truncations: counter("prometheus_tsdb_wal_truncations_total",
			"Total number of truncations of the write-ahead log attempted."),
		truncationsFailed: counter("prometheus_tsdb_wal_truncations_failed_total",
			"Total number of truncations of the write-ahead log that failed."),
		segmentCurrent: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "prometheus_tsdb_wal_segment_current",
			Help: "Number of the segment of the write-ahead log that is being written.",
		}),
		records: counter("gnomon_wal_records_total",
			"Total number of records written to the write-ahead log."),
		bytes: counter("gnomon_wal_written_bytes_total",
			"Total number of bytes written to the write-ahead log."),
		corruptions: counter("prometheus_tsdb_wal_corruptions_total",
			"Total number of damaged places found in the write-ahead log."),
		diskFull: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gnomon_wal_disk_full",
			Help: "Whether samples are refused because the disk is full, or has less free than is reserved.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.fsync, m.writesFailed, m.truncations, m.truncationsFailed,
			m.segmentCurrent, m.records, m.bytes, m.corruptions, m.diskFull)
	}
	return m
}
