package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/alerting/rules"
	"github.com/gnomonhq/gnomon/config"
	"github.com/gnomonhq/gnomon/discovery/operator"
)

func TestOperatorObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		o := newOperatorObjects(reg, slog.New(slog.DiscardHandler))
		applied := 0
		o.changed = func() error { applied++; return nil }
		o.parse = rules.Reader{}.Parse
		var follows []string
		var tell func([]operator.Result)
		fail := true
		o.follow = func(ctx context.Context, section config.Operator, _ *operator.Generator, f func([]operator.Result)) error {
			follows = append(follows, section.Name)
			if fail {
				fail = false
				return errors.New("no such file")
			}
			tell = f
			<-ctx.Done()
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		section := func(name string) *config.Config {
			return &config.Config{Gnomon: config.Section{Operator: config.Operator{Namespace: "monitoring", Name: name}}}
		}
		require.NoError(t, o.apply(section("a")))
		synctest.Wait()
		require.Empty(t, follows, "the server does not run yet")
		go o.run(ctx)
		synctest.Wait()
		require.Zero(t, applied)
		require.Equal(t, []string{"a"}, follows)
		time.Sleep(operatorRetry)
		synctest.Wait()
		require.Equal(t, []string{"a", "a"}, follows, "what failed is tried again")
		require.NoError(t, o.apply(section("a")))
		synctest.Wait()
		require.Len(t, follows, 2, "nothing has changed")

		tell([]operator.Result{
			{Kind: operator.KindServiceMonitor, Namespace: "x", Name: "m", Jobs: []*promconfig.ScrapeConfig{{JobName: "serviceMonitor/x/m/0"}, {JobName: "mine"}}},
			{Kind: operator.KindServiceMonitor, Namespace: "x", Name: "bad", Rejection: &operator.Rejection{Reason: operator.ReasonInvalid, Message: "no"}},
			{Kind: operator.KindPrometheusRule, Namespace: "x", Name: "r", Rules: &operator.RuleFile{Path: "prometheusRule/x/r", Content: []byte("groups: [{name: g, rules: [{record: a, expr: b}]}]")}},
		})
		synctest.Wait()
		require.Equal(t, 1, applied)
		jobs := o.jobs([]*promconfig.ScrapeConfig{{JobName: "mine"}})
		require.Len(t, jobs, 1, "the file's job of the name counts")
		require.Equal(t, "serviceMonitor/x/m/0", jobs[0].JobName)
		require.Equal(t, "g", o.ruleFiles()[0].Groups[0].Name)
		require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
			# HELP gnomon_operator_objects Selected objects of the Prometheus Operator, by kind and by whether they are accepted or rejected.
			# TYPE gnomon_operator_objects gauge
			gnomon_operator_objects{kind="PrometheusRule",state="accepted"} 1
			gnomon_operator_objects{kind="ServiceMonitor",state="accepted"} 1
			gnomon_operator_objects{kind="ServiceMonitor",state="rejected"} 1
		`)))
		require.Equal(t, "no", o.shown()[1].Message)

		require.NoError(t, o.apply(section("b")))
		synctest.Wait()
		require.Len(t, o.results(), 3, "they stay until the other has looked around")
		require.NoError(t, o.apply(&config.Config{}))
		synctest.Wait()
		require.Empty(t, o.results(), "it is off")
		require.Equal(t, 2, applied)

		bad := section("c")
		bad.Gnomon.Operator.Spec = map[string]any{"scrapeInterval": "soon"}
		require.ErrorContains(t, o.check(bad), "gnomon.operator.spec")
		bad.Gnomon.Operator.Spec = map[string]any{"serviceMonitorSelektor": map[string]any{}}
		require.ErrorContains(t, o.check(bad), "serviceMonitorSelektor")
		cancel()
		synctest.Wait()
	})
}
