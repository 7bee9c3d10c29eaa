package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// stockMetrics are what Prometheus's mixin asks of the server itself, in its dashboards
// and in its alerts, less what needs a mechanism that this test has not configured (remote
// write, Kubernetes).
var stockMetrics = []string{
	"prometheus_build_info",
	"prometheus_config_last_reload_success_timestamp_seconds",
	"prometheus_config_last_reload_successful",
	"prometheus_engine_queries",
	"prometheus_engine_queries_concurrent_max",
	"prometheus_engine_query_duration_seconds",
	"prometheus_engine_query_duration_seconds_count",
	"prometheus_http_request_duration_seconds_count",
	"prometheus_http_requests_total",
	"prometheus_notifications_alertmanagers_discovered",
	"prometheus_notifications_dropped_total",
	"prometheus_notifications_errors_total",
	"prometheus_notifications_queue_capacity",
	"prometheus_notifications_queue_length",
	"prometheus_notifications_sent_total",
	"prometheus_rule_evaluation_failures_total",
	"prometheus_rule_evaluations_total",
	"prometheus_rule_group_duration_seconds_count",
	"prometheus_rule_group_interval_seconds",
	"prometheus_rule_group_iterations_missed_total",
	"prometheus_rule_group_iterations_total",
	"prometheus_rule_group_last_duration_seconds",
	"prometheus_sd_discovered_targets",
	"prometheus_target_interval_length_seconds_count",
	"prometheus_target_interval_length_seconds_sum",
	"prometheus_target_scrape_pool_exceeded_label_limits_total",
	"prometheus_target_scrape_pool_exceeded_target_limit_total",
	"prometheus_target_scrape_pool_targets",
	"prometheus_target_scrapes_exceeded_body_size_limit_total",
	"prometheus_target_scrapes_exceeded_sample_limit_total",
	"prometheus_target_scrapes_sample_duplicate_timestamp_total",
	"prometheus_target_scrapes_sample_out_of_bounds_total",
	"prometheus_target_scrapes_sample_out_of_order_total",
	"prometheus_target_sync_failed_total",
	"prometheus_target_sync_length_seconds_sum",
	"prometheus_tsdb_blocks_loaded",
	"prometheus_tsdb_compactions_failed_total",
	"prometheus_tsdb_compactions_total",
	"prometheus_tsdb_head_chunks",
	"prometheus_tsdb_head_max_time",
	"prometheus_tsdb_head_min_time",
	"prometheus_tsdb_head_samples_appended_total",
	"prometheus_tsdb_head_series",
	"prometheus_tsdb_reloads_failures_total",
	"prometheus_tsdb_storage_blocks_bytes",
	"prometheus_tsdb_wal_corruptions_total",
	"process_cpu_seconds_total",
	"process_resident_memory_bytes",
	"process_start_time_seconds",
	"go_goroutines",
	"go_memstats_alloc_bytes",
}

// The dashboards and alerts that people have for Prometheus itself work for this server.
func TestStockDashboardsHaveTheirMetrics(t *testing.T) {
	t.Parallel()
	server := harness.NewGnomon(t, harness.Options{})
	server.WriteConfig(t, `
global: {scrape_interval: 500ms, evaluation_interval: 500ms}
rule_files: [rules.yml]
alerting:
  alertmanagers:
  - static_configs: [{targets: ['127.0.0.1:1']}]
scrape_configs:
`+selfScrape(server))
	server.WriteFile(t, "rules.yml", "groups: [{name: g, rules: [{alert: Up, expr: up == 1}]}]\n")
	server.Start(t)

	expr := fmt.Sprintf(`count by (__name__) ({__name__=~"%s"})`, strings.Join(stockMetrics, "|"))
	harness.Eventually(t, soon, "all of the stock metrics", func() error {
		vector, err := server.Vector(t, expr)
		if err != nil {
			return err
		}
		found := make(map[string]bool)
		for _, sample := range vector {
			found[string(sample.Metric["__name__"])] = true
		}
		var missing []string
		for _, name := range stockMetrics {
			if !found[name] {
				missing = append(missing, name)
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("missing: %q", missing)
		}
		return nil
	})

	// They are not only there, they move.
	for _, expr := range []string{
		`prometheus_tsdb_head_series > bool 100`,
		`rate(prometheus_tsdb_head_samples_appended_total{type="float"}[10s]) > bool 100`,
		`prometheus_notifications_alertmanagers_discovered`,
		`max(prometheus_notifications_errors_total > bool 0)`,
		`max(prometheus_rule_evaluations_total > bool 2)`,
		`max(prometheus_engine_query_duration_seconds_count{slice="inner_eval"} > bool 2)`,
		`max(prometheus_target_interval_length_seconds_count > bool 2)`,
		`max(prometheus_target_interval_length_seconds{quantile="0.5"} < bool 1)`,
		`prometheus_config_last_reload_successful`,
		`prometheus_sd_discovered_targets{config="self"}`,
	} {
		server.WaitFor(t, soon, expr, 1)
	}
	status, body := server.Get(t, "/metrics", nil)
	require.Equal(t, 200, status)
	require.Contains(t, body, "# TYPE prometheus_tsdb_head_samples_appended_total counter")
}
