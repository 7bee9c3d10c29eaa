package tsdb

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the database's collectors, but for those of the head and the log.
type metrics struct {
	reg prometheus.Registerer
	all []prometheus.Collector

	reloads, reloadsFailed              prometheus.Counter
	checkpointsOfSize                   prometheus.Counter
	compactions, compactionsFailed      prometheus.Counter
	compactionsTriggered                prometheus.Counter
	timeRetentions, sizeRetentions      prometheus.Counter
	ruleExpirations, reclaimed          prometheus.Counter
	exemplarsDropped                    prometheus.Counter
	staleTriggered, staleFailed         prometheus.Counter
	compactionSeconds, tombstoneCleanup prometheus.Histogram
	staleSeconds                        prometheus.Histogram
	rollups, rollupsFailed              prometheus.Counter
	maintenanceFailed                   *prometheus.CounterVec
}

func newMetrics(db *DB, reg prometheus.Registerer) *metrics {
	m := &metrics{reg: reg}
	m.reloads = m.counter("prometheus_tsdb_reloads_total", "Number of times the database looked for blocks on disk.")
	m.reloadsFailed = m.counter("prometheus_tsdb_reloads_failures_total", "Number of times the database failed to load a block from disk.")
	m.checkpointsOfSize = m.counter("gnomon_tsdb_wal_size_checkpoints_total", "Total number of checkpoints that were taken because the log was long, not because the head was cut.")
	m.compactions = m.counter("prometheus_tsdb_compactions_total", "Total number of compactions that were executed: blocks cut from the head or joined.")
	m.compactionsFailed = m.counter("prometheus_tsdb_compactions_failed_total", "Total number of compactions that failed.")
	m.compactionsTriggered = m.counter("prometheus_tsdb_compactions_triggered_total", "Total number of triggered compactions.")
	m.timeRetentions = m.counter("prometheus_tsdb_time_retentions_total", "The number of blocks that were deleted because they were older than the retention.")
	m.sizeRetentions = m.counter("prometheus_tsdb_size_retentions_total", "The number of blocks that were deleted because the maximum size was exceeded.")
	m.ruleExpirations = m.counter("gnomon_tsdb_retention_rule_expirations_total", "Total number of times that samples of a block were deleted because they were over the time of their retention rule.")
	m.reclaimed = m.counter("gnomon_tsdb_blocks_reclaimed_total", "Total number of blocks that were written anew in the background without what was deleted.")
	m.exemplarsDropped = m.counter("gnomon_tsdb_block_exemplars_dropped_total", "Total number of exemplars that were left out of a block because it, or their series in it, had too many.")
	m.staleTriggered = m.counter("prometheus_tsdb_stale_series_compactions_triggered_total", "Total number of times that stale series were to leave the head before it is cut.")
	m.staleFailed = m.counter("prometheus_tsdb_stale_series_compactions_failed_total", "Total number of times that this failed.")
	m.staleSeconds = m.histogram("prometheus_tsdb_stale_series_compaction_duration_seconds", "Duration of writing stale series to blocks and removing them from the head.", prometheus.ExponentialBuckets(1, 2, 14))
	m.compactionSeconds = m.histogram("prometheus_tsdb_compaction_duration_seconds", "Duration of joining blocks.", prometheus.ExponentialBuckets(1, 2, 14))
	m.tombstoneCleanup = m.histogram("prometheus_tsdb_tombstone_cleanup_seconds", "The time taken to write blocks anew without what was deleted.", prometheus.ExponentialBuckets(0.1, 4, 10))
	m.rollups = m.counter("gnomon_tsdb_rollups_total", "The number of rollups that were made.")
	m.rollupsFailed = m.counter("gnomon_tsdb_rollups_failed_total", "The number of rollups that could not be made.")
	m.maintenanceFailed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gnomon_tsdb_maintenance_failures_total", Help: "Total number of times that a step of the maintenance of the database failed. It is tried again after a while.",
	}, []string{"step"})
	for _, step := range []string{stepCut, stepStale, stepCheckpoint, stepRollups, stepExpire, stepRetention, stepJoin, stepReclaim} {
		m.maintenanceFailed.WithLabelValues(step)
	}
	m.all = append(m.all, m.maintenanceFailed)
	m.gauges(db)
	if reg != nil {
		reg.MustRegister(m.all...)
	}
	return m
}

// gauges are worked out when they are asked for. The registry may ask while the
// database is being opened.
func (m *metrics) gauges(db *DB) {
	m.gauge("prometheus_tsdb_blocks_loaded", "Number of currently loaded blocks.", func() float64 { return float64(len(db.blocks.readers())) })
	m.gauge("prometheus_tsdb_storage_blocks_bytes", "The number of bytes that are used by all blocks.", func() float64 {
		var n int64
		for _, r := range db.blocks.list.Load().all() {
			n += r.Size()
		}
		return float64(n)
	})
	m.gauge("gnomon_tsdb_maintenance_postponed", "Number of steps of the maintenance, and of blocks, with which it failed at the last try.", func() float64 { return float64(db.postponedJobs.Load()) })
	m.gauge("gnomon_tsdb_rollup_blocks_loaded", "Number of currently loaded rollups.", func() float64 { return float64(len(db.blocks.list.Load().rollups)) })
	m.gauge("gnomon_tsdb_rollup_blocks_bytes", "The number of bytes that are used by rollups.", func() float64 { return float64(db.RollupBytes()) })
	m.gauge("prometheus_tsdb_retention_limit_bytes", "Maximum number of bytes to be retained, 0 means no limit.", func() float64 { return float64(db.reloadable.Load().RetentionBytes) })
	m.gauge("prometheus_tsdb_retention_limit_seconds", "How long to retain samples, 0 means for ever.", func() float64 { return max(db.reloadable.Load().Retention.Seconds(), 0) })
	m.gauge("prometheus_tsdb_retention_limit_percentage", "Largest share of the disk to be used, 0 to 100, 0 means no limit.", func() float64 { return db.reloadable.Load().RetentionPercentage })
	m.gauge("prometheus_tsdb_head_stale_series", "Number of series in the head that have ended, at the last look; 0 unless there is a threshold for them.", func() float64 { return float64(db.staleSeries.Load()) })
	lowest := func() float64 {
		if t := db.blocks.minTime(); t != math.MaxInt64 {
			return float64(t)
		}
		return 0
	}
	m.gauge("prometheus_tsdb_lowest_timestamp", "Lowest timestamp in blocks, milliseconds.", lowest)
	m.gauge("prometheus_tsdb_lowest_timestamp_seconds", "Lowest timestamp in blocks.", func() float64 { return lowest() / 1000 })
	m.gauge("prometheus_tsdb_clean_start", "-1: the folder is not locked. 0: the process that had it before did not close it. 1: it did.", func() float64 {
		switch {
		case db.lock == nil:
			return -1
		case db.lock.left:
			return 0
		}
		return 1
	})
}

func (m *metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.all = append(m.all, c)
	return c
}

func (m *metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	m.all = append(m.all, h)
	return h
}

func (m *metrics) gauge(name, help string, f func() float64) {
	m.all = append(m.all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}

// unregister lets another database use the registry.
func (m *metrics) unregister() {
	if m.reg == nil {
		return
	}
	for _, c := range m.all {
		m.reg.Unregister(c)
	}
}
