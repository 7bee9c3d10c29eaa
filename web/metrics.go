package web

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the metrics of the server. Those of requests have Prometheus's
// names, with the paths as its router writes them for handlers.
type metrics struct {
	requests     *prometheus.CounterVec
	duration     *prometheus.HistogramVec
	responseSize *prometheus.HistogramVec
	ready        prometheus.Gauge
	// panics counts handlers that failed by an error in the program.
	panics *prometheus.CounterVec
	// connections is how much of the connection limit is in use.
	connections prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prometheus_http_requests_total",
			Help: "HTTP requests.",
		}, []string{"handler", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                            "prometheus_http_request_duration_seconds",
			Help:                            "Time that HTTP requests took.",
			Buckets:                         []float64{.1, .2, .4, 1, 3, 8, 20, 60, 120},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"handler"}),
		responseSize: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "prometheus_http_response_size_bytes",
			Help:    "Size of the bodies of HTTP responses.",
			Buckets: prometheus.ExponentialBuckets(100, 10, 8),
		}, []string{"handler"}),
		ready: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "prometheus_ready",
			Help: "Whether the server has started and serves queries.",
		}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gnomon_http_panics_total",
			Help: "HTTP requests that failed by a panic of their handler.",
		}, []string{"handler"}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gnomon_http_connections",
			Help: "Open HTTP connections, over all listeners.",
		}),
	}
	if r != nil {
		r.MustRegister(m.requests, m.duration, m.responseSize, m.ready, m.panics, m.connections)
	}
	return m
}

// instrument returns h, counted under the name of its handler.
func (m *metrics) instrument(name string, h http.Handler) http.Handler {
	m.requests.WithLabelValues(name, "200") // it exists before the first request
	ls := prometheus.Labels{"handler": name}
	return promhttp.InstrumentHandlerCounter(m.requests.MustCurryWith(ls),
		promhttp.InstrumentHandlerDuration(m.duration.MustCurryWith(ls),
			promhttp.InstrumentHandlerResponseSize(m.responseSize.MustCurryWith(ls), h)))
}
