package head

import (
	"errors"
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// metrics are the head's collectors.
type metrics struct {
	reg prometheus.Registerer
	all []prometheus.Collector

	floats, histograms                       prometheus.Counter
	late                                     prometheus.Counter // of both kinds
	outOfOrder, tooOld, outOfBound           prometheus.Counter
	outOfOrderHist, tooOldHist               prometheus.Counter
	duplicates, refusedOther                 prometheus.Counter
	refusedSeries                            [limitCount]prometheus.Counter
	rows                                     prometheus.Counter
	damagedRecords, unknownRecords           prometheus.Counter
	truncations, truncationsFailed           prometheus.Counter
	checkpoints, checkpointsFailed           prometheus.Counter
	checkpointDeletes, checkpointDeletesFail prometheus.Counter
	replaySeconds, replayOpenSeconds         prometheus.Gauge
	gcDuration, truncateDuration             prometheus.Summary
}

func newMetrics(h *Head, reg prometheus.Registerer) *metrics {
	m := &metrics{reg: reg}
	m.samples()
	m.lifeCycle()
	m.gauges(h)
	m.exemplars(h)
	m.limits(h)
	if reg != nil {
		reg.MustRegister(m.all...)
	}
	return m
}

// registrations is a registerer that knows what to take back: the metrics of
// the log.
type registrations struct {
	prometheus.Registerer
	all []prometheus.Collector
}

func (r *registrations) MustRegister(list ...prometheus.Collector) {
	r.Registerer.MustRegister(list...)
	r.all = append(r.all, list...)
}

func (r *registrations) Register(c prometheus.Collector) error {
	err := r.Registerer.Register(c)
	if err == nil {
		r.all = append(r.all, c)
	}
	return err
}

// logMetrics returns the metrics of the log, which unregister takes back too.
func (m *metrics) logMetrics() *wal.Metrics {
	if m.reg == nil {
		return wal.NewMetrics(nil)
	}
	r := &registrations{Registerer: m.reg}
	out := wal.NewMetrics(r)
	m.all = append(m.all, r.all...)
	return out
}

// unregister lets another head use the registry.
func (m *metrics) unregister() {
	if m.reg == nil {
		return
	}
	for _, c := range m.all {
		m.reg.Unregister(c)
	}
}

func (m *metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.all = append(m.all, c)
	return c
}

func (m *metrics) vec(name, help string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"type"})
	m.all = append(m.all, c)
	return c
}

func (m *metrics) gauge(name, help string, f func() float64) {
	m.all = append(m.all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}

func (m *metrics) counterFunc(name, help string, f func() float64) {
	m.all = append(m.all, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f))
}

func (m *metrics) summary(name, help string) prometheus.Summary {
	s := prometheus.NewSummary(prometheus.SummaryOpts{Name: name, Help: help})
	m.all = append(m.all, s)
	return s
}

func (m *metrics) samples() {
	appended := m.vec("prometheus_tsdb_head_samples_appended_total", "Total number of appended samples.")
	m.floats, m.histograms = appended.WithLabelValues("float"), appended.WithLabelValues("histogram")
	order := m.vec("prometheus_tsdb_out_of_order_samples_total", "Total number of samples refused because they are older than the newest one of their series and there is no out-of-order window.")
	m.outOfOrder, m.outOfOrderHist = order.WithLabelValues("float"), order.WithLabelValues("histogram")
	old := m.vec("prometheus_tsdb_too_old_samples_total", "Total number of samples refused because they are older than the out-of-order window or the retention.")
	m.tooOld, m.tooOldHist = old.WithLabelValues("float"), old.WithLabelValues("histogram")
	m.outOfBound = m.vec("prometheus_tsdb_out_of_bound_samples_total", "Total number of samples refused because no block can take them. Always 0: older samples are admitted or count as out of order or too old.").WithLabelValues("float")
	m.late = m.vec("prometheus_tsdb_head_out_of_order_samples_appended_total", "Total number of samples admitted out of order, native histograms included.").WithLabelValues("float")
	m.duplicates = m.counter("gnomon_tsdb_duplicate_samples_total", "Total number of samples refused because the series has another value at the timestamp.")
	m.refusedOther = m.counter("gnomon_tsdb_refused_samples_total", "Total number of samples refused for another reason: unknown columns, invalid histograms.")
	m.rows = m.counter("gnomon_tsdb_rows_appended_total", "Total number of rows appended to groups.")
}

func (m *metrics) lifeCycle() {
	m.damagedRecords = m.counter("gnomon_tsdb_replay_damaged_records_total", "Total number of log records that could not be used at start: damaged, or without what they refer to.")
	m.unknownRecords = m.counter("gnomon_tsdb_replay_unknown_records_total", "Total number of log records of a type that this version does not know.")
	m.truncations = m.counter("prometheus_tsdb_head_truncations_total", "Total number of head truncations attempted.")
	m.truncationsFailed = m.counter("prometheus_tsdb_head_truncations_failed_total", "Total number of head truncations that failed.")
	m.checkpoints = m.counter("prometheus_tsdb_checkpoint_creations_total", "Total number of checkpoint creations attempted.")
	m.checkpointsFailed = m.counter("prometheus_tsdb_checkpoint_creations_failed_total", "Total number of checkpoint creations that failed.")
	m.checkpointDeletes = m.counter("prometheus_tsdb_checkpoint_deletions_total", "Total number of checkpoint deletions attempted.")
	m.checkpointDeletesFail = m.counter("prometheus_tsdb_checkpoint_deletions_failed_total", "Total number of checkpoint deletions that failed.")
	m.replaySeconds = prometheus.NewGauge(prometheus.GaugeOpts{Name: "prometheus_tsdb_data_replay_duration_seconds", Help: "Time taken to replay the log at start."})
	m.replayOpenSeconds = prometheus.NewGauge(prometheus.GaugeOpts{Name: "gnomon_tsdb_replay_open_seconds", Help: "Time from the start to when new samples were taken, while the log was still being replayed."})
	m.all = append(m.all, m.replaySeconds, m.replayOpenSeconds)
	m.gcDuration = m.summary("prometheus_tsdb_head_gc_duration_seconds", "Runtime of removing what was cut from the head.")
	m.truncateDuration = m.summary("prometheus_tsdb_wal_truncate_duration_seconds", "Duration of truncating the write-ahead log.")
}

