package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/rules"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	ourrules "github.com/gnomonhq/gnomon/alerting/rules"
	"github.com/gnomonhq/gnomon/alerting/state"
)

var _ ourrules.NotifyFunc = (*Manager)(nil).Notify

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	firedAt     = time.Date(2026, 1, 1, 12, 0, 0, 123456789, time.UTC)
	externalURL = &url.URL{Scheme: "http", Host: "gnomon.test:9090", Path: "/sub"}
)

// twoAlerts are a firing and a resolved alert.
func twoAlerts() []state.Alert {
	return []state.Alert{
		{
			State:       state.Firing,
			Labels:      labels.FromStrings("alertname", "Down", "instance", "a", "drop", "me"),
			Annotations: labels.FromStrings("summary", "a is \"down\" <now>"),
			ActiveAt:    firedAt.Add(-time.Minute), FiredAt: firedAt, ValidUntil: firedAt.Add(4 * time.Minute),
		},
		{
			State:    state.Inactive,
			Labels:   labels.FromStrings("alertname", "Down", "instance", "b", "cluster", "own"),
			ActiveAt: firedAt.Add(-time.Minute), FiredAt: firedAt,
			ResolvedAt: firedAt.Add(time.Minute), ValidUntil: firedAt.Add(4 * time.Minute),
		},
	}
}

// configuration parses the alerting part of a configuration.
func configuration(t *testing.T, alertmanagers ...string) *config.Config {
	c, err := config.Load(strings.Join(append([]string{
		"global: {external_labels: {cluster: c1}}",
		"alerting:",
		"  alert_relabel_configs: [{action: labeldrop, regex: drop}]",
		"  alertmanagers:",
	}, alertmanagers...), "\n"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return c
}

// targets returns target groups for the first section.
func targets(addresses ...string) map[string][]*targetgroup.Group {
	g := &targetgroup.Group{}
	for _, a := range addresses {
		g.Targets = append(g.Targets, model.LabelSet{model.AddressLabel: model.LabelValue(a)})
	}
	return map[string][]*targetgroup.Group{"config-0": {g}}
}

// start runs a manager and returns what ends it and waits.
func start(t *testing.T, m *Manager) (chan<- map[string][]*targetgroup.Group, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	sets := make(chan map[string][]*targetgroup.Group)
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, sets) }()
	end := sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(end)
	return sets, end
}

// TestDelivery posts to a real server and pins the payload.
func TestDelivery(t *testing.T) {
	type request struct {
		path, contentType, userAgent, user string
		body                               string
	}
	requests := make(chan request, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, _, _ := r.BasicAuth()
		requests <- request{r.Method + " " + r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("User-Agent"), user, string(body)}
	}))
	defer server.Close()

	reg := prometheus.NewPedanticRegistry()
	m, err := New(Options{ExternalURL: externalURL, Registerer: reg})
	require.NoError(t, err)
	require.NoError(t, m.ApplyConfig(configuration(t,
		"  - path_prefix: /am", "    basic_auth: {username: u, password: p}",
		"    relabel_configs: [{action: drop, source_labels: [__address__], regex: 'dropped.*'}]")))
	sets, end := start(t, m)
	address := strings.TrimPrefix(server.URL, "http://")
	sets <- targets(address, "dropped:9093")
	// The channel is unbuffered and the loop takes the next update only after
	// it applied the one before.
	sets <- targets(address, "dropped:9093")

	require.Equal(t, "["+server.URL+"/am/api/v2/alerts]", fmt.Sprint(m.Alertmanagers()))
	require.Equal(t, "[http://dropped:9093/am/api/v2/alerts]", fmt.Sprint(m.DroppedAlertmanagers()))

	m.Notify(t.Context(), `up{job="x"} == 0`, twoAlerts())
	got := <-requests
	require.Equal(t, "POST /am/api/v2/alerts", got.path)
	require.Equal(t, "application/json", got.contentType)
	require.Equal(t, "u", got.user)
	require.Regexp(t, "^Prometheus/", got.userAgent)
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, []byte(got.body), "", " "))
	require.JSONEq(t, `[
		{"annotations": {"summary": "a is \"down\" <now>"},
		 "startsAt": "2026-01-01T12:00:00.123Z", "endsAt": "2026-01-01T12:04:00.123Z",
		 "generatorURL": "http://gnomon.test:9090/sub/graph?g0.expr=up%7Bjob%3D%22x%22%7D+%3D%3D+0&g0.tab=1",
		 "labels": {"alertname": "Down", "cluster": "c1", "instance": "a"}},
		{"startsAt": "2026-01-01T12:00:00.123Z", "endsAt": "2026-01-01T12:01:00.123Z",
		 "generatorURL": "http://gnomon.test:9090/sub/graph?g0.expr=up%7Bjob%3D%22x%22%7D+%3D%3D+0&g0.tab=1",
		 "labels": {"alertname": "Down", "cluster": "own", "instance": "b"}}
	]`, pretty.String())

	m.Notify(t.Context(), "up", nil)
	end()
	require.Empty(t, requests, "no alerts, no request")
	m.Notify(t.Context(), "up", twoAlerts())
	require.Empty(t, requests, "nothing is sent after the end")
	require.Equal(t, "[]", fmt.Sprint(m.Alertmanagers()[1:]))
}

