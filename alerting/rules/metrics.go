package rules

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics has the collectors of rule evaluation. Those of a group carry the
// label rule_group, "<file>;<name>", and are removed with the group.
type metrics struct {
	evaluationDuration          prometheus.Summary
	evaluationDurationHistogram prometheus.Histogram
	groupDuration               prometheus.Summary
	groupDurationHistogram      prometheus.Histogram

	iterations       *prometheus.CounterVec
	iterationsMissed *prometheus.CounterVec
	evaluations      *prometheus.CounterVec
	failures         *prometheus.CounterVec
	// discarded counts samples that storage refused, by reason.
	discarded *prometheus.CounterVec

	interval        *prometheus.GaugeVec
	lastEvaluation  *prometheus.GaugeVec
	lastDuration    *prometheus.GaugeVec
	ruleDurationSum *prometheus.GaugeVec
	restoreDuration *prometheus.GaugeVec
	rules           *prometheus.GaugeVec
	samples         *prometheus.GaugeVec

	expansions        prometheus.Counter
	expansionFailures prometheus.Counter
	// loadFailures counts refused sets of rule files.
	loadFailures prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		evaluationDuration: prometheus.NewSummary(prometheus.SummaryOpts{
			Name:       "prometheus_rule_evaluation_duration_seconds",
			Help:       "The time a rule took to evaluate.",
			Objectives: map[float64]float64{0.5: 0.05, 0.9: 0.01, 0.99: 0.001},
		}),
		evaluationDurationHistogram: durationHistogram("prometheus_rule_evaluation_duration_histogram_seconds",
			"The time a rule took to evaluate, as a histogram."),
		groupDuration: prometheus.NewSummary(prometheus.SummaryOpts{
			Name:       "prometheus_rule_group_duration_seconds",
			Help:       "The time a rule group took to evaluate.",
			Objectives: map[float64]float64{0.01: 0.001, 0.05: 0.005, 0.5: 0.05, 0.90: 0.01, 0.99: 0.001},
		}),
		groupDurationHistogram: durationHistogram("prometheus_rule_group_duration_histogram_seconds",
			"The time a rule group took to evaluate, as a histogram."),

		iterations: groupCounter("prometheus_rule_group_iterations_total",
			"Scheduled evaluations of a rule group, executed or missed."),
		iterationsMissed: groupCounter("prometheus_rule_group_iterations_missed_total",
			"Evaluations of a rule group that were missed because the one before took too long."),
		evaluations: groupCounter("prometheus_rule_evaluations_total", "Evaluations of rules."),
		failures:    groupCounter("prometheus_rule_evaluation_failures_total", "Evaluations of rules that failed."),
		discarded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gnomon_rule_samples_discarded_total",
			Help: "Results of rules that storage refused, by reason.",
		}, []string{"reason"}),

		interval: groupGauge("prometheus_rule_group_interval_seconds", "The interval of a rule group."),
		lastEvaluation: groupGauge("prometheus_rule_group_last_evaluation_timestamp_seconds",
			"When a rule group was last evaluated, in seconds since the Unix epoch."),
		lastDuration: groupGauge("prometheus_rule_group_last_duration_seconds",
			"The time the last evaluation of a rule group took."),
		ruleDurationSum: groupGauge("prometheus_rule_group_last_rule_duration_sum_seconds",
			"The times that the rules of a group took in the last evaluation, summed up. It exceeds the group's own time when rules are evaluated concurrently."),
		restoreDuration: groupGauge("prometheus_rule_group_last_restore_duration_seconds",
			"The time the restoration of alerts from the ALERTS_FOR_STATE series took."),
		rules: groupGauge("prometheus_rule_group_rules", "The number of rules of a group."),
		samples: groupGauge("prometheus_rule_group_last_evaluation_samples",
			"The number of samples that the last evaluation of a rule group returned."),

		expansions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "prometheus_template_text_expansions_total",
			Help: "Expansions of templates.",
		}),
		expansionFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "prometheus_template_text_expansion_failures_total",
			Help: "Expansions of templates that failed.",
		}),
		loadFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gnomon_rule_load_failures_total",
			Help: "Updates that were refused because of a fault in a rule file.",
		}),
	}
	if reg != nil {
		reg.MustRegister(
			m.evaluationDuration, m.evaluationDurationHistogram, m.groupDuration, m.groupDurationHistogram,
			m.iterations, m.iterationsMissed, m.evaluations, m.failures, m.discarded,
			m.interval, m.lastEvaluation, m.lastDuration, m.ruleDurationSum, m.restoreDuration, m.rules, m.samples,
			m.expansions, m.expansionFailures, m.loadFailures,
		)
	}
	return m
}

func durationHistogram(name, help string) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:                            name,
		Help:                            help,
		Buckets:                         []float64{.01, .1, 1, 10},
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	})
}

func groupCounter(name, help string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"rule_group"})
}

func groupGauge(name, help string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"rule_group"})
}

// groupMetrics has the collectors of one group.
type groupMetrics struct {
	*metrics

	iterations, iterationsMissed, evaluations, failures           prometheus.Counter
	lastEvaluation, lastDuration, ruleDurationSum, rules, samples prometheus.Gauge
	interval                                                      prometheus.Gauge
}

// ofGroup returns the collectors of the group with the given key, which exist
// from then on.
func (m *metrics) ofGroup(key string) *groupMetrics {
	return &groupMetrics{
		metrics:          m,
		iterations:       m.iterations.WithLabelValues(key),
		iterationsMissed: m.iterationsMissed.WithLabelValues(key),
		evaluations:      m.evaluations.WithLabelValues(key),
		failures:         m.failures.WithLabelValues(key),
		lastEvaluation:   m.lastEvaluation.WithLabelValues(key),
		lastDuration:     m.lastDuration.WithLabelValues(key),
		ruleDurationSum:  m.ruleDurationSum.WithLabelValues(key),
		rules:            m.rules.WithLabelValues(key),
		samples:          m.samples.WithLabelValues(key),
		interval:         m.interval.WithLabelValues(key),
	}
}

// removeGroup removes the collectors of a group that is gone.
func (m *metrics) removeGroup(key string) {
	for _, c := range []*prometheus.CounterVec{m.iterations, m.iterationsMissed, m.evaluations, m.failures} {
		c.DeleteLabelValues(key)
	}
	for _, g := range []*prometheus.GaugeVec{
		m.interval, m.lastEvaluation, m.lastDuration, m.ruleDurationSum, m.restoreDuration, m.rules, m.samples,
	} {
		g.DeleteLabelValues(key)
	}
}