func (m *metrics) gauges(h *Head) {
	m.gauge("prometheus_tsdb_head_series", "Total number of series in the head.", func() float64 { return float64(h.reg.count.Load()) })
	m.counterFunc("prometheus_tsdb_head_series_created_total", "Total number of series created in the head.", func() float64 { return float64(h.reg.created.Load()) })
	m.counterFunc("prometheus_tsdb_head_series_removed_total", "Total number of series removed from the head.", func() float64 { return float64(h.reg.removed.Load()) })
	m.gauge("prometheus_tsdb_head_chunks", "Total number of encoded column chunks in the head.", func() float64 { return float64(h.chunks()) })
	m.gauge("gnomon_tsdb_groups", "Number of groups that have rows in the head or are open.", func() float64 { return float64(h.groupCount()) })
	m.gauge("prometheus_tsdb_wal_storage_size_bytes", "Size of the write-ahead log on disk.", func() float64 { return h.logBytes() })
	m.gauge("prometheus_tsdb_symbol_table_size_bytes", "Size of the label strings of the head.", func() float64 {
		_, bytes := h.reg.symbols.Len()
		return float64(bytes)
	})
	low := func() float64 { return timeOrZero(h.minTime.Load()) }
	high := func() float64 { return timeOrZero(h.maxTime.Load()) }
	m.gauge("prometheus_tsdb_head_min_time", "Minimum timestamp of the head, milliseconds.", low)
	m.gauge("prometheus_tsdb_head_max_time", "Maximum timestamp of the head, milliseconds.", high)
	m.gauge("prometheus_tsdb_head_min_time_seconds", "Minimum timestamp of the head.", func() float64 { return low() / 1000 })
	m.gauge("prometheus_tsdb_head_max_time_seconds", "Maximum timestamp of the head.", func() float64 { return high() / 1000 })
}

func timeOrZero(t int64) float64 {
	if t == math.MinInt64 || t == math.MaxInt64 {
		return 0
	}
	return float64(t)
}

func (m *metrics) exemplars(h *Head) {
	m.counterFunc("prometheus_tsdb_exemplar_exemplars_appended_total", "Total number of appended exemplars.", func() float64 { return float64(h.exemplars.stats().appended) })
	m.counterFunc("prometheus_tsdb_exemplar_out_of_order_exemplars_total", "Total number of exemplars refused because they are out of order.", func() float64 { return float64(h.exemplars.stats().late) })
	m.gauge("prometheus_tsdb_exemplar_exemplars_in_storage", "Number of exemplars in memory.", func() float64 { return float64(h.exemplars.stats().kept) })
	m.gauge("prometheus_tsdb_exemplar_series_with_exemplars_in_storage", "Number of series with exemplars in memory.", func() float64 { return float64(h.exemplars.stats().series) })
	m.gauge("prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds", "The timestamp of the oldest exemplar in memory.", func() float64 { return float64(h.exemplars.stats().oldest) / 1000 })
	m.gauge("prometheus_tsdb_exemplar_max_exemplars", "Number of exemplars that memory has room for.", func() float64 { return float64(h.exemplars.stats().room) })
}

func (m *metrics) limits(h *Head) {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gnomon_tsdb_series_refused_total", Help: "Total number of times a new series was refused, by the limit that it would have exceeded."}, []string{"limit"})
	bound := prometheus.NewDesc("gnomon_tsdb_series_limit", "The limits of new series: series in all, series of a job, labels of a series, bytes of a label's name and of its value. 0 is none.", []string{"limit"}, nil)
	for l := range limitCount {
		m.refusedSeries[l] = refused.WithLabelValues(l.String())
	}
	m.all = append(m.all, refused, limitCollector{h, bound})
}

// limitCollector shows the limits in force.
type limitCollector struct {
	head *Head
	desc *prometheus.Desc
}

func (c limitCollector) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

func (c limitCollector) Collect(to chan<- prometheus.Metric) {
	s := c.head.settings.Load()
	if s == nil {
		return // not open yet
	}
	for l := range limitCount {
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(s.of(l)), l.String())
	}
}

func (m *metrics) appended(floats, histograms int) {
	m.floats.Add(float64(floats))
	if histograms > 0 {
		m.histograms.Add(float64(histograms))
	}
}

// refuse counts a refused sample.
func (m *metrics) refuse(err error) {
	switch {
	case errors.Is(err, storage.ErrOutOfOrder):
		m.outOfOrder.Inc()
	case errors.Is(err, storage.ErrTooOld):
		m.tooOld.Inc()
	case errors.Is(err, storage.ErrDuplicateSample):
		m.duplicates.Inc()
	default:
		m.refusedOther.Inc()
	}
}

func (m *metrics) refused(list []storage.ColumnError) {
	for i := range list {
		m.refuse(list[i].Err)
	}
}