// post is what a fake client got.
type post struct {
	url, body string
}

// recorder is a client without network.
type recorder struct {
	mu    sync.Mutex
	posts []post
	// answer is called for each request, if it is set.
	answer func(ctx context.Context) error
}

func (r *recorder) do(ctx context.Context, _ *http.Client, req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if r.answer != nil {
		if err := r.answer(ctx); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posts = append(r.posts, post{req.URL.String(), string(body)})
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("ok"))}, nil
}

// alertCount returns how many alerts were posted.
func (r *recorder) alertCount(t *testing.T) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, p := range r.posts {
		var alerts []any
		require.NoError(t, json.Unmarshal([]byte(p.body), &alerts))
		n += len(alerts)
	}
	return n
}

// TestLikeUpstream holds that the requests equal those of upstream's rule
// manager and notifier, byte for byte.
func TestLikeUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ours, theirs recorder
		c := configuration(t, "  - static_configs: []", "    alert_relabel_configs: [{target_label: added, replacement: x}]")
		m, err := New(Options{ExternalURL: externalURL, Do: ours.do})
		require.NoError(t, err)
		require.NoError(t, m.ApplyConfig(c))
		sets, end := start(t, m)
		sets <- targets("a:1", "b:2")
		synctest.Wait()
		m.Notify(t.Context(), "sum(up) > 1", twoAlerts())
		end()

		n := notifier.NewManager(&notifier.Options{QueueCapacity: 100, Do: theirs.do, DrainOnShutdown: true}, model.UTF8Validation, nil)
		require.NoError(t, n.ApplyConfig(c))
		theirSets := make(chan map[string][]*targetgroup.Group)
		done := make(chan struct{})
		go func() { n.Run(theirSets); close(done) }()
		theirSets <- targets("a:1", "b:2")
		synctest.Wait()
		var alerts []*rules.Alert
		for _, a := range twoAlerts() {
			alerts = append(alerts, &rules.Alert{
				State: rules.AlertState(a.State), Labels: a.Labels, Annotations: a.Annotations, ActiveAt: a.ActiveAt,
				FiredAt: a.FiredAt, ResolvedAt: a.ResolvedAt, ValidUntil: a.ValidUntil,
			})
		}
		rules.SendAlerts(n, externalURL.String())(t.Context(), "sum(up) > 1", alerts...)
		synctest.Wait()
		n.Stop()
		<-done

		require.Len(t, ours.posts, 2)
		require.ElementsMatch(t, theirs.posts, ours.posts)
	})
}

// begin makes a manager over a recorder with one Alertmanager, in a bubble.
func begin(t *testing.T, r *recorder, change func(*Options)) (*Manager, *prometheus.Registry, func()) {
	reg := prometheus.NewPedanticRegistry()
	opts := Options{Do: r.do, Registerer: reg}
	change(&opts)
	m, err := New(opts)
	require.NoError(t, err)
	require.NoError(t, m.ApplyConfig(configuration(t, "  - timeout: 10s")))
	sets, end := start(t, m)
	sets <- targets("a:1")
	synctest.Wait()
	return m, reg, end
}

