package rules

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	upstream "github.com/prometheus/prometheus/rules"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/alerting/state"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNewChecksOptions(t *testing.T) {
	_, err := New(Options{MaxConcurrentEvals: -1})
	require.EqualError(t, err, "rule manager: option Query is missing\noption Store is missing\n"+
		"option MaxConcurrentEvals must not be negative")
	o := Options{ResendDelay: -1, OutageTolerance: -1, ForGracePeriod: -1}.withDefaults()
	require.Equal(t, []time.Duration{0, 0, 0}, []time.Duration{o.ResendDelay, o.OutageTolerance, o.ForGracePeriod})
}

func TestRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storagetest.NewModel(0), nil)
		r.start()
		require.ErrorIs(t, r.manager.Run(t.Context()), ErrRunning)
		r.end()
		require.ErrorIs(t, r.manager.Run(t.Context()), ErrRunning)
		r.file("r.yml", "groups: [{name: g, rules: [{record: out, expr: in}]}]")
		require.NoError(t, r.update(), "an update that comes too late does nothing")
		require.Empty(t, r.manager.Groups(true))
	})
}

func TestNothingIsEvaluatedBeforeRun(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Empty(t, r.queries())
		require.Len(t, r.manager.Groups(true), 1)
		r.answer("in", vec("up", 1.0))
		r.start()
		r.afterEvaluation("g", 1)
		require.Len(t, r.queries(), 1)
	}, "groups: [{name: g, rules: [{record: out, expr: in}]}]")
}

func TestUpdateRefusesBrokenFiles(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.answer("in", vec("up", 1.0))
		r.start()
		r.afterEvaluation("g", 1)
		bad := r.file("s.yml", "groups: [{name: h, rules: [{record: new, expr: 'in('}]}]")
		r.file("r.yml", "groups: []")
		err := r.update()
		require.ErrorContains(t, err, "load rules, the former ones stay in force: "+bad+`:1:48: group "h", rule 1, "new": could not parse expression`)
		require.EqualError(t, r.manager.Check([]string{bad}), errors.Unwrap(err).Error())
		r.afterEvaluation("g", 1)
		require.Equal(t, "1@-60 1@0", r.samples("out", r.group("g").LastSlot)[`{__name__="out"}`])
		require.Equal(t, 1.0, r.metric("gnomon_rule_load_failures_total", ""))
	}, "groups: [{name: g, rules: [{record: out, expr: in}]}]")
}

func TestFilesThatAreNotOnADisk(t *testing.T) {
	m, err := New(Options{
		Query: func(context.Context, string, time.Time) (alerting.Vector, error) { return nil, nil },
		Store: storagetest.NewModel(0),
	})
	require.NoError(t, err)
	f, err := m.Parse("prometheusRule/shop/web", []byte("groups: [{name: g, rules: [{record: a, expr: b}]}]"))
	require.NoError(t, err)
	onDisk := filepath.Join(t.TempDir(), "r.yml")
	require.NoError(t, os.WriteFile(onDisk, []byte("groups: [{name: disk, rules: [{record: c, expr: d}]}]"), 0o600))
	groups := func() (out []string) {
		for _, g := range m.Groups(false) {
			out = append(out, g.File+" "+g.Name)
		}
		slices.Sort(out)
		return out
	}
	m.SetParsed([]File{f})
	require.Empty(t, groups(), "nothing is known of the disk yet")
	require.NoError(t, m.Update(Config{Files: []string{onDisk}}))
	require.Equal(t, []string{onDisk + " disk", "prometheusRule/shop/web g"}, groups())
	// What somebody is writing has to wait for a reload.
	require.NoError(t, os.WriteFile(onDisk, []byte("groups: ["), 0o600))
	m.SetParsed(nil)
	require.Equal(t, []string{onDisk + " disk"}, groups())
	m.SetParsed([]File{f})
	require.Equal(t, []string{onDisk + " disk", "prometheusRule/shop/web g"}, groups())
	_, err = m.Parse("prometheusRule/shop/web", []byte("groups: [{name: g, rules: [{record: a, expr: '('}]}]"))
	require.ErrorContains(t, err, "prometheusRule/shop/web")
}

