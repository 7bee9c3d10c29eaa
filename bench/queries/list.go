package queries

import "time"

// Query is a query that is measured.
type Query struct {
	// Kind is what asks such a query: a dashboard, an alert rule, a person.
	Kind string
	// Data is the store.
	Data string
	// Span is what a range query covers, with a step; an instant query has none.
	Span, Step time.Duration
	Expr       string
}

const (
	dashboard = "dashboard"
	alert     = "alert"
	adHoc     = "ad hoc"
)

const day = 24 * time.Hour

// List has the queries. Names in the results count from 0: add at the end.
var List = []Query{
	// Alert rules: instant, over many series, few results.
	{alert, "hour", 0, 0, `up == 0`},
	{alert, "hour", 0, 0, `sum by (job) (rate(http_requests_total{code="500"}[5m])) / sum by (job) (rate(http_requests_total[5m])) > 0.01`},
	{alert, "hour", 0, 0, `histogram_quantile(0.99, sum by (job, le) (rate(http_request_duration_seconds_bucket[5m]))) > 1`},
	{alert, "hour", 0, 0, `avg_over_time(queue_length[10m]) > 100`},
	{alert, "hour", 0, 0, `changes(process_resident_memory_bytes[15m]) > 50 and on (instance) up == 1`},
	{alert, "hour", 0, 0, `absent(up{job="missing"})`},
	{alert, "hour", 0, 0, `predict_linear(temperature_celsius[30m], 3600) > 90`},
	{alert, "hour", 0, 0, `max_over_time(node_load1[5m]) > 4`},
	{alert, "hour", 0, 0, `resets(network_bytes_total[1h]) > 0`},
	{alert, "hour", 0, 0, `count by (job) (up) < 3`},
	{alert, "hour", 0, 0, `rate(http_requests_total{code="500",instance="host-3:9100"}[5m]) > 1`},
	{alert, "hour", 0, 0, `up{instance="host-3:9100"} == 0`},
	{alert, "hour", 0, 0, `time() - process_cpu_seconds_total{job="db"} > 1e12`},
	{alert, "hour", 0, 0, `sum without (instance) (go_goroutines) > 1e9 or sum without (instance) (queue_length) > 1e9`},
	{alert, "hour", 0, 0, `quantile by (job) (0.9, node_load1) > 10`},
	{alert, "day", 0, 0, `sum(increase(http_requests_total{code="500"}[1h])) / sum(increase(http_requests_total[1h])) > 0.1 and sum(rate(http_requests_total[5m])) > 1`},
	{alert, "day", 0, 0, `avg_over_time(up[24h]) < 0.99`},
	{alert, "day", 0, 0, `max_over_time(rate(http_requests_total{code="500"}[5m])[1h:1m]) > 1e6`},

	// Dashboards: ranges of an hour over many series.
	{dashboard, "hour", time.Hour, 15 * time.Second, `sum(rate(http_requests_total[5m]))`},
	{dashboard, "hour", time.Hour, 15 * time.Second, `sum by (job) (rate(http_requests_total[1m]))`},
	{dashboard, "hour", time.Hour, 15 * time.Second, `sum by (code) (rate(http_requests_total{job="api"}[5m]))`},
	{dashboard, "hour", time.Hour, 15 * time.Second, `histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))`},
	{dashboard, "hour", time.Hour, 15 * time.Second, `avg by (job) (go_goroutines)`},
	{dashboard, "hour", time.Hour, 15 * time.Second, `max(process_resident_memory_bytes)`},
	{dashboard, "hour", time.Hour, 15 * time.Second, `topk(5, rate(network_bytes_total[5m]))`},
	{dashboard, "hour", time.Hour, 15 * time.Second, `sum by (zone) (irate(process_cpu_seconds_total[2m]))`},
	{dashboard, "hour", time.Hour, 15 * time.Second, `rate(http_requests_total{instance="host-3:9100"}[5m])`},
	{dashboard, "hour", time.Hour, 15 * time.Second, `go_goroutines{instance="host-3:9100"}`},
	{dashboard, "hour", time.Hour, 15 * time.Second, `node_load1{job="db"}`},
	{dashboard, "hour", time.Hour, 15 * time.Second, `sum(rate(http_request_duration_seconds_sum[5m])) / sum(rate(http_request_duration_seconds_count[5m]))`},
	{dashboard, "hour", time.Hour, 15 * time.Second, `100 * (1 - avg(up))`},
	{dashboard, "hour", time.Hour, 15 * time.Second, `count(up == 1)`},
	{dashboard, "hour", time.Hour, time.Minute, `sum by (job) (rate(http_requests_total{code="500"}[5m])) / sum by (job) (rate(http_requests_total[5m]))`},
	{dashboard, "hour", time.Hour, time.Minute, `quantile(0.5, node_load1)`},
	{dashboard, "hour", time.Hour, time.Minute, `stddev by (job) (temperature_celsius)`},

	// Dashboards over a day and a month.
	{dashboard, "day", day, 5 * time.Minute, `sum by (job) (rate(http_requests_total[5m]))`},
	{dashboard, "day", day, 5 * time.Minute, `histogram_quantile(0.9, sum by (le, job) (rate(http_request_duration_seconds_bucket[5m])))`},
	{dashboard, "day", day, 5 * time.Minute, `avg_over_time(temperature_celsius[10m])`},
	{dashboard, "day", day, time.Minute, `go_goroutines`},
	{dashboard, "day", day, time.Minute, `sum(rate(network_bytes_total[5m]))`},
	{dashboard, "day", day, 5 * time.Minute, `max_over_time(process_resident_memory_bytes[1h])`},
	{dashboard, "day", day, 5 * time.Minute, `increase(http_requests_total{code="500"}[1h])`},
	{dashboard, "day", day, 5 * time.Minute, `rate(http_requests_total[1h])`},
	{dashboard, "month", 30 * day, time.Hour, `sum by (job) (rate(http_requests_total[1h]))`},
	{dashboard, "month", 30 * day, time.Hour, `avg_over_time(temperature_celsius[1h])`},
	{dashboard, "month", 30 * day, time.Hour, `max_over_time(node_load1[6h])`},
	{dashboard, "month", 30 * day, 2 * time.Hour, `histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[2h])))`},
	{dashboard, "month", 30 * day, time.Hour, `go_goroutines`},
	{dashboard, "month", 30 * day, time.Hour, `increase(network_bytes_total[1d])`},

	// What a person asks.
	{adHoc, "hour", 0, 0, `count by (__name__) ({job="api"})`},
	{adHoc, "hour", 0, 0, `topk(10, count by (__name__) ({__name__=~".+"}))`},
	{adHoc, "hour", 0, 0, `http_requests_total`},
	{adHoc, "hour", 0, 0, `sort_desc(sum by (instance) (rate(network_bytes_total[5m])))`},
	{adHoc, "hour", 0, 0, `label_replace(up, "host", "$1", "instance", "(.*):.*")`},
	{adHoc, "hour", 0, 0, `rate(http_requests_total[5m]) * on (instance) group_left (version) build_info`},
	{adHoc, "hour", 0, 0, `count_values("value", up)`},
	{adHoc, "hour", 0, 0, `http_requests_total{instance=~"host-1.*"}[10m]`},
	{adHoc, "hour", time.Hour, time.Minute, `process_resident_memory_bytes / on (instance, job, zone) go_goroutines`},
	{adHoc, "hour", time.Hour, time.Minute, `sum by (version) (rate(process_cpu_seconds_total[5m]) * on (instance, job, zone) group_left (version) build_info)`},
	{adHoc, "hour", time.Hour, time.Minute, `node_load1 > 1 and on (instance) temperature_celsius > 0`},
	{adHoc, "hour", time.Hour, 15 * time.Second, `deriv(process_resident_memory_bytes[5m])`},
	{adHoc, "hour", time.Hour, time.Minute, `rate(network_bytes_total[5m]) > rate(network_bytes_total[5m] offset 10m)`},
	{adHoc, "day", day, 10 * time.Minute, `quantile_over_time(0.9, temperature_celsius[1h])`},
	{adHoc, "day", day, 5 * time.Minute, `avg_over_time(rate(http_requests_total{code="200"}[5m])[30m:1m])`},
	{adHoc, "day", day, 5 * time.Minute, `stddev_over_time(node_load1[30m])`},
	{adHoc, "day", day, time.Minute, `abs(delta(temperature_celsius[10m])) > 1`},
	{adHoc, "month", 30 * day, time.Hour, `count_over_time(up[1d])`},
	{adHoc, "month", 30 * day, time.Hour, `predict_linear(process_resident_memory_bytes[6h], 86400)`},
	{adHoc, "month", 0, 0, `sum(increase(http_requests_total[30d]))`},
	{adHoc, "month", 0, 0, `min_over_time(temperature_celsius[30d])`},
	{adHoc, "month", 30 * day, 3 * time.Hour, `sum(max_over_time(queue_length[3h])) by (job)`},
}