// metricOf returns the value of a metric.
func metricOf(t *testing.T, reg *prometheus.Registry, name string) float64 {
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// many returns n alerts.
func many(n int) []state.Alert {
	alerts := make([]state.Alert, n)
	for i := range alerts {
		alerts[i] = state.Alert{State: state.Firing, Labels: labels.FromStrings("alertname", fmt.Sprint(i)), FiredAt: firedAt}
	}
	return alerts
}

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		m, reg, _ := begin(t, &r, func(o *Options) { o.MaxBatchSize = 3 })
		require.Equal(t, float64(DefaultQueueCapacity), metricOf(t, reg, "prometheus_notifications_queue_capacity"))
		require.Equal(t, 1.0, metricOf(t, reg, "prometheus_notifications_alertmanagers_discovered"))
		m.Notify(t.Context(), "up", many(8))
		synctest.Wait()
		require.Len(t, r.posts, 3)
		require.Equal(t, 8, r.alertCount(t))
		require.Equal(t, 8.0, metricOf(t, reg, "prometheus_notifications_sent_total"))
	})
}

func TestFullQueueDropsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorder{answer: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		m, reg, _ := begin(t, &r, func(o *Options) { o.MaxBatchSize, o.QueueCapacity, o.DiscardOnShutdown = 2, 4, true })
		m.Notify(t.Context(), "up", many(2))
		synctest.Wait()
		m.Notify(t.Context(), "up", many(7))
		synctest.Wait()
		require.Equal(t, 4.0, metricOf(t, reg, "prometheus_notifications_queue_length"))
		require.Equal(t, 3.0, metricOf(t, reg, "prometheus_notifications_dropped_total"))
		time.Sleep(11 * time.Second)
		require.Equal(t, 2.0, metricOf(t, reg, "prometheus_notifications_errors_total"), "the request in flight timed out")
	})
}

func TestEndDeliversTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorder{answer: func(context.Context) error { time.Sleep(2 * time.Second); return nil }}
		m, _, end := begin(t, &r, func(o *Options) { o.MaxBatchSize = 2 })
		m.Notify(t.Context(), "up", many(9))
		synctest.Wait()
		end()
		require.Equal(t, 9, r.alertCount(t))
	})
}

// TestEndGivesUp holds that an Alertmanager which does not answer holds up the
// end no longer than configured.
func TestEndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorder{answer: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		m, _, end := begin(t, &r, func(o *Options) { o.MaxBatchSize, o.DrainTimeout = 1, 25*time.Second })
		m.Notify(t.Context(), "up", many(1000))
		began := time.Now()
		end()
		require.Equal(t, 25*time.Second, time.Since(began))
		require.Empty(t, r.posts)
	})
}

func TestEndDiscards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorder{answer: func(context.Context) error { time.Sleep(2 * time.Second); return nil }}
		m, _, end := begin(t, &r, func(o *Options) { o.MaxBatchSize, o.DiscardOnShutdown = 1, true })
		m.Notify(t.Context(), "up", many(9))
		synctest.Wait()
		began := time.Now()
		end()
		require.Equal(t, 2*time.Second, time.Since(began), "the one under way is waited for")
		require.Equal(t, 1, r.alertCount(t))
	})
}

func TestAlertmanagerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := true
		r := recorder{answer: func(context.Context) error {
			if fail {
				return errors.New("connection refused")
			}
			return nil
		}}
		m, reg, _ := begin(t, &r, func(*Options) {})
		m.Notify(t.Context(), "up", many(2))
		synctest.Wait()
		require.Equal(t, 2.0, metricOf(t, reg, "prometheus_notifications_errors_total"))
		require.Equal(t, 2.0, metricOf(t, reg, "prometheus_notifications_dropped_total"))
		fail = false
		m.Notify(t.Context(), "up", many(2))
		synctest.Wait()
		require.Equal(t, 2, r.alertCount(t), "later alerts are delivered; the rule manager sends again what goes on")
	})
}

// TestBadSections holds that a section which cannot be applied is refused and
// the former ones stay.
func TestBadSections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		m, _, _ := begin(t, &r, func(*Options) {})
		err := m.ApplyConfig(configuration(t, "  - tls_config: {ca_file: /nonexistent/ca.pem}"))
		require.ErrorContains(t, err, "apply alerting configuration: ")
		require.ErrorContains(t, err, "/nonexistent/ca.pem")
		m.Notify(t.Context(), "up", many(1))
		synctest.Wait()
		require.Equal(t, 1, r.alertCount(t))
	})
}

func TestNewChecksOptions(t *testing.T) {
	_, err := New(Options{QueueCapacity: -1})
	require.EqualError(t, err, "notifier: options QueueCapacity, MaxBatchSize and DrainTimeout must not be negative")
}