func TestUpdateNameValidation(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		files := []string{filepath.Join(r.dir, "*.yml")}
		require.NoError(t, r.manager.Update(Config{Files: files}))
		require.ErrorContains(t, r.manager.Update(Config{Files: files, NameValidation: model.LegacyValidation}),
			"invalid recording rule name: ö")
		require.NoError(t, r.manager.Update(Config{Files: files, NameValidation: model.UTF8Validation}))
	}, "groups: [{name: g, rules: [{record: ö, expr: in}]}]")
}

func TestUpdateLeavesUnchangedGroupsAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.answer("in", vec("up", 1.0))
		r.start()
		r.afterEvaluation("g", 4)
		before := r.manager.mu.groups
		var kept *group
		for _, g := range before {
			kept = g
		}
		r.file("s.yml", "groups: [{name: h, rules: [{record: more, expr: in}]}]")
		require.NoError(t, r.manager.Update(Config{
			Files: []string{r.dir + "/*.yml"}, Interval: time.Minute, ExternalLabels: labels.FromStrings("cluster", "new"),
		}))
		require.Len(t, r.manager.mu.groups, 2)
		require.Same(t, kept, r.manager.mu.groups[groupKey(kept.file, "g")])
		r.afterEvaluation("g", 1)
		require.Equal(t, "new", r.group("g").Rules[0].Alerts[0].Annotations.Get("c"), "new external labels take effect all the same")
		require.Equal(t, 5.0, r.metric("prometheus_rule_group_iterations_total", ";g"))
	}, "groups:", "- name: g", "  rules: [{alert: A, expr: in, for: 1h, annotations: {c: '{{ $externalLabels.cluster }}'}}]")
}

func TestUpdateHandsStateOn(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.answer("in", vec(`up{i="1"}`, 1.0))
		r.answer("in > 0", vec(`up{i="1"}`, 1.0))
		r.start()
		r.afterEvaluation("g", 5)
		g := r.group("g")
		activeAt, t0 := g.Rules[0].Alerts[0].ActiveAt, g.LastSlot
		require.Equal(t, state.Firing, g.Rules[0].State)

		// The alert's expression changes, the one recording rule keeps its
		// series, the other one is gone.
		r.file("r.yml", "groups:", "- name: g", "  rules:", "  - {record: new, expr: in}",
			"  - {record: kept, expr: in}", "  - {alert: A, expr: in > 0, for: 2m}")
		require.NoError(t, r.update())
		g = r.group("g")
		require.Equal(t, t0, g.LastSlot, "timings are handed on")
		require.Equal(t, activeAt, g.Rules[2].Alerts[0].ActiveAt)
		require.Equal(t, state.Unknown, g.Rules[2].State, "but the new rule was not evaluated")

		r.afterEvaluation("g", 2)
		require.Equal(t, t0.Add(2*time.Minute), r.group("g").LastSlot, "no slot was left out")
		require.Equal(t, state.Firing, r.group("g").Rules[2].State)
		require.Equal(t, map[string]string{`{__name__="kept", i="1"}`: "1@-240 1@-180 1@-120 1@-60 1@0 1@60 1@120"}, r.samples("kept", t0))
		require.Equal(t, map[string]string{`{__name__="gone", i="1"}`: "1@-240 1@-180 1@-120 1@-60 1@0 stale@60"}, r.samples("gone", t0))
		require.Equal(t, map[string]string{`{__name__="new", i="1"}`: "1@60 1@120"}, r.samples("new", t0))
		require.Equal(t, "1@-120 1@-60 1@0 1@60 1@120",
			r.samples("ALERTS", t0)[`{__name__="ALERTS", alertname="A", alertstate="firing", i="1"}`])
	}, "groups:", "- name: g", "  rules:", "  - {alert: A, expr: in, for: 2m}",
		"  - {record: kept, expr: in}", "  - {record: gone, expr: in}")
}

