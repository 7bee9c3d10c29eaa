package promql

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomonhq/gnomon/promql/exec"
)

// metrics are those of an engine. Names are Prometheus's.
type metrics struct {
	queries, concurrentMax, logEnabled prometheus.Gauge
	logFailures, samples, samplesRead  prometheus.Counter

	queueTime, prepareTime, innerEval, resultSort slice

	// By class of the query.
	waiting  *prometheus.GaugeVec
	refused  *prometheus.CounterVec
	waitTime *prometheus.HistogramVec
	// By the limit: that of a query, or that of all.
	overBudget *prometheus.CounterVec
	peakBytes  prometheus.Histogram
	// By whether the cache of results had steps of the query.
	cacheUse *prometheus.CounterVec
}

// slice is a part of the time of a query.
type slice struct{ summary, histogram prometheus.Observer }

func (s slice) observe(d time.Duration) {
	s.summary.Observe(d.Seconds())
	s.histogram.Observe(d.Seconds())
}

func newMetrics(reg prometheus.Registerer, maxConcurrent int, memory *exec.TotalMemory, results *resultCache, parsed *parsedExpressions) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "prometheus_engine_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "prometheus_engine_" + name, Help: help})
	}
	summary := prometheus.NewSummaryVec(prometheus.SummaryOpts{
		Name: "prometheus_engine_query_duration_seconds", Help: "Time that parts of queries took.",
		Objectives: map[float64]float64{0.5: 0.05, 0.9: 0.01, 0.99: 0.001},
	}, []string{"slice"})
	histogram := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "prometheus_engine_query_duration_histogram_seconds", Help: "Time that parts of queries took, as a histogram.",
		Buckets:                     []float64{.01, .1, 1, 10},
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, []string{"slice"})
	part := func(name string) slice {
		return slice{summary.WithLabelValues(name), histogram.WithLabelValues(name)}
	}
	m := &metrics{
		queries:       gauge("queries", "Queries that run or wait."),
		concurrentMax: gauge("queries_concurrent_max", "The most queries that run at once."),
		logEnabled:    gauge("query_log_enabled", "1 if queries are logged."),
		logFailures:   counter("query_log_failures_total", "Queries that could not be logged."),
		samples:       counter("query_samples_total", "Samples that queries used, each as often as a window had it."),
		samplesRead:   counter("query_samples_read_total", "Samples that queries read."),
		queueTime:     part("queue_time"), prepareTime: part("prepare_time"),
		innerEval: part("inner_eval"), resultSort: part("result_sort"),
	}
	m.concurrentMax.Set(float64(maxConcurrent))
	byClass := []string{"class"}
	m.waiting = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gnomon_query_waiting", Help: "Queries that wait for a place."}, byClass)
	m.refused = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gnomon_query_refused_total", Help: "Queries that were refused because too many waited."}, byClass)
	m.waitTime = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "gnomon_query_wait_seconds", Help: "Time that queries waited for a place.", Buckets: []float64{.001, .01, .1, 1, 10, 60},
	}, byClass)
	for _, c := range classes {
		m.waiting.WithLabelValues(c.String())
		m.refused.WithLabelValues(c.String())
		m.waitTime.WithLabelValues(c.String())
	}
	m.overBudget = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gnomon_query_over_memory_total", Help: "Queries that failed because they needed more memory than a query may have, or than was left of what all may have.",
	}, []string{"limit"})
	m.overBudget.WithLabelValues(limitQuery)
	m.overBudget.WithLabelValues(limitTotal)
	m.peakBytes = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "gnomon_query_peak_bytes", Help: "The most memory that a query held at once.", Buckets: prometheus.ExponentialBuckets(16<<10, 16, 6),
	})
	m.cacheUse = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gnomon_query_result_cache_total", Help: "Range queries that the cache of results is for, by whether it had steps of them.",
	}, []string{"outcome"})
	m.cacheUse.WithLabelValues(cacheHit)
	m.cacheUse.WithLabelValues(cacheMiss)
	cached := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gnomon_query_result_cache_bytes", Help: "Memory of the cache of results."}, func() float64 { return float64(results.held()) })
	texts := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gnomon_query_parsed_bytes", Help: "Text of the expressions that are not parsed when they are asked again.",
	}, func() float64 { return float64(parsed.held()) })
	used := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gnomon_query_memory_bytes", Help: "Memory that queries hold."}, func() float64 { return float64(memory.Used()) })
	if reg != nil {
		reg.MustRegister(m.queries, m.concurrentMax, m.logEnabled, m.logFailures, m.samples, m.samplesRead, summary, histogram,
			m.waiting, m.refused, m.waitTime, m.overBudget, m.peakBytes, used, m.cacheUse, cached, texts)
	}
	return m
}

// The limits that a query can go over.
const (
	limitQuery = "query"
	limitTotal = "total"
)

// What the cache of results is for a query.
const (
	cacheHit  = "hit"
	cacheMiss = "miss"
)

func (m *metrics) cached(outcome string) { m.cacheUse.WithLabelValues(outcome).Inc() }

// over counts a query that needed too much memory.
func (m *metrics) over(total bool) {
	limit := limitQuery
	if total {
		limit = limitTotal
	}
	m.overBudget.WithLabelValues(limit).Inc()
}

// waited notes how long a query waited.
func (m *metrics) waited(c Class, d time.Duration) {
	m.waitTime.WithLabelValues(c.String()).Observe(d.Seconds())
}

// observe adds a query that ended.
func (m *metrics) observe(s *Stats) {
	m.queueTime.observe(s.ExecQueue)
	m.prepareTime.observe(s.QueryPreparation)
	m.innerEval.observe(s.InnerEval)
	m.resultSort.observe(s.ResultSort)
	m.samples.Add(float64(s.TotalSamples))
	m.samplesRead.Add(float64(s.SamplesRead))
	m.peakBytes.Observe(float64(s.PeakBytes))
}
