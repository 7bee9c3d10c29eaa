package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

const monitoringRules = `
groups:
- name: availability
  interval: 500ms
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
  - alert: InstanceDown
    expr: up == 0
    for: 2s
    labels:
      severity: page
      team: '{{ $labels.job }}-team'
    annotations:
      summary: '{{ $labels.instance }} of {{ $labels.job }} is down'
      description: 'up is {{ $value }} in {{ $externalLabels.cluster }}, {{ with query "job:up:sum{job=\"services\"}" }}{{ . | first | value }} services run{{ end }}'
`

// Targets are registered in etcd, a machine goes down, the on-call is told through
// Alertmanager, the machine comes back, and the on-call is told that too.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	pager := startPager(t)
	etcd, node := harness.StartEtcd(t), harness.StartNodeExporter(t)
	alertmanager := harness.StartAlertmanager(t, pager.alertmanagerConfig())

	client := etcdClient(t, etcd)
	register(t, client, "/machines/db-1", `{"targets": ["`+node.Address+`"], "labels": {"role": "db"}}`)
	register(t, client, "/services/etcd/member-1", etcd.Address)
	register(t, client, "/services/alertmanager/main", alertmanager.Address)
	// One value that nobody can read leaves the others alone.
	register(t, client, "/machines/db-2", `{"targets": 7}`)

	server := harness.NewGnomon(t, harness.Options{Config: monitoringConfig(etcd, alertmanager)})
	server.WriteFile(t, "rules.yml", monitoringRules)
	server.Start(t)

	waitTargets(t, server, "machines", node.Address)
	waitTargets(t, server, "services", "member-1", "main")
	require.Equal(t, model.LabelSet{"job": "machines", "instance": model.LabelValue(node.Address), "role": "db"},
		activeTargets(t, server, "machines")[node.Address].Labels)
	require.Equal(t, model.LabelSet{"job": "services", "instance": "main", "service": "alertmanager"},
		activeTargets(t, server, "services")["main"].Labels)
	server.WaitFor(t, soon, `count(node_uname_info{role="db"})`, 1)
	server.WaitFor(t, soon, `count(etcd_server_is_leader{service="etcd"})`, 1)
	server.WaitFor(t, soon, `job:up:sum{job="services"}`, 2)
	require.Contains(t, server.Output(t), "/machines/db-2", "the value that cannot be read is reported by its key")

	node.Kill(t)
	want := notification{
		Labels: map[string]string{
			"alertname": "InstanceDown", "instance": node.Address, "job": "machines", "role": "db",
			"severity": "page", "team": "machines-team", "cluster": "e2e",
		},
		Annotations: map[string]string{
			"summary":     node.Address + " of machines is down",
			"description": "up is 0 in e2e, 2 services run",
		},
	}
	harness.Eventually(t, slowly, "the alert in Alertmanager", func() error {
		return sameNotification(want, alertsOf(t, alertmanager))
	})
	require.Equal(t, v1.AlertStateFiring, waitAlert(t, server, "InstanceDown", v1.AlertStateFiring).State)
	want.Status = "firing"
	harness.Eventually(t, slowly, "the page that it fires", func() error {
		return sameNotification(want, pager.received("firing"))
	})

	node.Start(t)
	want.Status = "resolved"
	// The annotations of a resolved alert are those of its last firing evaluation.
	harness.Eventually(t, slowly, "the page that it is resolved", func() error {
		return sameNotification(want, pager.received("resolved"))
	})
	harness.Eventually(t, soon, "no alert to be left", func() error {
		if left := alertsOf(t, alertmanager); len(left) > 0 {
			return fmt.Errorf("Alertmanager has %v", left)
		}
		result, err := server.API(t).Alerts(t.Context())
		if err == nil && len(result.Alerts) > 0 {
			err = fmt.Errorf("the server has %v", result.Alerts)
		}
		return err
	})
	server.Terminate(t)
}

func monitoringConfig(etcd, alertmanager *harness.Peer) string {
	return fmt.Sprintf(`
global:
  scrape_interval: 500ms
  evaluation_interval: 500ms
  external_labels: {cluster: e2e}
rule_files: [rules.yml]
alerting:
  alertmanagers:
  - static_configs:
    - targets: ['%[2]s']
scrape_configs:
- job_name: machines
  etcd_sd_configs:
  - endpoints: ['%[1]s']
    prefix: /machines/
- job_name: services
  etcd_sd_configs:
  - endpoints: ['%[1]s']
    prefix: /services/
    key_template: /services/{service}/{member}
  relabel_configs:
  - source_labels: [__meta_etcd_service]
    target_label: service
  - source_labels: [__meta_etcd_member]
    target_label: instance
`, etcd.Address, alertmanager.Address)
}

// notification is what tests look at of an alert, in Alertmanager or in a page.
type notification struct {
	Status      string // Status is only in pages.
	Labels      map[string]string
	Annotations map[string]string
}

// sameNotification returns nil if got is want and nothing else.
func sameNotification(want notification, got []notification) error {
	if len(got) == 0 {
		return fmt.Errorf("there is none")
	}
	for _, g := range got {
		if fmt.Sprint(g) != fmt.Sprint(want) {
			return fmt.Errorf("got  %v\nwant %v", g, want)
		}
	}
	return nil
}

// alertsOf returns what an Alertmanager's own API says is active.
func alertsOf(t *testing.T, alertmanager *harness.Peer) []notification {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, alertmanager.URL+"/api/v2/alerts", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var alerts []struct {
		Labels, Annotations map[string]string
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&alerts))
	found := make([]notification, len(alerts))
	for i, a := range alerts {
		found[i] = notification{Labels: a.Labels, Annotations: a.Annotations}
	}
	return found
}

// pager is the receiver that Alertmanager notifies.
type pager struct {
	server *httptest.Server

	mu    sync.Mutex
	pages []notification
}

func startPager(t *testing.T) *pager {
	t.Helper()
	p := &pager{}
	p.server = httptest.NewServer(p)
	t.Cleanup(p.server.Close)
	return p
}

// ServeHTTP takes a page in the form of Alertmanager's webhook.
func (p *pager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var message struct{ Alerts []notification }
	if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages = append(p.pages, message.Alerts...)
}

// received returns the pages with a status so far.
func (p *pager) received(status string) []notification {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []notification
	for _, n := range p.pages {
		if n.Status == status {
			found = append(found, n)
		}
	}
	return found
}

func (p *pager) alertmanagerConfig() string {
	return strings.ReplaceAll(`
route:
  receiver: pager
  group_wait: 100ms
  group_interval: 1s
  repeat_interval: 1h
receivers:
- name: pager
  webhook_configs:
  - url: PAGER
    send_resolved: true
`, "PAGER", p.server.URL)
}

// withTimeout bounds one request of a test.
func withTimeout(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 20*time.Second)
}
