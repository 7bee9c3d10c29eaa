package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// adminLog is an admin interface that remembers what it was asked to do.
type adminLog struct {
	deleted    [][]*labels.Matcher
	mint, maxt int64
	cleaned    bool
	snapshot   string
	withHead   bool
}

func (a *adminLog) Delete(_ context.Context, mint, maxt int64, matchers ...*labels.Matcher) error {
	a.deleted, a.mint, a.maxt = append(a.deleted, matchers), mint, maxt
	return nil
}

func (a *adminLog) CleanTombstones(context.Context) error {
	a.cleaned = true
	return nil
}

func (a *adminLog) Snapshot(_ context.Context, name string, withHead bool) error {
	a.snapshot, a.withHead = name, withHead
	return nil
}

// clientCalls calls one method each of the official client. Its keys are the
// names of the methods, all of them.
var clientCalls = map[string]func(t *testing.T, c v1.API, admin *adminLog){
	"Query": func(t *testing.T, c v1.API, _ *adminLog) {
		v, warnings, infos, err := c.Query(t.Context(), "rate(up[5m])", at(300), v1.WithTimeout(time.Minute), v1.WithLimit(1), v1.WithLookbackDelta(time.Minute))
		require.NoError(t, err)
		require.Equal(t, v1.Warnings{"results truncated due to limit"}, warnings)
		require.Len(t, infos, 1)
		require.Len(t, v.(model.Vector), 1)
		v, _, _, err = c.Query(t.Context(), "native", at(60))
		require.NoError(t, err)
		require.EqualValues(t, 10, v.(model.Vector)[0].Histogram.Count)
		v, _, _, err = c.Query(t.Context(), "1e-7", at(60))
		require.NoError(t, err)
		require.EqualValues(t, 1e-7, v.(*model.Scalar).Value)
		_, _, _, err = c.Query(t.Context(), "up{", at(60))
		require.ErrorContains(t, err, "bad_data: invalid parameter \"query\"")
	},
	"QueryRange": func(t *testing.T, c v1.API, _ *adminLog) {
		v, _, _, err := c.QueryRange(t.Context(), "up", v1.Range{Start: at(0), End: at(600), Step: time.Minute})
		require.NoError(t, err)
		m := v.(model.Matrix)
		require.Len(t, m, 2)
		require.Len(t, m[0].Values, 11)
		require.EqualValues(t, 0, m[0].Values[3].Value)
		_, _, _, err = c.QueryRange(t.Context(), "up * on() up", v1.Range{Start: at(0), End: at(600), Step: time.Minute})
		require.ErrorContains(t, err, "execution: ")
	},
	"QueryExemplars": func(t *testing.T, c v1.API, _ *adminLog) {
		list, err := c.QueryExemplars(t.Context(), "http_requests_total", at(0), at(600))
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.EqualValues(t, "<abc>", list[0].Exemplars[0].Labels["trace_id"])
		require.EqualValues(t, 0.25, list[0].Exemplars[0].Value)
		require.Equal(t, model.Time(61500), list[0].Exemplars[0].Timestamp)
	},
	"Series": func(t *testing.T, c v1.API, _ *adminLog) {
		list, _, _, err := c.Series(t.Context(), []string{"up", "native"}, time.Time{}, time.Time{})
		require.NoError(t, err)
		require.Len(t, list, 3)
		require.EqualValues(t, "native", list[0]["__name__"])
	},
	"LabelNames": func(t *testing.T, c v1.API, _ *adminLog) {
		names, warnings, _, err := c.LabelNames(t.Context(), []string{"up"}, at(0), at(600), v1.WithLimit(2))
		require.NoError(t, err)
		require.Equal(t, model.LabelNames{"__name__", "instance"}, names)
		require.Len(t, warnings, 1)
	},
	"LabelValues": func(t *testing.T, c v1.API, _ *adminLog) {
		values, _, _, err := c.LabelValues(t.Context(), "label with space", nil, at(0), at(600))
		require.NoError(t, err)
		require.Equal(t, model.LabelValues{"x"}, values)
	},
	"Metadata": func(t *testing.T, c v1.API, _ *adminLog) {
		m, err := c.Metadata(t.Context(), "http_requests_total", "5")
		require.NoError(t, err)
		require.Equal(t, []v1.Metadata{{Type: v1.MetricTypeCounter, Help: "Requests & <more>."}}, m["http_requests_total"])
	},
	"Targets": func(t *testing.T, c v1.API, _ *adminLog) {
		res, err := c.Targets(t.Context())
		require.NoError(t, err)
		require.Len(t, res.Active, 4)
		require.Equal(t, v1.HealthGood, res.Active[0].Health)
		require.Equal(t, v1.HealthBad, res.Active[1].Health)
		require.Equal(t, "https://prom.example:9100/metrics", res.Active[1].GlobalURL)
		require.Equal(t, "https://prom.example:8443/metrics", res.Active[2].GlobalURL)
		require.Len(t, res.Dropped, 1)
	},
	"TargetsMetadata": func(t *testing.T, c v1.API, _ *adminLog) {
		list, err := c.TargetsMetadata(t.Context(), `{job="api"}`, "http_requests_total", "1")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, "api", list[0].Target["job"])
	},
	"Rules": func(t *testing.T, c v1.API, _ *adminLog) {
		res, err := c.Rules(t.Context(), []string{`{team=~".+"}`})
		require.NoError(t, err)
		require.Len(t, res.Groups, 1)
		alerting := res.Groups[0].Rules[0].(v1.AlertingRule)
		require.Equal(t, "firing", alerting.State)
		require.Len(t, alerting.Alerts, 1)
		recording := res.Groups[0].Rules[1].(v1.RecordingRule)
		require.Equal(t, v1.RuleHealthGood, string(recording.Health))
	},
	"Alerts": func(t *testing.T, c v1.API, _ *adminLog) {
		res, err := c.Alerts(t.Context())
		require.NoError(t, err)
		require.Len(t, res.Alerts, 1)
		require.Equal(t, v1.AlertStateFiring, res.Alerts[0].State)
		require.EqualValues(t, "a:9100 is <down>", res.Alerts[0].Annotations["summary"])
		require.Equal(t, at(180), res.Alerts[0].ActiveAt)
	},
	"AlertManagers": func(t *testing.T, c v1.API, _ *adminLog) {
		res, err := c.AlertManagers(t.Context())
		require.NoError(t, err)
		require.Equal(t, []v1.AlertManager{{URL: "http://am:9093/api/v2/alerts"}}, res.Active)
		require.Len(t, res.Dropped, 1)
	},
	"Config": func(t *testing.T, c v1.API, _ *adminLog) {
		res, err := c.Config(t.Context())
		require.NoError(t, err)
		require.Contains(t, res.YAML, "region: <eu>")
	},
	"Flags": func(t *testing.T, c v1.API, _ *adminLog) {
		res, err := c.Flags(t.Context())
		require.NoError(t, err)
		require.Equal(t, v1.FlagsResult(fixtureFlags), res)
	},
	"Buildinfo": func(t *testing.T, c v1.API, _ *adminLog) {
		res, err := c.Buildinfo(t.Context())
		require.NoError(t, err)
		require.Equal(t, fixtureVersion.BuildUser, res.BuildUser)
	},
	"Runtimeinfo": func(t *testing.T, c v1.API, _ *adminLog) {
		res, err := c.Runtimeinfo(t.Context())
		require.NoError(t, err)
		require.Equal(t, at(5), res.StartTime)
		require.Equal(t, "15d", res.StorageRetention)
		require.True(t, res.ReloadConfigSuccess)
	},
	"TSDB": func(t *testing.T, c v1.API, _ *adminLog) {
		res, err := c.TSDB(t.Context(), v1.WithLimit(1))
		require.NoError(t, err)
		require.Equal(t, 20, res.HeadStats.NumSeries)
		require.Equal(t, 42, res.HeadStats.ChunkCount)
		require.Equal(t, []v1.Stat{{Name: "up", Value: 2}}, res.SeriesCountByMetricName)
	},
	"TSDBBlocks": func(t *testing.T, c v1.API, _ *adminLog) {
		res, err := c.TSDBBlocks(t.Context())
		require.NoError(t, err)
		require.Len(t, res.Blocks, 2)
		require.EqualValues(t, 12, res.Blocks[0].Stats.NumSamples)
	},
	"WalReplay": func(t *testing.T, c v1.API, _ *adminLog) {
		res, err := c.WalReplay(t.Context())
		require.NoError(t, err)
		require.Equal(t, v1.WalReplayStatus{Min: 1, Max: 9, Current: 4}, res)
	},
	"FormatQuery": func(t *testing.T, c v1.API, _ *adminLog) {
		text, err := c.FormatQuery(t.Context(), "sum(up)by(job)")
		require.NoError(t, err)
		require.Equal(t, `"sum by (job) (up)"`, text, "the client does not decode it")
	},
	"DeleteSeries": func(t *testing.T, c v1.API, admin *adminLog) {
		require.NoError(t, c.DeleteSeries(t.Context(), []string{"up", `{job="x"}`}, at(1), at(2)))
		require.Len(t, admin.deleted, 2)
		require.Equal(t, `job="x"`, admin.deleted[1][0].String())
		require.EqualValues(t, 1000, admin.mint)
		require.EqualValues(t, 2000, admin.maxt)
	},
	"CleanTombstones": func(t *testing.T, c v1.API, admin *adminLog) {
		require.NoError(t, c.CleanTombstones(t.Context()))
		require.True(t, admin.cleaned)
	},
	"Snapshot": func(t *testing.T, c v1.API, admin *adminLog) {
		res, err := c.Snapshot(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, admin.snapshot, res.Name)
		require.Regexp(t, `^19700101T001000Z-[0-9a-f]{16}$`, res.Name)
		require.False(t, admin.withHead)
		_, err = c.Snapshot(t.Context(), false)
		require.NoError(t, err)
		require.True(t, admin.withHead)
	},
}

// TestOfficialClient calls every method of the official Go client.
func TestOfficialClient(t *testing.T) {
	f := newFixture(t)
	admin := &adminLog{}
	server := httptest.NewServer(f.handler(func(o *Options) {
		o.Admin = admin
		o.RuntimeInfo = func() (RuntimeInfo, error) {
			return RuntimeInfo{StartTime: at(5), StorageRetention: "15d", ReloadConfigSuccess: true}, nil
		}
	}))
	defer server.Close()
	client, err := api.NewClient(api.Config{Address: server.URL, RoundTripper: &http.Transport{DisableKeepAlives: true}})
	require.NoError(t, err)

	methods := reflect.TypeFor[v1.API]()
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		t.Run(name, func(t *testing.T) {
			require.Contains(t, clientCalls, name, "a method of the client that nothing calls")
			clientCalls[name](t, v1.NewAPI(client), admin)
		})
	}
	require.Len(t, clientCalls, methods.NumMethod(), "calls of methods that the client does not have")
}