func TestUpdateSwapsRulesOfOneName(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.answer("in1", vec(`up{i="1"}`, 1.0))
		r.answer("in2", vec(`up{i="2"}`, 2.0))
		r.start()
		r.afterEvaluation("g", 2)
		t0 := r.group("g").LastSlot
		r.file("r.yml", "groups:", "- name: g", "  rules: [{record: out, expr: in2}]")
		require.NoError(t, r.update())
		r.afterEvaluation("g", 2)
		// The first rule's output is handed on, the second one's ends in the
		// first evaluation, were it not for the other rule that writes it now.
		require.Equal(t, map[string]string{
			`{__name__="out", i="1"}`: "1@-60 1@0 stale@60",
			`{__name__="out", i="2"}`: "2@-60 2@0 2@60 2@120",
		}, r.samples("out", t0))
	}, "groups:", "- name: g", "  rules:", "  - {record: out, expr: in1}", "  - {record: out, expr: in2}")
}

func TestRemovedGroupEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.answer("in", vec(`up{i="1"}`, 1.0))
		r.start()
		r.afterEvaluation("g", 2)
		t0 := r.group("g").LastSlot
		time.Sleep(10 * time.Second)
		require.NoError(t, os.Remove(filepath.Join(r.dir, "r.yml")))
		require.NoError(t, r.update())
		require.Empty(t, r.manager.Groups(true))
		require.True(t, r.metric("prometheus_rule_group_rules", ";g") != r.metric("prometheus_rule_group_rules", ";g"), "its metrics are gone")

		time.Sleep(2*time.Minute - time.Second)
		synctest.Wait()
		require.Equal(t, "1@-60 1@0", r.samples("out", t0)[`{__name__="out", i="1"}`])
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, "1@-60 1@0 stale@10", r.samples("out", t0)[`{__name__="out", i="1"}`])
	}, "groups: [{name: g, rules: [{record: out, expr: in}]}]")
}

// TestMovedGroupIsNotInterrupted holds that a series which another group took
// over is not ended, even by a store that takes late samples.
func TestMovedGroupIsNotInterrupted(t *testing.T) {
	for _, window := range []int64{0, time.Hour.Milliseconds()} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, storagetest.NewModel(window), nil)
			r.file("r.yml", "groups: [{name: g, rules: [{record: out, expr: in}]}]")
			require.NoError(t, r.update())
			r.answer("in", vec(`up{i="1"}`, 1.0))
			r.start()
			r.afterEvaluation("g", 2)
			r.file("r.yml", "groups: [{name: h, rules: [{record: out, expr: in}]}]")
			require.NoError(t, r.update())
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			require.NotContains(t, r.samples("out", time.Now())[`{__name__="out", i="1"}`], "stale")
		})
	}
}

func TestEndWaitsAndCancelsQueries(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		var cancelled error
		r.manager.shared.Query = func(ctx context.Context, _ string, _ time.Time) (alerting.Vector, error) {
			origin, ok := alerting.OriginOf(ctx)
			require.True(t, ok)
			require.Equal(t, alerting.Origin{File: filepath.Join(r.dir, "r.yml"), Group: "g", Rule: "out"}, origin)
			<-ctx.Done()
			time.Sleep(time.Second)
			cancelled = ctx.Err()
			return nil, ctx.Err()
		}
		r.start()
		time.Sleep(2 * time.Minute)
		r.end()
		require.ErrorIs(t, cancelled, context.Canceled)
	}, "groups: [{name: g, rules: [{record: out, expr: in}]}]")
}

func TestUpdateWaitsForQueries(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.answerFunc("in", func(time.Time) (alerting.Vector, error) {
			time.Sleep(10 * time.Second)
			return vec(`up{i="1"}`, 1.0), nil
		})
		r.start()
		g := r.group("g")
		slot := slotBefore(time.Now(), g.Interval, slotOffset(g.File, g.Name, g.Interval)).Add(g.Interval)
		time.Sleep(time.Until(slot) + time.Second)
		r.file("r.yml", "groups: [{name: g, rules: [{record: out, expr: in}, {record: more, expr: in}]}]")
		began := time.Now()
		require.NoError(t, r.update())
		require.Equal(t, 9*time.Second, time.Since(began))
		require.Equal(t, "1@0", r.samples("out", slot)[`{__name__="out", i="1"}`], "the evaluation was not cut short")
	}, "groups: [{name: g, rules: [{record: out, expr: in}]}]")
}

func TestGroupsAreOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storagetest.NewModel(0), nil)
		r.file("b.yml", "groups: [{name: b, rules: [{alert: B, expr: in}]}, {name: a, interval: 5m, limit: 3}]")
		r.file("a.yml", "groups: [{name: z, rules: [{record: z, expr: 'sum  (in)', labels: {x: y}}, {alert: Z, expr: in, for: 1m, keep_firing_for: 2m, annotations: {n: o}}]}]")
		require.NoError(t, r.update())
		var names []string
		for _, g := range r.manager.Groups(true) {
			names = append(names, g.Name)
		}
		require.Equal(t, []string{"z", "a", "b"}, names)
		rule := r.group("z").Rules[0]
		require.Equal(t, "recording", rule.Kind())
		require.Equal(t, "sum(in)", rule.Query)
		require.Equal(t, `{x="y"}`, rule.Labels.String())
		alerts := r.manager.AlertingRules()
		require.Len(t, alerts, 2)
		require.Equal(t, "Z", alerts[0].Name)
		require.Equal(t, "alerting", alerts[0].Kind())
		require.Equal(t, time.Minute, alerts[0].Duration)
		require.Equal(t, 2*time.Minute, alerts[0].KeepFiringFor)
		require.Equal(t, `{n="o"}`, alerts[0].Annotations.String())
		require.Equal(t, 5*time.Minute, r.group("a").Interval)
		require.Equal(t, 3, r.group("a").Limit)
	})
}

// TestConcurrentUse reads while rules are evaluated and reloaded, for the race
// detector.
func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storagetest.NewModel(0), func(o *Options) { o.ConcurrentEvals = true })
		r.answer("in", vec(`up{i="1"}`, 1.0))
		files := [][]string{
			{"groups:", "- name: g", "  interval: 1s", "  rules: [{alert: A, expr: in, for: 5s}, {record: out, expr: in}]"},
			{"groups:", "- name: g", "  interval: 1s", "  rules: [{alert: A, expr: in, for: 7s}, {record: out2, expr: in}]", "- name: h", "  rules: [{alert: B, expr: in}]"},
		}
		r.file("r.yml", files[0]...)
		require.NoError(t, r.update())
		r.start()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 200 {
				for _, g := range r.manager.Groups(true) {
					require.NotEmpty(t, g.Rules)
				}
				r.manager.AlertingRules()
				time.Sleep(500 * time.Millisecond)
			}
		}()
		for i := range 20 {
			time.Sleep(5 * time.Second)
			r.file("r.yml", files[(i+1)%2]...)
			require.NoError(t, r.update())
		}
		<-done
		r.afterEvaluation("g", 1)
		require.Equal(t, state.Firing, r.group("g").Rules[0].State)
	})
}

// TestMetricsLikeUpstream holds that every metric of upstream's is there, with
// the same labels and type.
func TestMetricsLikeUpstream(t *testing.T) {
	theirs := prometheus.NewPedanticRegistry()
	um := upstream.NewGroupMetrics(theirs)
	um.GroupLastRestoreDuration.WithLabelValues("k")
	upstream.NewGroup(upstream.GroupOptions{Name: "g", File: "f", Interval: time.Minute, Opts: &upstream.ManagerOptions{Metrics: um}})
	ours := prometheus.NewPedanticRegistry()
	om := newMetrics(ours)
	om.ofGroup("k")
	om.restoreDuration.WithLabelValues("k")

	want, err := theirs.Gather()
	require.NoError(t, err)
	got, err := ours.Gather()
	require.NoError(t, err)
	types := map[string]string{}
	for _, f := range got {
		types[f.GetName()] = f.GetType().String()
	}
	require.Greater(t, len(want), 10)
	for _, f := range want {
		require.Equal(t, f.GetType().String(), types[f.GetName()], f.GetName())
	}

	om.removeGroup("k")
	got, err = ours.Gather()
	require.NoError(t, err)
	for _, f := range got {
		for _, m := range f.GetMetric() {
			require.Empty(t, m.GetLabel(), "%s is left over", f.GetName())
		}
	}
}
